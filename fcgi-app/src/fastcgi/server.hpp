// A FastCGI responder on libfcgi that nothing a peer sends or keeps back can hold up: connections wait in one epoll set,
// and a worker turns to one only to look whether a whole request has come (gate.hpp). Then it reads the
// request, hands it on as an Exchange and takes the next; the thread that answers, whichever it is, gives the connection back.
// Knows nothing of paths, resources or databases. The only user of libfcgi.
#pragma once

#include "base/log.hpp"
#include "base/watchdog.hpp"
#include "http/http.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace app {

struct FcgiServerLimits {
    int threads = 2;
    std::size_t connections_max = 1024;               // then new ones wait in the listen queue
    std::chrono::milliseconds request_read_ms{1000};  // from a connection's or a request's first sign to its last byte
    std::chrono::milliseconds drain_ms{500};          // how long idle connections are still served at the end
    std::chrono::milliseconds drain_max_ms{14'000};   // how long requests in hand are waited for; at least drain_ms
    // Whether a peer that sends no more still waits for its answer. On a unix socket that is always known; on TCP it looks
    // like one that has gone, for which work is saved otherwise.
    bool half_closed_waits = false;
};

class FcgiServer {
public:
    using Handle = std::function<void(const ExchangePtr&)>;

    // Listens at once on `address` (socket.hpp) or throws std::runtime_error. `handle` runs on the workers and must
    // neither wait nor throw.
    FcgiServer(const std::string& address, const FcgiServerLimits& limits, Handle handle, Watchdog& watchdog, Log& log);
    ~FcgiServer();

    // Takes no new connections, serves what comes on those that are open for drain_ms more, and returns when no
    // request is in hand, or after drain_max_ms. Answers may still be given afterwards, until the server is destroyed.
    void drain();

private:
    class Connection;
    class Conversation;

    void work(const std::stop_token& stopped);
    void turn_to(std::uint64_t number, unsigned events);
    void accept_all();
    int accept_while_there_is_room();
    void look_at(const std::shared_ptr<Connection>& connection, unsigned events);
    void judge(const std::shared_ptr<Connection>& connection, std::string_view piece);
    void receive(const std::shared_ptr<Connection>& connection);
    void turn_away(const Connection& connection, std::string_view reason);
    void give_back(Connection& connection);
    void forget(const Connection& connection);
    void forget_idle();
    bool watch_for(unsigned events, int fd, std::uint64_t number, int operation) const;

    const FcgiServerLimits limits_;
    const Handle handle_;
    Watchdog& watchdog_;
    Log& log_;
    const std::string address_;
    const unsigned peer_has_gone_;  // events of epoll
    int listener_ = -1;
    int epoll_ = -1;
    int stop_ = -1;  // an eventfd: readable once the workers are to end
    std::atomic<bool> draining_ = false;
    std::atomic<int> accept_error_ = 0;  // the last errno that was logged

    std::mutex mutex_;  // guards what follows, up to the next blank line
    std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> open_;
    std::uint64_t last_number_ = 1;  // 0 and 1 are no connections
    std::size_t in_hand_ = 0;
    std::condition_variable none_in_hand_;

    std::vector<std::jthread> workers_;
};

// Asks a responder at `address` as nginx would; true if the answer is a success within `limit`. `method` and `path` are short:
// up to 50 bytes together.
bool fcgi_probe(const std::string& address, std::string_view method, std::string_view path,
                std::chrono::milliseconds limit);

}  // namespace app
