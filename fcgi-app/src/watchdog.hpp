// Ends what blocks on a socket for too long: past its deadline a watched socket is shut down, and the call that
// waits for it returns with an error. libpq has no time-out of its own for an answer, and SO_RCVTIMEO does
// not reach it. Knows nothing of databases or requests. watch() from any thread; one thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

namespace app {

class Watchdog {
    struct Entry {
        int fd;
        std::chrono::steady_clock::time_point deadline;
    };

public:
    // While it lives the socket is watched; end it before the descriptor is closed, since another socket
    // could have that number next.
    class Watch {
    public:
        Watch(Watch&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), entry_(other.entry_) {}
        Watch& operator=(Watch&&) = delete;
        ~Watch() {
            if (owner_ != nullptr) owner_->forget(entry_);
        }

    private:
        friend class Watchdog;
        Watch(Watchdog* owner, std::list<Entry>::iterator entry) : owner_(owner), entry_(entry) {}

        Watchdog* owner_;
        std::list<Entry>::iterator entry_;
    };

    Watchdog() : thread_([this] { run(); }) {}
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog();

    // Shuts `fd` down when `limit` is over, up to `tick` later.
    [[nodiscard]] Watch watch(int fd, std::chrono::milliseconds limit);

    static constexpr std::chrono::milliseconds tick{50};

private:
    void forget(std::list<Entry>::iterator entry);
    void run();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::list<Entry> entries_;
    bool idle_ = false;  // the thread sleeps until it is woken, not until the next tick
    bool closed_ = false;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace app
