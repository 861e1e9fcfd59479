// A bounded queue and the one thread that empties it: whatever waits when the thread is free is one batch, so
// a batch grows exactly while the last one is under way, and a lone job never waits. Knows nothing of what
// a job is. push() may be called from any thread; the given function runs on the batcher's own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace app {

template <class Job>
class Batcher {
public:
    // Called with a batch, or with an empty one when nothing came for as long as the last call had
    // returned. Must not throw.
    using Flush = std::function<std::chrono::milliseconds(std::vector<Job>& batch)>;

    // Jobs for which this is false come along with a batch to be refused, and take nobody's place in it: with them
    // counted, an overloaded service would do half-empty batches.
    using Counts = std::function<bool(const Job&)>;

    Batcher(std::size_t queue_max, std::size_t batch_max, Flush flush, Counts counts = {})
        : queue_max_(queue_max),
          batch_max_(batch_max),
          flush_(std::move(flush)),
          counts_(std::move(counts)),
          thread_([this] { run(); }) {}
    Batcher(const Batcher&) = delete;
    Batcher& operator=(const Batcher&) = delete;
    ~Batcher() { close(); }

    // False when the queue is full or closed; then the job is left as it was.
    [[nodiscard]] bool push(Job&& job) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || queue_.size() >= queue_max_) return false;
            queue_.push_back(std::move(job));
        }
        wake_.notify_one();
        return true;
    }

    // Takes no more jobs, and returns when those that wait have been flushed.
    void close() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        wake_.notify_one();
        if (thread_.joinable()) thread_.join();
    }

private:
    void run() {
        std::vector<Job> batch;
        std::chrono::milliseconds pause{0};
        for (;;) {
            {
                std::unique_lock lock(mutex_);
                wake_.wait_for(lock, pause, [this] { return closed_ || !queue_.empty(); });
                if (closed_ && queue_.empty()) return;
                auto end = queue_.begin();
                for (std::size_t counted = 0; end != queue_.end() && counted < batch_max_; ++end) {
                    if (!counts_ || counts_(*end)) ++counted;
                }
                batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
                queue_.erase(queue_.begin(), end);
            }
            pause = flush_(batch);
            batch.clear();
        }
    }

    const std::size_t queue_max_;
    const std::size_t batch_max_;
    const Flush flush_;
    const Counts counts_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    bool closed_ = false;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace app
