// Ends what blocks on a socket for too long: past its deadline a watched socket is shut down, and the call that waits
// for it returns with an error. libpq has no time-out of its own for an answer, and SO_RCVTIMEO does not reach it.
// Knows nothing of databases or requests. Watches from any thread; one thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace app {

class Watchdog {
public:
    // While it lives, `fd` is watched: shut down when `limit` is over, up to `tick` later. End it before the descriptor is
    // closed, since another socket could have that number next.
    class Watch {
    public:
        Watch(Watchdog& watchdog, int fd, std::chrono::milliseconds limit);
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;
        ~Watch();

        // Whether its time was over, and the socket has been shut down.
        bool fired() const;

    private:
        friend Watchdog;
        Watchdog& watchdog_;
        const int fd_;
        const std::chrono::steady_clock::time_point deadline_;
        bool fired_ = false;  // once: the call may have closed its descriptor, which then is another socket's
    };

    static constexpr std::chrono::milliseconds tick{50};

private:
    void run(const std::stop_token& stop);

    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::set<Watch*> watches_;
    bool idle_ = false;  // the thread sleeps until it is woken, not until the next tick
    std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};  // last: it uses all of the above
};

}  // namespace app
