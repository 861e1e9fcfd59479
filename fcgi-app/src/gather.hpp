// A moment's rest where much comes at once, so that the next turn finds more, and each is cheaper: fewer wake-ups, larger batches
// (tests/bench/README.md has the figures). Any thread; it waits.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>

namespace app {

using Clock = std::chrono::steady_clock;

// Behind a turn that found `count`: until `each` for all of them but one is over, 1 ms at most, counted from when it `began`. So a turn
// that took long is rest enough, and who comes behind a lone one does not wait.
inline void gather(Clock::time_point began, std::ptrdiff_t count, std::chrono::microseconds each) {
    constexpr std::chrono::microseconds longest{1000};
    if (count > 1)
        std::this_thread::sleep_until(began + std::min<std::chrono::microseconds>(each * (count - 1), longest));
}

}  // namespace app
