// The FastCGI edge on a real unix socket: that libfcgi, given a connection by fields which its header calls private,
// reads, answers and keeps it; and that no peer holds up another.
#include "fastcgi/server.hpp"
#include "base/socket.hpp"
#include "http/limits.hpp"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

using namespace app;
using namespace std::chrono_literals;

std::string record(int type, const std::string& content) {
    return std::string{1,
                       static_cast<char>(type),
                       0,
                       1,
                       static_cast<char>(content.size() >> 8),
                       static_cast<char>(content.size()),
                       0,
                       0} +
           content;
}
std::string pair(const std::string& name, const std::string& value) {
    return std::string{static_cast<char>(name.size()), static_cast<char>(value.size())} + name + value;
}
std::string request(const std::string& method, const std::string& path, const std::string& body = {}) {
    return record(1, std::string{0, 1, 1, 0, 0, 0, 0, 0}) +
           record(4, pair("REQUEST_METHOD", method) + pair("DOCUMENT_URI", path) +
                         pair("CONTENT_LENGTH", std::to_string(body.size()))) +
           record(4, "") + (body.empty() ? "" : record(5, body)) + record(5, "");
}

class Peer {
public:
    explicit Peer(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        BOOST_REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { ::close(fd_); }

    // From here on it sends nothing more, and reads on.
    void close_half() const { ::shutdown(fd_, SHUT_WR); }

    void send(const std::string& bytes) const {
        BOOST_REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    }
    // All that comes up to the end of an answer (END_REQUEST, 16 bytes) or of the connection.
    std::string answer() const {
        std::string text;
        std::array<char, 4096> piece{};
        while (!ends(text)) {
            const ssize_t count = ::recv(fd_, piece.data(), piece.size(), 0);
            if (count <= 0) break;
            text.append(piece.data(), static_cast<std::size_t>(count));
        }
        return text;
    }
    bool closed_by_server() const {
        char byte = 0;
        return ::recv(fd_, &byte, 1, 0) <= 0;  // a reset, if it had not read all that was sent
    }

private:
    static bool ends(const std::string& text) {
        return text.size() >= 16 && std::memcmp(text.data() + text.size() - 16, "\1\3", 2) == 0;
    }
    const int fd_;
};

// The lines that a server writes of what it does not read.
class Lines {
public:
    Lines() { BOOST_REQUIRE(::pipe(ends_.data()) == 0); }
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;
    ~Lines() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    int fd() const { return ends_[1]; }
    // Waits for it: a peer sees its connection end only afterwards, so this is short.
    std::string next() const {
        std::string line;
        for (char byte = 0; byte != '\n' && ::read(ends_[0], &byte, 1) == 1;) line += byte;
        return line;
    }

private:
    std::array<int, 2> ends_{};
};

bool has(const std::string& line, std::string_view text) { return line.find(text) != std::string::npos; }

// Answers with what was asked, at once.
void echo(const ExchangePtr& exchange) {
    Response response{.status = 200, .headers = {{"Content-Type", "text/plain"}}};
    response.set_body(exchange->request.method + ' ' + exchange->request.path + ' ' + exchange->request.body);
    exchange->respond(response);
}

struct Served {
    explicit Served(FcgiServer::Handle handle = echo,
                    FcgiServerLimits limits = {.threads = 2, .request_read_ms = 10s, .drain_ms = 0ms}, int log_fd = -1)
        : log(log_fd),
          path("/tmp/fcgi_server_test." + std::to_string(::getpid())),
          server("unix:" + path, limits, std::move(handle), watchdog, log) {}

    Watchdog watchdog;
    Log log;
    const std::string path;
    FcgiServer server;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(fcgi_server_test, *boost::unit_test::timeout(20))

BOOST_AUTO_TEST_CASE(a_connection_is_kept_and_serves_one_request_after_the_other) {
    Served it;
    const Peer peer(it.path);
    for (const char* body : {"first", "", "third"}) {
        peer.send(request("POST", "/api", body));
        BOOST_TEST(peer.answer().find("\r\n\r\nPOST /api " + std::string(body)) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(the_answer_has_status_length_and_body_and_a_heads_has_no_body) {
    Served it;
    const Peer peer(it.path);
    peer.send(request("HEAD", "/api"));
    const std::string answer = peer.answer();
    BOOST_TEST(answer.find("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n") !=
               std::string::npos);
    BOOST_TEST(answer.find("HEAD /api") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_body_larger_than_libfcgis_buffer_arrives_whole) {
    Served it;
    const Peer peer(it.path);
    const std::string body(20'000, 'x');
    peer.send(request("POST", "/api", body));
    BOOST_TEST(peer.answer().size() > body.size());
}

BOOST_AUTO_TEST_CASE(a_request_in_two_halves_is_read_when_it_is_whole) {
    Served it;
    const Peer peer(it.path);
    const std::string bytes = request("GET", "/api");
    peer.send(bytes.substr(0, 20));
    const Peer other(it.path);
    other.send(bytes);
    BOOST_TEST(!other.answer().empty());
    peer.send(bytes.substr(20));
    BOOST_TEST(peer.answer().find("GET /api") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_request_that_comes_before_the_last_one_is_answered_is_served_after_it) {
    std::promise<ExchangePtr> held;
    const auto hold_the_first = [&](const ExchangePtr& exchange) {
        if (exchange->request.path == "/first") return held.set_value(exchange);
        echo(exchange);
    };
    Served it(hold_the_first, {.threads = 1, .request_read_ms = 10s, .drain_ms = 0ms});
    const Peer peer(it.path);
    peer.send(request("GET", "/first"));
    ExchangePtr first = held.get_future().get();
    peer.send(request("GET", "/second"));
    const Peer other(it.path);
    other.send(request("GET", "/other"));
    BOOST_TEST(!other.answer().empty());  // so the one worker has seen the second request, and passed over it
    echo(std::exchange(first, nullptr));
    std::string answers = peer.answer();
    if (answers.find("GET /second") == std::string::npos) answers += peer.answer();
    BOOST_TEST(answers.find("GET /first") < answers.find("GET /second"));
    BOOST_TEST(answers.find("GET /second") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_drained_server_keeps_no_idle_connection_open) {
    Served it;
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    BOOST_TEST(!peer.answer().empty());
    it.server.drain();
    BOOST_TEST(peer.closed_by_server());
}

BOOST_AUTO_TEST_CASE(half_requests_and_silence_end_and_slow_nobody) {
    Served it(echo, {.threads = 2, .request_read_ms = 300ms, .drain_ms = 0ms});
    const Peer silent(it.path);
    const Peer half(it.path);
    half.send(request("GET", "/api").substr(0, 20));
    const Peer also_half(it.path);
    also_half.send("\x01");
    const Peer good(it.path);
    good.send(request("GET", "/api"));
    BOOST_TEST(!good.answer().empty());
    BOOST_TEST(silent.closed_by_server());
    BOOST_TEST(half.closed_by_server());
    BOOST_TEST(also_half.closed_by_server());
    good.send(request("GET", "/api"));  // one that has asked before may be silent for as long as it likes
    BOOST_TEST(!good.answer().empty());
}

BOOST_AUTO_TEST_CASE(a_malformed_request_closes_its_connection) {
    Served it;
    const Peer peer(it.path);
    peer.send("GET / HTTP/1.1\r\n\r\n");
    BOOST_TEST(peer.answer().empty());
}

BOOST_AUTO_TEST_CASE(the_largest_body_in_records_of_one_byte_that_come_one_at_a_time_is_read) {
    Served it;
    const Peer peer(it.path);
    for (int i = 0; i < 2; ++i) {  // a connection that is kept, too
        const std::string body(body_max_bytes, i == 0 ? 'x' : 'y');
        peer.send(record(1, std::string{0, 1, 1, 0, 0, 0, 0, 0}));
        peer.send(record(4, pair("REQUEST_METHOD", "POST") + pair("CONTENT_LENGTH", std::to_string(body.size()))));
        peer.send(record(4, ""));
        for (const char byte : body) peer.send(record(5, std::string{byte}));
        peer.send(record(5, ""));
        // The answer comes in several records, with their headers between.
        const std::string answer = peer.answer();
        BOOST_TEST(has(answer, "POST  " + body.substr(0, 1000)));
        BOOST_TEST(static_cast<std::size_t>(std::ranges::count(answer, body[0])) >= body_max_bytes);
    }
}

BOOST_AUTO_TEST_CASE(a_request_in_single_bytes_is_read) {
    Served it;
    const Peer peer(it.path);
    for (const char byte : request("GET", "/api")) peer.send({byte});
    BOOST_TEST(has(peer.answer(), "GET /api"));
}

BOOST_AUTO_TEST_CASE(what_is_turned_away_has_one_line_that_says_why_and_whose_request_it_was) {
    const Lines lines;
    Served it(echo, {.threads = 1, .request_read_ms = 200ms, .drain_ms = 0ms}, lines.fd());
    const std::string begun = record(1, std::string{0, 1, 1, 0, 0, 0, 0, 0}) + record(4, pair("REQUEST_ID", "4711"));

    const Peer silent(it.path);
    BOOST_TEST(silent.closed_by_server());
    std::string line = lines.next();
    BOOST_TEST(has(line, R"("level":"warning","event":"request_refused","reason":"not whole in time","bytes":0})"),
               line);

    const Peer late(it.path);
    late.send(begun);
    BOOST_TEST(late.closed_by_server());
    line = lines.next();
    BOOST_TEST(has(line, R"("request_id":"4711","reason":"not whole in time","bytes":40})"), line);

    const Peer malformed(it.path);
    malformed.send(begun + "no record");
    BOOST_TEST(malformed.closed_by_server());
    line = lines.next();
    BOOST_TEST(has(line, R"("request_id":"4711","reason":"malformed","bytes":49})"), line);

    const Peer large(it.path);
    large.send(begun);
    for (std::size_t sent = 0; sent <= request_max_bytes; sent += 60'000)
        large.send(record(4, std::string(60'000, 'x')));
    BOOST_TEST(large.closed_by_server());
    line = lines.next();
    BOOST_TEST(has(line, R"("request_id":"4711","reason":"too large","bytes":)"), line);

    const Peer cut(it.path);
    cut.send(begun);
    cut.close_half();
    BOOST_TEST(cut.closed_by_server());
    line = lines.next();
    BOOST_TEST(has(line, R"("request_id":"4711","reason":"ended before it was whole","bytes":40})"), line);
}

BOOST_AUTO_TEST_CASE(a_peer_that_sends_no_more_gets_its_answer_and_the_end) {
    std::promise<ExchangePtr> taken;
    Served it([&](const ExchangePtr& exchange) {
        if (exchange->request.path == "/later") return taken.set_value(exchange);
        echo(exchange);
    });
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    peer.close_half();
    BOOST_TEST(has(peer.answer(), "GET /api"));
    BOOST_TEST(peer.closed_by_server());

    const Peer later(it.path);
    later.send(request("GET", "/later"));
    ExchangePtr exchange = taken.get_future().get();
    later.close_half();
    BOOST_TEST(exchange->client_waits());
    echo(std::exchange(exchange, nullptr));
    BOOST_TEST(has(later.answer(), "GET /later"));
    BOOST_TEST(later.closed_by_server());
}

BOOST_AUTO_TEST_CASE(on_tcp_a_peer_that_sends_no_more_is_answered_where_the_server_is_told_so) {
    const std::string address = "[::1]:" + std::to_string(20'000 + ::getpid() % 10'000);
    for (const bool waits : {true, false}) {
        Watchdog watchdog;
        Log log{-1};
        FcgiServer server(address, {.threads = 1, .drain_ms = 0ms, .half_closed_waits = waits}, echo, watchdog, log);
        const int fd = connect_to(address, 5s);
        BOOST_REQUIRE(fd >= 0);
        // Not whole yet, so that both ends are known when it is.
        const std::string bytes = request("GET", "/health");
        BOOST_REQUIRE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_MORE) ==
                      static_cast<ssize_t>(bytes.size()));
        ::shutdown(fd, SHUT_WR);
        std::array<char, 256> answer{};
        BOOST_TEST((::recv(fd, answer.data(), answer.size(), 0) > 0) == waits);
        ::close(fd);
    }
}

BOOST_AUTO_TEST_CASE(the_largest_answer_waits_for_a_peer_that_does_not_read_yet) {
    std::promise<void> answered;
    Served it([&](const ExchangePtr& exchange) {
        Response response{.status = 200};
        response.set_body(std::string(answer_max_bytes - 100, 'x'));
        exchange->respond(response);
        answered.set_value();
    });
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    answered.get_future().get();
    const std::string answer = peer.answer();
    BOOST_TEST(static_cast<std::size_t>(std::ranges::count(answer, 'x')) == answer_max_bytes - 100);
}

BOOST_AUTO_TEST_CASE(an_exchange_that_is_dropped_closes_its_connection_without_an_end) {
    Served it([](const ExchangePtr&) {});
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    BOOST_TEST(peer.answer().empty());
}

BOOST_AUTO_TEST_CASE(the_answer_may_come_from_another_thread_after_the_handler_returned) {
    std::promise<ExchangePtr> taken;
    Served it([&](const ExchangePtr& exchange) { taken.set_value(exchange); });
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    ExchangePtr exchange = taken.get_future().get();
    BOOST_TEST(exchange->client_waits());
    echo(std::exchange(exchange, nullptr));
    BOOST_TEST(peer.answer().find("GET /api") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_client_that_has_gone_is_seen) {
    std::promise<ExchangePtr> taken;
    Served it([&](const ExchangePtr& exchange) { taken.set_value(exchange); });
    auto peer = std::make_unique<Peer>(it.path);
    peer->send(request("GET", "/api"));
    const ExchangePtr exchange = taken.get_future().get();
    BOOST_TEST(exchange->client_waits());
    peer.reset();
    while (exchange->client_waits()) std::this_thread::yield();  // or the suite's time is up
}

BOOST_AUTO_TEST_CASE(a_stream_goes_on_as_the_client_takes_it) {
    std::function<void(Exchange&, int)> send = [&](Exchange& exchange, int left) {
        if (left == 0) return exchange.write("end", nullptr);
        exchange.write(std::string(50'000, 'x'), [&send, left](Exchange& next) { send(next, left - 1); });
    };
    Served it([&](const ExchangePtr& exchange) {
        exchange->begin({.status = 200});
        send(*exchange, 40);
    });
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    const std::string answer = peer.answer();
    BOOST_TEST(std::ranges::count(answer, 'x') == 40 * 50'000);
    BOOST_TEST(answer.find("end") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(more_connections_than_the_limit_wait_for_their_turn) {
    Served it(echo, {.threads = 1, .connections_max = 2, .request_read_ms = 10s, .drain_ms = 0ms});
    auto one = std::make_unique<Peer>(it.path);
    const Peer two(it.path);
    one->send(request("GET", "/one"));
    two.send(request("GET", "/two"));
    BOOST_TEST(!one->answer().empty());
    BOOST_TEST(!two.answer().empty());
    const Peer three(it.path);
    three.send(request("GET", "/three"));
    // When it has answered twice more, the only worker has found no room for the third.
    for (int i = 0; i < 2; ++i) {
        two.send(request("GET", "/two"));
        BOOST_TEST(!two.answer().empty());
    }
    one.reset();
    BOOST_TEST(three.answer().find("GET /three") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(draining_answers_what_is_in_hand_and_takes_nobody_new) {
    std::promise<ExchangePtr> taken;
    Served it([&](const ExchangePtr& exchange) { taken.set_value(exchange); });
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    ExchangePtr exchange = taken.get_future().get();
    std::thread draining([&] { it.server.drain(); });
    while (::access(it.path.c_str(), F_OK) == 0) std::this_thread::yield();
    echo(std::exchange(exchange, nullptr));
    draining.join();
    BOOST_TEST(peer.answer().find("GET /api") != std::string::npos);
    BOOST_TEST(peer.closed_by_server());
}

BOOST_AUTO_TEST_CASE(draining_does_not_wait_for_ever_for_an_answer) {
    std::promise<ExchangePtr> taken;
    Served it([&](const ExchangePtr& exchange) { taken.set_value(exchange); },
              {.threads = 1, .request_read_ms = 10s, .drain_ms = 0ms, .drain_max_ms = 50ms});
    const Peer peer(it.path);
    peer.send(request("GET", "/api"));
    const ExchangePtr kept = taken.get_future().get();
    it.server.drain();
    echo(kept);
    BOOST_TEST(peer.answer().find("GET /api") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_socket_is_its_owners_and_groups_alone_and_a_stale_one_is_no_obstacle) {
    const std::string path = "/tmp/fcgi_server_test." + std::to_string(::getpid());
    const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    BOOST_REQUIRE(::bind(stale, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(stale);
    Served it;
    struct stat status {};
    BOOST_REQUIRE(::stat(it.path.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0660U);
    BOOST_TEST(fcgi_probe("unix:" + it.path, "GET", "/health", 1000ms));
}

BOOST_AUTO_TEST_CASE(a_probe_sends_its_method_and_path_and_takes_success_alone_for_an_answer) {
    std::string asked;
    int status = 204;
    Served it([&](const ExchangePtr& exchange) {
        asked = exchange->request.method + ' ' + exchange->request.path;
        exchange->respond({.status = status});
    });
    BOOST_TEST(fcgi_probe("unix:" + it.path, "OPTIONS", "/api", 1000ms));
    BOOST_TEST(asked == "OPTIONS /api");
    status = 503;
    BOOST_TEST(!fcgi_probe("unix:" + it.path, "GET", "/health", 1000ms));
}

BOOST_AUTO_TEST_CASE(a_probe_of_a_server_whose_worker_is_stuck_fails_in_time) {
    std::promise<void> end;
    Served it([stuck = end.get_future().share()](const ExchangePtr&) { stuck.wait(); },
              {.threads = 1, .request_read_ms = 10s, .drain_ms = 0ms});
    BOOST_TEST(!fcgi_probe("unix:" + it.path, "OPTIONS", "/api", 100ms));
    end.set_value();
}

BOOST_AUTO_TEST_CASE(an_address_in_use_is_an_error_that_names_it) {
    Served it;
    Watchdog watchdog;
    Log log{-1};
    const auto names_it = [&](const std::runtime_error& error) {
        return error.what() == "cannot listen on unix:" + it.path + ": Address already in use";
    };
    BOOST_CHECK_EXCEPTION(FcgiServer("unix:" + it.path, {}, echo, watchdog, log), std::runtime_error, names_it);
    BOOST_TEST(fcgi_probe("unix:" + it.path, "GET", "/health", 1000ms));
}

BOOST_AUTO_TEST_CASE(a_socket_that_cannot_be_made_is_an_error_that_says_why) {
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto says_why = [](const std::runtime_error& error) {
        return std::string_view(error.what()) == "cannot listen on unix:/tmp/nobody.sock: Too many open files";
    };
    BOOST_CHECK_EXCEPTION(listen_on("unix:/tmp/nobody.sock", 1), std::runtime_error, says_why);
    ::setrlimit(RLIMIT_NOFILE, &before);
}

BOOST_AUTO_TEST_CASE(a_server_whose_workers_cannot_all_be_made_is_an_error) {
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_AS, &before) == 0);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlimit room_for_a_few{.rlim_cur = pages * 4096 + 100'000'000, .rlim_max = before.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_AS, &room_for_a_few) == 0);
    BOOST_CHECK_THROW(Served(echo, {.threads = 64, .drain_ms = 0ms}), std::runtime_error);  // its worker's stack
    ::setrlimit(RLIMIT_AS, &before);
}

BOOST_AUTO_TEST_CASE(a_probe_of_nobody_fails) {
    BOOST_TEST(!fcgi_probe("unix:/tmp/nobody.sock", "GET", "/health", 100ms));
}

BOOST_AUTO_TEST_SUITE_END()
