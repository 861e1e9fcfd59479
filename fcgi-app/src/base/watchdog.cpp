// The watchdog's thread. It looks at all watches once a tick: there are as many as threads that can block and connections
// that have sent no whole request yet, and making one must cost next to nothing, as each database call does.
#include "base/watchdog.hpp"

#include <sys/socket.h>
#include <utility>

namespace app {

Watchdog::Watch::Watch(Watchdog& watchdog, int fd, std::chrono::milliseconds limit)
    : watchdog_(watchdog), fd_(fd), deadline_(std::chrono::steady_clock::now() + limit) {
    const std::lock_guard lock(watchdog_.mutex_);
    watchdog_.watches_.insert(this);
    // Only the first one after a quiet time wakes the thread: under load it is in its ticks.
    if (std::exchange(watchdog_.idle_, false)) watchdog_.wake_.notify_one();
}

Watchdog::Watch::~Watch() {
    const std::lock_guard lock(watchdog_.mutex_);
    watchdog_.watches_.erase(this);
}

bool Watchdog::Watch::fired() const {
    const std::lock_guard lock(watchdog_.mutex_);
    return fired_;
}

void Watchdog::run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        idle_ = watches_.empty();
        if (idle_) wake_.wait(lock, stop, [this] { return !idle_; });
        wake_.wait_for(lock, stop, tick, [] { return false; });
        const auto now = std::chrono::steady_clock::now();
        for (Watch* watch : watches_) {
            if (watch->deadline_ <= now && !std::exchange(watch->fired_, true)) ::shutdown(watch->fd_, SHUT_RDWR);
        }
    }
}

}  // namespace app
