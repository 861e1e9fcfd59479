// A queue in front of one database connection, and the thread that empties it: whatever waits when the thread is free
// is one batch. The thread makes the connection, and makes it anew when it is lost: the batch that it was lost to is
// held for the next one, and what was queued behind it waits, too. Only once an attempt to connect has failed are
// newcomers refused at once: a connection that ended while idle costs no answer. Knows neither SQL nor what a job
// asks. push(), stop(), wake_at() and others_wait() from any thread; the work runs on the lane's own.
#pragma once

#include "base/log.hpp"
#include "http/http.hpp"
#include "lanes/connection.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace app {

using Clock = std::chrono::steady_clock;

// What a client is told when the database does not do what it should.
Problem database_away(std::string detail = "The database cannot be reached just now.");
Problem overloaded();
Problem outcome_unknown();

// What the list of lanes asks of each.
class AnyLane {
public:
    // Takes no more jobs, and tries for no connection any more when those that wait have been answered.
    virtual void stop() = 0;
    // The same, and returns then. One thread at a time.
    virtual void close() = 0;

protected:
    ~AnyLane() = default;
};

// All lanes of a process: made with the list, a lane cannot be left out when they are closed. And what they together know of
// the database, so that an outage is a line for each of its reasons and one for its end, however many connections it cost. Any
// thread; lanes are made by one.
class Lanes {
public:
    explicit Lanes(Log& log) : log_(log) {}

    void lost(const void* lane, const std::string& reason);
    void connected(const void* lane);
    // A statement did nothing, and the connection is good: a line each time.
    void failed(std::string_view reason);

    void add(AnyLane& lane) { all_.push_back(&lane); }
    // Returns when all that was asked has been answered. All are told at once: one that is not would go on trying for a
    // connection, which may take seconds each time.
    void close();

private:
    Log& log_;
    std::vector<AnyLane*> all_;
    std::mutex mutex_;                   // guards what follows
    std::set<const void*> away_;         // the lanes without a connection
    std::set<std::string> reasons_{""};  // of this outage, as far as they were logged; each process begins with one
};

struct LaneLimits {
    std::size_t queue_max = 1024;                   // jobs
    std::chrono::milliseconds queue_wait_ms{1500};  // a job older than this is not begun any more
    std::chrono::milliseconds retry_ms{2400};       // nor tried again if the first of its batch is older than this
};

// What every kind of job has, beside `void fail(const Problem&)`, which answers it.
struct Job {
    ExchangePtr exchange;  // reset once answered
    Clock::time_point arrived = Clock::now();
    bool in_doubt = false;  // it was with the database when the connection was lost, and may have been done
};

template <std::derived_from<Job> Kind, std::derived_from<Connection> Database>
class Lane final : public AnyLane {
public:
    // Answers each job of a batch, or throws DatabaseError. A batch whose connection was lost is given again, with
    // those of its jobs that were not answered, in their order: safe for reads, and for writes if they have a key. Whatever
    // else it threw would end the process. It also gets no job at all, at the time that wake_at() was told.
    using Work = std::function<void(Database&, std::vector<Kind>&)>;

    // `batch_max` is in jobs. `lanes` outlives it.
    Lane(const LaneLimits& limits, std::size_t batch_max, Connect<Database> connect, Lanes& lanes, Work work)
        : limits_(limits),
          batch_max_(batch_max),
          connect_(std::move(connect)),
          lanes_(lanes),
          work_(std::move(work)),
          thread_([this](const std::stop_token& stopped) { run(stopped); }) {
        lanes_.add(*this);
    }

    // Refuses at once, on this thread, what it does not take.
    void push(Kind job) {
        std::unique_lock lock(mutex_);
        const bool away = !available_;
        if (!away && !thread_.get_stop_token().stop_requested() && queue_.size() < limits_.queue_max) {
            queue_.push_back(std::move(job));
            wake_.notify_one();
            return;
        }
        lock.unlock();
        job.fail(away ? database_away() : overloaded());
    }

    // The work is done at this time at the latest, with no job if none is there; then it is for the work to say when
    // again.
    void wake_at(Clock::time_point time) {
        const std::lock_guard lock(mutex_);
        wake_at_ = time;
        wake_.notify_one();
    }

    // Whether there are jobs behind those that are being done.
    bool others_wait() {
        const std::lock_guard lock(mutex_);
        return !queue_.empty();
    }

    void stop() override { thread_.request_stop(); }

    void close() override {
        stop();
        if (thread_.joinable()) thread_.join();
    }

private:
    static constexpr std::chrono::milliseconds pause_max{1000};
    static constexpr std::chrono::milliseconds pause_held{50};

    void run(const std::stop_token& stopped) {
        std::vector<Kind> jobs;  // taken, and not answered yet
        while (!jobs.empty() || take(jobs, stopped)) {
            const bool taken = !jobs.empty();
            refuse_late(jobs);
            if (taken && jobs.empty()) continue;
            // It ended while no job was there: that is no outage, unless there is no other to be had.
            if (database_ && !database_->is_open()) disconnect();
            // Making a connection may take seconds: then the jobs are looked at again.
            if (database_) {
                work(jobs);
            } else {
                connect();
            }
        }
    }

    // Waits for jobs or for the time to wake up; without a connection, until it is time to try for one. False:
    // stopped, and nothing is left.
    bool take(std::vector<Kind>& jobs, const std::stop_token& stopped) {
        held_ = false;
        std::unique_lock lock(mutex_);
        const auto wanted = [this] { return !queue_.empty(); };
        if (database_) {
            wait(lock, stopped);
        } else {
            wake_.wait_for(lock, stopped, pause_, wanted);
        }
        if (stopped.stop_requested() && queue_.empty()) return false;
        // What is too old comes along to be refused, and takes no other's place: else an overloaded service would do
        // half-empty batches.
        auto end = queue_.begin();
        for (std::size_t counted = 0; end != queue_.end() && counted < batch_max_; ++end)
            counted += end->arrived > Clock::now() - limits_.queue_wait_ms;
        jobs.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
        queue_.erase(queue_.begin(), end);
        return true;
    }

    // The time to wake up may be told while it is waited for.
    void wait(std::unique_lock<std::mutex>& lock, const std::stop_token& stopped) {
        while (queue_.empty() && !stopped.stop_requested() && Clock::now() < wake_at_) {
            const auto told = wake_at_;
            wake_.wait_until(lock, stopped, told, [&] { return !queue_.empty() || wake_at_ != told; });
        }
    }

    // No client waits for these, or none should any more. A batch that is held stays whole, and is given up whole.
    void refuse_late(std::vector<Kind>& jobs) {
        const auto now = Clock::now();
        if (held_) {
            if (jobs.front().arrived + limits_.retry_ms <= now) fail_all(jobs, database_away());
            return;
        }
        // They came before the loss was known, and making a connection may take seconds. (Of a new process's first one
        // nothing is known yet.)
        if (!database_ && !available_) return fail_all(jobs, database_away());
        std::erase_if(jobs, [&](Kind& job) {
            if (!job.exchange->client_waits()) return true;
            if (job.arrived + limits_.queue_wait_ms > now) return false;
            job.fail(overloaded());
            return true;
        });
    }

    void work(std::vector<Kind>& jobs) {
        if (jobs.empty()) wake_at(Clock::time_point::max());
        try {
            work_(*database_, jobs);
            jobs.clear();
        } catch (const DatabaseError& error) {
            std::erase_if(jobs, [](const Kind& job) { return job.exchange == nullptr; });
            const bool lost = error.fault == DatabaseFault::lost;
            if (lost) {
                lanes_.lost(this, error.what());
            } else {
                lanes_.failed(error.what());
            }
            if (lost || error.fault == DatabaseFault::refused) disconnect();
            if (!lost) fail_all(jobs, database_away("The database could not do this just now."));
            for (Kind& job : jobs) job.in_doubt = true;
        }
    }

    static void fail_all(std::vector<Kind>& jobs, const Problem& problem) {
        for (Kind& job : jobs) job.fail(problem);
        jobs.clear();
    }

    // Tries once.
    void connect() {
        try {
            database_ = connect_();
            lanes_.connected(this);
            pause_ = std::chrono::milliseconds{0};
        } catch (const DatabaseError& error) {
            lanes_.lost(this, error.what());
            // A server that restarts is back within a second or so: for those that it was lost to, and for who had come
            // behind them, that is worth a wait. Else a longer one each time, by chance, so that many processes do not
            // come back in step.
            if (held_) {
                std::this_thread::sleep_for(pause_held);
            } else {
                pause_ = std::min(pause_ + std::chrono::milliseconds{longer_by_(random_)}, pause_max);
            }
        }
        available_ = database_ != nullptr;
    }

    void disconnect() {
        held_ = true;
        database_.reset();
    }

    const LaneLimits limits_;
    const std::size_t batch_max_;
    const Connect<Database> connect_;
    Lanes& lanes_;
    const Work work_;

    std::mutex mutex_;  // guards what follows, up to the next blank line
    std::condition_variable_any wake_;
    std::deque<Kind> queue_;
    Clock::time_point wake_at_ = Clock::time_point::max();

    std::atomic<bool> available_ = true;  // the latest attempt to connect has not failed; set by the lane's thread
    std::unique_ptr<Database> database_;  // this and the rest: only by the lane's thread
    bool held_ = false;                   // what was taken met the loss of the connection, and waits for the next one
    std::chrono::milliseconds pause_{0};
    std::minstd_rand random_{std::random_device{}()};
    std::uniform_int_distribution<> longer_by_{50, 150};  // in milliseconds
    std::jthread thread_;                                 // last: it uses all of the above
};

}  // namespace app
