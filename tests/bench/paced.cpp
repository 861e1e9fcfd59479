// A load generator with an open loop: it sends a fixed number of requests a second over kept connections and counts each
// latency from the moment when its request was due, so that a server that stalls cannot slow its own clock down (wrk's
// clients wait for an answer before they ask again). It must not know what it asks for. One thread.
//   usage: paced PORT RATE CONNECTIONS SECONDS STATUS METHOD PATH [BODY]      prints one JSON object
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// What is not answered this long after the last request was due has failed.
constexpr auto patience = 2s;

struct Connection {
    int fd = -1;
    bool busy = false;
    Clock::time_point due{};
    std::string answer;
};

int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        std::perror("paced: connect");
        std::exit(1);
    }
    return fd;
}

// Whether `answer` is whole: a head, and as many bytes behind it as its Content-Length says, or, without one (as PHP
// answers), the last chunk.
bool is_whole(const std::string& answer) {
    const auto end = answer.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const auto length = answer.find("Content-Length: ");
    if (length > end) return answer.ends_with("\r\n0\r\n\r\n");
    return answer.size() >= end + 4 + std::strtoul(answer.c_str() + length + 16, nullptr, 10);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 8)
        return std::fputs("usage: paced PORT RATE CONNECTIONS SECONDS STATUS METHOD PATH [BODY]\n", stderr), 2;
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    const auto pause = std::chrono::duration_cast<Clock::duration>(1s / std::atof(argv[2]));
    const std::string body = argc > 8 ? argv[8] : "";
    const std::string request =
        std::string(argv[6]) + ' ' + argv[7] + " HTTP/1.1\r\nHost: localhost\r\n" +
        (body.empty() ? ""
                      : "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n") +
        "\r\n" + body;
    const std::string status_line = std::string("HTTP/1.1 ") + argv[5];

    // The kernel's default is to wake up to 50 us late, in order to wake less often.
    ::prctl(PR_SET_TIMERSLACK, 1);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<Connection> connections(static_cast<std::size_t>(std::atoi(argv[3])));
    std::vector<Connection*> idle;
    const auto open = [&](Connection& connection) {
        connection.fd = connect_to(port);
        epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event);
        idle.push_back(&connection);
    };
    for (Connection& connection : connections) open(connection);

    std::vector<double> latencies_ms;
    std::size_t failed = 0;
    const auto finish = [&](Connection& connection, bool good) {
        connection.busy = false;
        failed += good ? 0 : 1;
        latencies_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - connection.due).count());
        connection.answer.clear();
    };
    // A broken connection is replaced; the request on it has failed.
    const auto replace = [&](Connection& connection) {
        if (connection.busy) finish(connection, false);
        std::erase(idle, &connection);
        ::close(connection.fd);
        open(connection);
    };

    const auto start = Clock::now();
    const auto end = start + std::chrono::seconds(std::atoi(argv[4]));
    auto due = start;
    for (;;) {
        // Where all connections are busy a request waits here, and its clock runs already.
        auto now = Clock::now();
        while (due < end && due <= now && !idle.empty()) {
            Connection& connection = *idle.back();
            idle.pop_back();
            connection.busy = true;
            connection.due = due;
            due += pause;
            if (::send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) replace(connection);
        }
        if (due >= end && idle.size() == connections.size()) break;
        if (now > end + patience) break;

        auto wait = due < end && !idle.empty() ? std::max<Clock::duration>(due - now, 0ns) : 100ms;
        const timespec limit{.tv_sec = 0, .tv_nsec = std::min<long>(wait.count(), 100'000'000)};
        std::array<epoll_event, 64> events;
        const int count = ::epoll_pwait2(epoll, events.data(), events.size(), &limit, nullptr);
        for (int i = 0; i < count; ++i) {
            Connection& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            std::array<char, 16'384> piece;
            const ssize_t got = ::recv(connection.fd, piece.data(), piece.size(), MSG_DONTWAIT);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) {
                replace(connection);
                continue;
            }
            connection.answer.append(piece.data(), static_cast<std::size_t>(got));
            if (!connection.busy || !is_whole(connection.answer)) continue;
            finish(connection, connection.answer.starts_with(status_line));
            idle.push_back(&connection);
        }
    }

    // What was due and never sent, or sent and never answered, has failed too.
    const auto asked = static_cast<std::size_t>((end - start + pause - 1ns) / pause);
    const std::size_t unanswered = asked > latencies_ms.size() ? asked - latencies_ms.size() : 0;
    std::sort(latencies_ms.begin(), latencies_ms.end());
    const auto percentile = [&](double part) {
        if (latencies_ms.empty()) return 0.0;
        return latencies_ms[static_cast<std::size_t>(part * static_cast<double>(latencies_ms.size() - 1))];
    };
    std::printf("{\"requests\":%zu,\"failed\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
                latencies_ms.size(), failed + unanswered, percentile(0.5), percentile(0.99), percentile(1));
}
