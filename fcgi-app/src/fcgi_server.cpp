// epoll and libfcgi. libfcgi is given one connection at a time by its descriptor; the fields of FCGX_Request
// that its header calls private (ipcFd, keepConnection) are used for that, as a unit test checks for each version.
#include "fcgi_server.hpp"

#include "gate.hpp"
#include "json.hpp"
#include "socket.hpp"

#include <fcgiapp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

namespace app {
namespace {

using namespace std::chrono_literals;

// How often a connection that holds half a request is looked at: epoll would report it without end.
constexpr auto look_again_pause = 10ms;
// How long a worker that got no descriptor for a connection waits before it tries again.
constexpr auto accept_pause = 50ms;
// Belt and braces: the gate lets libfcgi read only what is there, and an answer fits into the socket's buffer.
constexpr timeval read_limit{.tv_sec = 1, .tv_usec = 0};
constexpr timeval write_limit{.tv_sec = 5, .tv_usec = 0};
// The largest answer, a page of 100, with room; else writing one could wait for the peer.
constexpr int send_buffer_bytes = 256 * 1024;

std::string param(const FCGX_Request& request, const char* name) {
    const char* value = FCGX_GetParam(name, request.envp);
    return value == nullptr ? std::string() : std::string(value);
}

// The empty STDIN record belongs to the request: unread, it would lie before the next one.
std::string read_body(FCGX_Request& request) {
    std::string body;
    std::array<char, 4096> piece;
    int count = 0;
    do {
        count = FCGX_GetStr(piece.data(), static_cast<int>(piece.size()), request.in);
        body.append(piece.data(), static_cast<std::size_t>(count));
    } while (count == static_cast<int>(piece.size()));
    return body;
}

std::string head_text(const Response& response, bool with_length) {
    std::string head = "Status: " + std::to_string(response.status) + ' ';
    head += reason_phrase(response.status);
    for (const Header& header : response.headers)
        head.append("\r\n").append(header.name).append(": ").append(header.value);
    if (with_length && response.body != nullptr)
        head.append("\r\nContent-Length: ") += std::to_string(response.body->size());
    head += "\r\n\r\n";
    return head;
}

}  // namespace

// One connection. It has one owner at a time: a worker, the list of half-sent ones, a Conversation, or, as
// a plain pointer in its event, the epoll set. Only the owner may touch it.
class FcgiServer::Connection {
public:
    Connection(FcgiServer& server, int accepted) : server_(server), fd(accepted) {
        FCGX_InitRequest(&fcgi, -1, 0);
        // Without these libfcgi would accept a connection of its own instead of reading this one.
        fcgi.ipcFd = fd;
        fcgi.keepConnection = 1;
        server_.opened(this);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        deadline.reset();
        // libfcgi's own close would linger for a peer that does not close its end.
        const bool still_open = fcgi.ipcFd >= 0;
        FCGX_Free(&fcgi, 0);
        if (still_open) ::close(fd);
        server_.closed(this);
    }

private:
    FcgiServer& server_;

public:
    const int fd;
    FCGX_Request fcgi{};
    // Written by who hands the connection to the epoll set, read by who gets it from there: the kernel is no part
    // of C++'s memory model, this is.
    std::atomic<bool> in_epoll = false;
    std::optional<Watchdog::Watch> deadline;  // of a request that has not come whole, or of the first
    std::shared_ptr<Conversation> streaming;  // in the epoll set, waiting for the client to take more
    std::function<void(Exchange&)> next;
};

// A request in hand, and its connection until it is answered.
class FcgiServer::Conversation final : public Exchange {
public:
    Conversation(FcgiServer& server, std::unique_ptr<Connection> connection, Request received)
        : Exchange(std::move(received)),
          server_(server),
          connection_(std::move(connection)),
          peer_keeps_(connection_->fcgi.keepConnection != 0) {
        const std::lock_guard lock(server_.mutex_);
        ++server_.in_hand_;
    }
    ~Conversation() override {
        connection_.reset();
        const std::lock_guard lock(server_.mutex_);
        if (--server_.in_hand_ == 0) server_.none_in_hand_.notify_all();
    }

    bool client_waits() const override {
        // nginx never half-closes: it has given up, with or without bytes behind the end.
        pollfd peer{.fd = connection_->fd, .events = POLLRDHUP, .revents = 0};
        return ::poll(&peer, 1, 0) == 0;
    }

    void respond(const Response& response) override {
        put(head_text(response, true));
        if (response.body != nullptr && request.method != "HEAD") put(*response.body);
        finish();
    }

    void begin(const Response& head) override { put(head_text(head, false)); }

    void write(std::string_view piece, std::function<void(Exchange&)> next) override {
        put(piece);
        if (next == nullptr) return finish();
        if (FCGX_FFlush(connection_->fcgi.out) != 0) return;  // gone: the caller lets go of this, and that closes
        Connection& connection = *connection_;
        connection.streaming = std::static_pointer_cast<Conversation>(shared_from_this());
        connection.next = std::move(next);
        server_.arm(connection, EPOLLOUT);
    }

private:
    void put(std::string_view text) { FCGX_PutStr(text.data(), static_cast<int>(text.size()), connection_->fcgi.out); }

    void finish() {
        FCGX_Request& fcgi = connection_->fcgi;
        const bool keep = peer_keeps_ && !server_.draining_;
        fcgi.keepConnection = 1;  // closing is the Connection's, see there
        if (!keep) let_peer_see_the_end();
        FCGX_Finish_r(&fcgi);
        if (fcgi.ipcFd < 0) {
            server_.log_.warning("answer_lost", {{"request_id", request.request_id}});
        } else if (keep) {
            return server_.park(std::move(connection_));
        }
        connection_.reset();
    }

    // nginx may take a connection for its next request between reading the answer and seeing it closed, and then could not say
    // whether that request was done. So a unix socket takes nothing more from here on (nginx sees that it sent nothing), and on
    // TCP the answer's last bytes and the end travel together.
    void let_peer_see_the_end() {
        const int yes = 1;
        ::shutdown(connection_->fd, SHUT_RD);
        ::setsockopt(connection_->fd, IPPROTO_TCP, TCP_CORK, &yes, sizeof yes);
    }

    FcgiServer& server_;
    std::unique_ptr<Connection> connection_;
    const bool peer_keeps_;
};

FcgiServer::FcgiServer(const std::string& address, const FcgiServerLimits& limits, Handle handle, Watchdog& watchdog,
                       Log& log)
    : limits_(limits), handle_(std::move(handle)), watchdog_(watchdog), log_(log), address_(address) {
    FCGX_Init();
    listener_ = listen_on(address, static_cast<int>(limits_.connections_max));
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    epoll_event stop{.events = EPOLLIN, .data = {.ptr = &stop_}};
    epoll_event listener{.events = EPOLLIN | EPOLLONESHOT, .data = {.ptr = &listener_}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &stop) != 0 ||
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &listener) != 0) {
        throw std::system_error(errno, std::generic_category(), "epoll");
    }
    for (int i = 0; i < limits_.threads; ++i) workers_.emplace_back([this] { work(); });
}

FcgiServer::~FcgiServer() {
    drain();
    half_sent_.clear();
    for (const auto open = open_; Connection * connection : open) {
        // One that streams belongs to its conversation, which goes with it.
        if (const auto conversation = std::exchange(connection->streaming, nullptr)) continue;
        delete connection;
    }
    ::close(listener_);
    ::close(stop_);
    ::close(epoll_);
}

void FcgiServer::drain() {
    if (workers_.empty()) return;
    draining_ = true;
    // First nobody new, then whoever waits to be accepted, who may have sent a request already.
    unlink_socket(address_);
    accept_all();
    {
        const std::lock_guard lock(mutex_);
        listening_ = false;
    }
    ::shutdown(listener_, SHUT_RDWR);
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_until(start + limits_.drain_ms);
    {
        std::unique_lock lock(mutex_);
        none_in_hand_.wait_until(lock, start + limits_.drain_max_ms, [this] { return in_hand_ == 0; });
    }
    ::eventfd_write(stop_, 1);
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
}

void FcgiServer::work() {
    for (;;) {
        const int timeout_ms = half_sent_count_ > 0 ? static_cast<int>(look_again_pause.count()) : -1;
        epoll_event event{};
        const int count = ::epoll_wait(epoll_, &event, 1, timeout_ms);
        if (timeout_ms >= 0) look_again();
        if (count <= 0) continue;
        if (event.data.ptr == &stop_) return;
        if (event.data.ptr == &listener_) {
            accept_all();
            continue;
        }
        auto* connection = static_cast<Connection*>(event.data.ptr);
        static_cast<void>(connection->in_epoll.load(std::memory_order_acquire));
        const bool peer_closed = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (connection->streaming != nullptr) {
            continue_stream(*connection, peer_closed);
        } else {
            look_at(std::unique_ptr<Connection>(connection), peer_closed);
        }
    }
}

// Until none waits: what is left in the queue would wait for a whole turn of busy workers.
void FcgiServer::accept_all() {
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (!listening_) return;
            if (open_.size() >= limits_.connections_max) {
                listening_ = false;  // the next connection that closes takes it up again
                return;
            }
        }
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EAGAIN && errno != EINVAL) {
                // Out of descriptors or memory: the connections wait in the queue meanwhile. One line a time.
                if (accept_error_.exchange(errno) != errno) {
                    log_.error("accept_failed", {{"reason", std::string_view(std::strerror(errno))}});
                }
                std::this_thread::sleep_for(accept_pause);
            }
            return arm_listener();
        }
        accept_error_ = 0;
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &read_limit, sizeof read_limit);
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &write_limit, sizeof write_limit);
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
        auto connection = std::make_unique<Connection>(*this, fd);
        connection->deadline.emplace(watchdog_.watch(fd, limits_.request_read_ms));
        park(std::move(connection));
    }
}

void FcgiServer::look_at(std::unique_ptr<Connection> connection, bool peer_closed) {
    // A peer that has gone does not wait for what it asked (it may be long ago, if this process was stopped).
    if (peer_closed) return;
    std::array<char, request_max_bytes> bytes;
    const ssize_t count = ::recv(connection->fd, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (count <= 0) return;
    switch (inspect({bytes.data(), static_cast<std::size_t>(count)})) {
        case Framing::whole:
            connection->deadline.reset();
            return receive(std::move(connection));
        case Framing::incomplete: {
            if (!connection->deadline)
                connection->deadline.emplace(watchdog_.watch(connection->fd, limits_.request_read_ms));
            const std::lock_guard lock(mutex_);
            half_sent_.push_back(std::move(connection));
            ++half_sent_count_;
            return;
        }
        case Framing::malformed:
            log_.warning("malformed_request", {{"bytes", static_cast<std::int64_t>(count)}});
    }
}

void FcgiServer::look_again() {
    std::vector<std::unique_ptr<Connection>> half_sent;
    {
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (now < look_again_at_) return;
        look_again_at_ = now + look_again_pause;
        half_sent.swap(half_sent_);
        half_sent_count_ -= half_sent.size();
    }
    for (auto& connection : half_sent) {
        pollfd peer{.fd = connection->fd, .events = POLLRDHUP, .revents = 0};
        look_at(std::move(connection), ::poll(&peer, 1, 0) != 0);
    }
}

void FcgiServer::receive(std::unique_ptr<Connection> connection) {
    FCGX_Request& fcgi = connection->fcgi;
    if (FCGX_Accept_r(&fcgi) != 0) {
        log_.error("defect", {{"reason", "libfcgi refused a request that the gate had passed"}});
        return;
    }
    Request request{.method = param(fcgi, "REQUEST_METHOD"),
                    .path = param(fcgi, "DOCUMENT_URI"),
                    .query = param(fcgi, "QUERY_STRING"),
                    .content_type = param(fcgi, "CONTENT_TYPE"),
                    .body = read_body(fcgi),
                    .request_id = param(fcgi, "REQUEST_ID"),
                    .idempotency_key = param(fcgi, "HTTP_IDEMPOTENCY_KEY"),
                    .if_none_match = param(fcgi, "HTTP_IF_NONE_MATCH"),
                    .authorization = param(fcgi, "HTTP_AUTHORIZATION"),
                    .sec_fetch_site = param(fcgi, "HTTP_SEC_FETCH_SITE")};
    handle_(std::make_shared<Conversation>(*this, std::move(connection), std::move(request)));
}

void FcgiServer::continue_stream(Connection& connection, bool peer_closed) {
    const auto conversation = std::exchange(connection.streaming, nullptr);
    const auto next = std::exchange(connection.next, nullptr);
    if (!peer_closed) next(*conversation);
}

void FcgiServer::park(std::unique_ptr<Connection> connection) { arm(*connection.release(), EPOLLIN | EPOLLRDHUP); }

// From here on another thread may have the connection already.
void FcgiServer::arm(Connection& connection, unsigned events) {
    epoll_event event{.events = events | EPOLLONESHOT, .data = {.ptr = &connection}};
    const bool known = connection.in_epoll.exchange(true, std::memory_order_acq_rel);
    const int operation = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    ::epoll_ctl(epoll_, operation, connection.fd, &event);
}

void FcgiServer::arm_listener() {
    const std::lock_guard lock(mutex_);
    if (!listening_) return;
    epoll_event event{.events = EPOLLIN | EPOLLONESHOT, .data = {.ptr = &listener_}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, listener_, &event);
}

void FcgiServer::opened(Connection* connection) {
    const std::lock_guard lock(mutex_);
    open_.insert(connection);
}

void FcgiServer::closed(Connection* connection) {
    {
        const std::lock_guard lock(mutex_);
        open_.erase(connection);
        if (listening_ || draining_) return;
        listening_ = true;
    }
    arm_listener();
}

bool fcgi_probe(const std::string& address, const std::string& path, std::chrono::milliseconds limit) {
    const auto record = [](char type, const std::string& content) {
        return std::string{1, type, 0, 1, 0, static_cast<char>(content.size()), 0, 0} + content;
    };
    const auto pair = [](const std::string& name, const std::string& value) {
        return std::string{static_cast<char>(name.size()), static_cast<char>(value.size())} + name + value;
    };
    const std::string request = record(1, std::string("\0\1\0\0\0\0\0\0", 8)) +
                                record(4, pair("REQUEST_METHOD", "GET") + pair("DOCUMENT_URI", path)) + record(4, "") +
                                record(5, "");
    const int fd = connect_to(address, limit);
    if (fd < 0) return false;
    std::array<char, 64> answer{};
    const bool answered =
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0 && ::recv(fd, answer.data(), answer.size(), 0) > 8;
    ::close(fd);
    return answered && std::string_view(answer.data() + 8, answer.size() - 8).starts_with("Status: 200");
}

}  // namespace app
