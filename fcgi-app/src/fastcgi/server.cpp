// epoll and libfcgi. libfcgi is given one connection at a time by its descriptor; the fields of FCGX_Request
// that its header calls private (ipcFd, keepConnection) are used for that, as a unit test checks for each version.
#include "fastcgi/server.hpp"

#include "base/socket.hpp"
#include "fastcgi/gate.hpp"
#include "http/limits.hpp"
#include "http/problem.hpp"

#include <fastcgi.h>
#include <fcgiapp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <system_error>

namespace app {
namespace {

using namespace std::chrono_literals;

// What epoll calls those that are no connections: the least, as last_number_ says.
constexpr std::uint64_t stop_number = 0;
constexpr std::uint64_t listener_number = 1;
// How long a worker that got no descriptor for a connection waits before it tries again.
constexpr auto accept_pause = 50ms;

std::string param(const FCGX_Request& request, const char* name) {
    const char* value = FCGX_GetParam(name, request.envp);
    return value == nullptr ? std::string() : std::string(value);
}

// A file in memory with `bytes`, to be read from its beginning; -1 if there is none to be had.
int file_of(std::string_view bytes) {
    const int file = ::memfd_create("request", MFD_CLOEXEC);
    if (file < 0 || ::pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size())) return file;
    ::close(file);
    return -1;
}

// The empty STDIN record belongs to the request: unread, it would lie before the next one.
std::string read_body(FCGX_Request& request) {
    std::string body;
    std::array<char, 4096> piece;
    while (const int count = FCGX_GetStr(piece.data(), static_cast<int>(piece.size()), request.in))
        body.append(piece.data(), static_cast<std::size_t>(count));
    return body;
}

// By the names of the parameters: CONTENT_TYPE, and HTTP_ before those that are headers as they were sent.
std::vector<std::pair<std::string, std::string>> headers_of(const FCGX_Request& fcgi) {
    constexpr std::string_view prefix = "HTTP_";
    constexpr std::string_view type = "CONTENT_TYPE";
    std::vector<std::pair<std::string, std::string>> headers;
    for (char** entry = fcgi.envp; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const auto equals = text.find('=');
        std::string_view name = text.substr(0, equals);
        if (equals == text.npos || equals + 1 == text.size()) continue;  // not sent
        if (name != type && !name.starts_with(prefix)) continue;
        if (name != type) name.remove_prefix(prefix.size());
        headers.emplace_back(name, text.substr(equals + 1));
    }
    return headers;
}

Request request_of(FCGX_Request& fcgi) {
    return {.method = param(fcgi, "REQUEST_METHOD"),
            .path = param(fcgi, "DOCUMENT_URI"),
            .query = param(fcgi, "QUERY_STRING"),
            .headers = headers_of(fcgi),
            .body = read_body(fcgi),
            .request_id = param(fcgi, "REQUEST_ID")};
}

// The request that lies in the socket, or in `taken` where it was taken off it; none, and errno, if libfcgi cannot read it.
std::optional<Request> read_request(FCGX_Request& fcgi, const std::string& taken) {
    if (taken.empty()) return FCGX_Accept_r(&fcgi) == 0 ? std::optional(request_of(fcgi)) : std::nullopt;
    const int socket = fcgi.ipcFd;
    const int file = file_of(taken);
    if (file < 0) return std::nullopt;
    fcgi.ipcFd = file;
    std::optional<Request> request;
    if (FCGX_Accept_r(&fcgi) == 0) {
        request = request_of(fcgi);
        ::close(file);  // where it fails, libfcgi has done that
    }
    fcgi.ipcFd = socket;  // for the answer
    return request;
}

std::string head_text(const Response& response) {
    std::string head = "Status: " + std::to_string(response.status) + ' ';
    head += reason_phrase(response.status);
    for (const Header& header : response.headers)
        head.append("\r\n").append(header.name).append(": ").append(header.value);
    if (response.body != nullptr) head.append("\r\nContent-Length: ") += std::to_string(response.body->size());
    head += "\r\n\r\n";
    return head;
}

}  // namespace

// One connection, alive while it is in the table or a Conversation has it. Events come to any worker at any time; who
// takes the turn is alone with what is in here until it ends the turn, perhaps on another thread, or forgets the
// connection.
class FcgiServer::Connection {
public:
    Connection(int accepted, std::uint64_t its_number) : fd(accepted), number(its_number) {
        FCGX_InitRequest(&fcgi, -1, 0);
        // Without these libfcgi would accept a connection of its own instead of reading this one.
        fcgi.ipcFd = fd;
        fcgi.keepConnection = 1;
    }
    ~Connection() {
        deadline.reset();
        const bool still_open = fcgi.ipcFd >= 0;  // libfcgi closes what it cannot read
        // Its own close would linger for a peer that does not close its end.
        FCGX_Free(&fcgi, 0);
        if (still_open) ::close(fd);
    }

    bool take_turn() { return events_.fetch_add(1) == 0; }
    // True: there were more events meanwhile, and no thread has looked.
    bool end_turn() { return events_.exchange(0) > 1; }
    bool had_events() const { return events_ > 1; }

    const int fd;
    const std::uint64_t number;  // in the epoll set: a descriptor's number could be another connection's by then
    FCGX_Request fcgi{};
    std::string begun;                        // what was taken off the socket of a request that has not come whole
    bool half_closed = false;                 // the peer sends no more
    std::optional<Watchdog::Watch> deadline;  // of a request that has not come whole, or of the first
    std::function<void()> next;               // of an answer that streams, once the peer can take more
    unsigned awaited = EPOLLIN;               // guarded by the server's mutex; EPOLLOUT once an answer streams

private:
    std::atomic<int> events_ = 0;  // since the turn was taken, with the one that took it
};

// A request in hand. It has the turn of its connection until it is answered, but for the pauses of one that streams.
class FcgiServer::Conversation final : public Exchange {
public:
    Conversation(FcgiServer& server, std::shared_ptr<Connection> connection, Request received)
        : Exchange(std::move(received)), server_(server), connection_(std::move(connection)) {
        const std::lock_guard lock(server_.mutex_);
        ++server_.in_hand_;
    }
    ~Conversation() override {
        if (connection_ != nullptr) server_.forget(*connection_);
        connection_.reset();
        const std::lock_guard lock(server_.mutex_);
        if (--server_.in_hand_ == 0) server_.none_in_hand_.notify_all();
    }

    bool client_waits() const override {
        if (!connection_->had_events()) return true;  // an end would be one
        pollfd peer{.fd = connection_->fd, .events = static_cast<short>(server_.peer_has_gone_), .revents = 0};
        return ::poll(&peer, 1, 0) == 0;
    }

    void respond(const Response& response) override {
        put(head_text(response));
        if (response.body != nullptr && request.method != "HEAD") put(*response.body);
        finish(connection_->fcgi.keepConnection != 0 && !server_.draining_);
    }

    void begin(const Response& head) override { put(head_text(head)); }

    void write(std::string_view piece, std::function<void(Exchange&)> next) override {
        put(piece);
        if (next == nullptr) return finish(false);
        FCGX_FFlush(connection_->fcgi.out);
        if (failed(connection_->fcgi)) return;  // the caller lets go of this, and that closes
        const std::shared_ptr<Connection> connection = connection_;
        connection->next = [self = shared_from_this(), next = std::move(next)] { next(*self); };
        server_.give_back(*connection);
    }

private:
    void put(std::string_view text) { FCGX_PutStr(text.data(), static_cast<int>(text.size()), connection_->fcgi.out); }

    // No other call says so, and the next one would send once more what this one could not.
    static bool failed(const FCGX_Request& fcgi) { return FCGX_GetError(fcgi.out) != 0; }

    void finish(bool keep) {
        const std::shared_ptr<Connection> connection = std::exchange(connection_, nullptr);
        if (!keep) let_peer_see_the_end(connection->fd);
        // Not FCGX_Finish_r, which would close the descriptor where this fails; that is the Connection's.
        FCGX_Request& fcgi = connection->fcgi;
        const bool sent = !failed(fcgi) && FCGX_FClose(fcgi.err) == 0 && FCGX_FClose(fcgi.out) == 0;
        FCGX_Free(&fcgi, 0);
        if (!sent) server_.log_.warning("answer_lost", {{"request_id", request.request_id}});
        if (sent && keep && !connection->half_closed) return server_.give_back(*connection);
        server_.forget(*connection);
    }

    // nginx may take a connection for its next request between reading the answer and seeing it closed, and then could
    // not say whether that request was done. So a unix socket takes nothing more from here on (nginx sees that it sent
    // nothing), and on TCP the answer's last bytes and the end travel together.
    static void let_peer_see_the_end(int fd) {
        const int yes = 1;
        ::shutdown(fd, SHUT_RD);
        ::setsockopt(fd, IPPROTO_TCP, TCP_CORK, &yes, sizeof yes);
    }

    FcgiServer& server_;
    std::shared_ptr<Connection> connection_;
};

FcgiServer::FcgiServer(const std::string& address, const FcgiServerLimits& limits, Handle handle, Watchdog& watchdog,
                       Log& log)
    : limits_(limits),
      handle_(std::move(handle)),
      watchdog_(watchdog),
      log_(log),
      address_(address),
      peer_has_gone_(EPOLLHUP | EPOLLERR |
                     (limits.half_closed_waits || address.starts_with("unix:") ? 0U : EPOLLRDHUP)) {
    FCGX_Init();
    listener_ = listen_on(address, static_cast<int>(limits_.connections_max));
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    epoll_event stop{.events = EPOLLIN, .data = {.u64 = stop_number}};  // not EPOLLET: every worker is to see it
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &stop) != 0 ||
        !watch_for(EPOLLIN, listener_, listener_number, EPOLL_CTL_ADD))
        throw std::system_error(errno, std::generic_category(), "epoll");
    for (int i = 0; i < limits_.threads; ++i)
        workers_.emplace_back([this](const std::stop_token& stopped) { work(stopped); });
}

FcgiServer::~FcgiServer() {
    drain();
    forget_idle();
    ::close(listener_);
    ::close(stop_);
    ::close(epoll_);
}

void FcgiServer::drain() {
    if (workers_.empty()) return;
    draining_ = true;
    // First no new peers, then those that wait to be accepted, which may have sent a request already.
    unlink_socket(address_);
    accept_all();
    ::shutdown(listener_, SHUT_RDWR);
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_until(start + limits_.drain_ms);
    {
        std::unique_lock lock(mutex_);
        none_in_hand_.wait_until(lock, start + limits_.drain_max_ms, [this] { return in_hand_ == 0; });
    }
    for (std::jthread& worker : workers_) worker.request_stop();
    workers_.clear();  // and waits for each
    forget_idle();
}

// Once no worker looks any more: a peer that sends something now sees at once that it will not be read.
void FcgiServer::forget_idle() {
    std::vector<std::shared_ptr<Connection>> idle;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [number, connection] : open_) {
            if (connection->take_turn()) idle.push_back(connection);
        }
        for (const auto& connection : idle) open_.erase(connection->number);
    }
    // An answer that streams is its connection's, and has it too.
    for (const auto& connection : idle) connection->next = nullptr;
}

void FcgiServer::work(const std::stop_token& stopped) {
    const std::stop_callback wake(stopped, [this] { ::eventfd_write(stop_, 1); });
    std::array<epoll_event, 64> events;
    while (!stopped.stop_requested()) {
        const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
        bool accepts = false;
        for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
            accepts = accepts || event.data.u64 == listener_number;
            if (event.data.u64 > listener_number) turn_to(event.data.u64, event.events);
        }
        if (accepts) accept_all();  // last, since it may wait
    }
}

void FcgiServer::turn_to(std::uint64_t number, unsigned events) {
    std::shared_ptr<Connection> connection;
    {
        const std::lock_guard lock(mutex_);
        const auto found = open_.find(number);
        if (found == open_.end()) return;
        connection = found->second;
    }
    if (connection->take_turn()) look_at(connection, events);
}

void FcgiServer::accept_all() {
    const int error = accept_while_there_is_room();
    if (error == 0 || error == EAGAIN || error == EINVAL) {  // EINVAL: draining has shut the listener down
        accept_error_ = 0;
        return;
    }
    // Out of descriptors or memory: the connections wait in the queue meanwhile. One line a time.
    if (accept_error_.exchange(error) != error)
        log_.error("accept_failed", {{"reason", std::string_view(std::strerror(error))}});
    std::this_thread::sleep_for(accept_pause);
    watch_for(EPOLLIN, listener_, listener_number, EPOLL_CTL_MOD);
}

// Until none waits or one fails (its errno then; 0: there is no more room, and the next one that closes makes some).
int FcgiServer::accept_while_there_is_room() {
    constexpr int send_buffer = send_buffer_bytes;
    const std::lock_guard lock(mutex_);
    while (open_.size() < limits_.connections_max) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (fd < 0) return errno;
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
        const auto connection = std::make_shared<Connection>(fd, ++last_number_);
        connection->deadline.emplace(watchdog_, fd, limits_.request_read_ms);
        open_.emplace(connection->number, connection);
        if (!watch_for(EPOLLIN, fd, connection->number, EPOLL_CTL_ADD)) open_.erase(connection->number);
    }
    return 0;
}

void FcgiServer::look_at(const std::shared_ptr<Connection>& connection, unsigned events) {
    const bool gone = (events & peer_has_gone_) != 0;
    if (connection->next != nullptr) {
        if (!gone && (events & EPOLLOUT) == 0) return give_back(*connection);  // an event from before
        const auto next = std::exchange(connection->next, nullptr);
        if (!gone) next();
        return;  // if the conversation was not kept, its end closes the connection
    }
    connection->half_closed = connection->half_closed || (events & EPOLLRDHUP) != 0;
    std::array<char, request_max_bytes> piece;
    const int flags = connection->begun.empty() ? MSG_PEEK : 0;
    // A peer that has gone does not wait for what it asked (it may be long ago, if this process was stopped).
    const ssize_t count = gone ? 0 : ::recv(connection->fd, piece.data(), piece.size(), flags);
    if (count < 0 && errno == EAGAIN) return give_back(*connection);  // an event of what has been read already
    if (count > 0) return judge(connection, {piece.data(), static_cast<std::size_t>(count)});
    if (connection->deadline && connection->deadline->fired()) return turn_away(*connection, "not whole in time");
    forget(*connection);
}

// Nearly every request is whole when it is first seen: then `piece` is still in the socket, where libfcgi reads it. One that
// comes in pieces is taken off the socket, since there each piece, however small, takes a buffer of its own.
void FcgiServer::judge(const std::shared_ptr<Connection>& connection, std::string_view piece) {
    std::string& begun = connection->begun;
    const bool first = begun.empty();
    if (!first) begun += piece;
    const Framing framing = inspect(first ? piece : begun);
    if (framing == Framing::whole) {
        connection->deadline.reset();
        return receive(connection);
    }
    if (first) {
        begun.resize(piece.size());
        ::recv(connection->fd, begun.data(), begun.size(), 0);
    }
    if (framing == Framing::malformed) return turn_away(*connection, "malformed");
    if (framing == Framing::oversized) return turn_away(*connection, "too large");
    if (connection->half_closed) return turn_away(*connection, "ended before it was whole");
    // What is still to come will be an event, as the set is edge-triggered.
    if (!connection->deadline) connection->deadline.emplace(watchdog_, connection->fd, limits_.request_read_ms);
    give_back(*connection);
}

// Ends a connection whose request will not be read.
void FcgiServer::turn_away(const Connection& connection, std::string_view reason) {
    const std::string& begun = connection.begun;
    log_.warning(
        "request_refused",
        {{"request_id", request_id_in(begun)}, {"reason", reason}, {"bytes", static_cast<std::int64_t>(begun.size())}});
    forget(connection);
}

void FcgiServer::receive(const std::shared_ptr<Connection>& connection) {
    auto request = read_request(connection->fcgi, std::exchange(connection->begun, {}));
    if (!request) {
        // Out of descriptors or memory; or a defect: libfcgi refused what the gate had passed.
        log_.error("request_unreadable", {{"reason", std::string_view(std::strerror(errno))}});
        return forget(*connection);
    }
    handle_(std::make_shared<Conversation>(*this, connection, std::move(*request)));
}

// Ends the turn. From there on another thread may have the connection, and its answer may have begun to stream before the lock
// is had here: to await EPOLLIN then would lose the EPOLLOUT that it waits for.
void FcgiServer::give_back(Connection& connection) {
    // One that streams waits until the peer can take more; if it can already, that is to be an event, too.
    const bool streams = connection.next != nullptr;
    if (!connection.end_turn() && !streams) return;
    const std::lock_guard lock(mutex_);
    if (streams) connection.awaited = EPOLLOUT;
    watch_for(connection.awaited, connection.fd, connection.number, EPOLL_CTL_MOD);
}

// Lets the connection end, with its turn, as soon as no thread has it any more.
void FcgiServer::forget(const Connection& connection) {
    const std::lock_guard lock(mutex_);
    // The worker that is woken to accept waits for this lock.
    if (open_.size() == limits_.connections_max) watch_for(EPOLLIN, listener_, listener_number, EPOLL_CTL_MOD);
    open_.erase(connection.number);
}

// Each change is an event, once; so is a state that is there already when this is called.
bool FcgiServer::watch_for(unsigned events, int fd, std::uint64_t number, int operation) const {
    epoll_event event{.events = events | EPOLLRDHUP | EPOLLET, .data = {.u64 = number}};
    return ::epoll_ctl(epoll_, operation, fd, &event) == 0;
}

bool fcgi_probe(const std::string& address, std::string_view method, std::string_view path,
                std::chrono::milliseconds limit) {
    const auto record = [](char type, std::string_view content) {
        return std::string{1, type, 0, 1, 0, static_cast<char>(content.size()), 0, 0}.append(content);
    };
    const auto pair = [](std::string_view name, std::string_view value) {
        return std::string{static_cast<char>(name.size()), static_cast<char>(value.size())}.append(name).append(value);
    };
    const std::string request =
        record(FCGI_BEGIN_REQUEST, {"\0\1\0\0\0\0\0\0", 8}) +  // a responder, and an end behind the answer
        record(FCGI_PARAMS, pair("REQUEST_METHOD", method) + pair("DOCUMENT_URI", path)) + record(FCGI_PARAMS, {}) +
        record(FCGI_STDIN, {});
    const int fd = connect_to(address, limit);
    if (fd < 0) return false;
    std::array<char, 64> answer{};
    const bool answered =
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0 && ::recv(fd, answer.data(), answer.size(), 0) > 8;
    ::close(fd);
    return answered && std::string_view(answer.data() + 8, answer.size() - 8).starts_with("Status: 2");
}

}  // namespace app
