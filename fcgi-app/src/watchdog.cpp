// The watchdog's thread. It looks at all entries once a tick: there are as many as threads that can block,
// a handful, and registering one must cost next to nothing, as each database call does.
#include "watchdog.hpp"

#include <sys/socket.h>

namespace app {

Watchdog::~Watchdog() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

Watchdog::Watch Watchdog::watch(int fd, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const std::lock_guard lock(mutex_);
    // Only the first entry after a quiet time wakes the thread: under load it is in its ticks.
    if (std::exchange(idle_, false)) wake_.notify_one();
    return {this, entries_.insert(entries_.end(), Entry{fd, deadline})};
}

void Watchdog::forget(std::list<Entry>::iterator entry) {
    const std::lock_guard lock(mutex_);
    entries_.erase(entry);
}

void Watchdog::run() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
        if (entries_.empty()) {
            idle_ = true;
            wake_.wait(lock, [this] { return closed_ || !idle_; });
        }
        wake_.wait_for(lock, tick, [this] { return closed_; });
        const auto now = std::chrono::steady_clock::now();
        for (const Entry& entry : entries_) {
            // Again at each tick: harmless, and the entry's owner will end it soon.
            if (entry.deadline <= now) ::shutdown(entry.fd, SHUT_RDWR);
        }
    }
}

}  // namespace app
