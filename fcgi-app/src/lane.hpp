// A queue in front of one database connection, and the thread that empties it: whatever waits when the thread is free is one
// batch. The thread makes the connection, and makes it anew when it is lost; while there is none, jobs are refused at once
// instead of waiting for it. Knows neither SQL nor what a job asks. push() and close() from any thread; the functions that it is
// given run on the lane's own.
//
// A Job has: `ExchangePtr exchange` (reset once answered), `Clock::time_point arrived`, and
// `void fail(const Problem&)`, which answers it.
#pragma once

#include "database.hpp"
#include "http.hpp"
#include "log.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace app {

using Clock = std::chrono::steady_clock;

Problem database_away(std::string detail = "The database cannot be reached just now.");
Problem overloaded();
Problem outcome_unknown();

// What all lanes together know of the database, so that an outage is a line for each of its reasons and one for its end,
// however many connections it cost. Any thread.
class DatabaseState {
public:
    explicit DatabaseState(Log& log) : log_(log) {}

    void lost(const void* lane, const std::string& reason);
    void connected(const void* lane);

private:
    Log& log_;
    std::mutex mutex_;
    std::set<const void*> away_;     // the lanes without a connection
    std::set<std::string> reasons_;  // of this outage, as far as they were logged
    bool ever_connected_ = false;
};

struct LaneLimits {
    std::size_t queue_max = 1024;                   // jobs
    std::size_t batch_max = 1024;                   // jobs
    std::chrono::milliseconds queue_wait_ms{1500};  // a job older than this is not begun any more
    std::chrono::milliseconds retry_ms{2400};       // a job older than this is not tried again
};

template <class Job>
class Lane {
public:
    // Answers each job of the batch, or throws DatabaseError; then those not answered yet may be given again.
    using Work = std::function<void(Database&, std::vector<Job>&)>;
    // A small step of housekeeping between two batches; true if there is more of it to do soon.
    using Chore = std::function<bool(Database&)>;

    // `after_loss` makes the problem of a job that was under way when the connection was lost for good.
    Lane(LaneLimits limits, Connect connect, DatabaseState& state, Work work, std::function<Problem()> after_loss,
         Chore chore = {})
        : limits_(limits),
          connect_(std::move(connect)),
          state_(state),
          work_(std::move(work)),
          after_loss_(std::move(after_loss)),
          chore_(std::move(chore)),
          thread_([this] { run(); }) {}
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane() { close(); }

    void push(Job job) {
        if (!available_.load(std::memory_order_relaxed)) return job.fail(database_away());
        {
            const std::lock_guard lock(mutex_);
            if (!closed_ && queue_.size() < limits_.queue_max) {
                queue_.push_back(std::move(job));
                wake_.notify_one();
                return;
            }
        }
        job.fail(overloaded());
    }

    // Takes no more jobs, and returns when those that wait have been answered.
    void close() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        wake_.notify_one();
        if (thread_.joinable()) thread_.join();
    }

private:
    static constexpr std::chrono::milliseconds pause_first{100};
    static constexpr std::chrono::milliseconds pause_max{1000};
    static constexpr std::chrono::milliseconds pause_retry{50};
    static constexpr std::chrono::milliseconds chore_soon{20};
    static constexpr std::chrono::milliseconds chore_later{5000};
    static constexpr std::chrono::milliseconds idle_pause{60'000};
    static constexpr std::chrono::microseconds gather_per_job{100};
    static constexpr std::chrono::microseconds gather_max{500};

    void run() {
        std::vector<Job> jobs;
        std::chrono::milliseconds pause{0};
        while (take(jobs, pause)) {
            const std::size_t taken = jobs.size();
            pause = turn(jobs);
            jobs.clear();
            gather(taken);
        }
    }

    // Waits for jobs, for `pause` at most. False: closed, and nothing is left.
    bool take(std::vector<Job>& jobs, std::chrono::milliseconds pause) {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, pause, [this] { return closed_ || !queue_.empty(); });
        if (closed_ && queue_.empty()) return false;
        // What is too old comes along to be refused, and takes nobody's place: else an overloaded service would do half-empty
        // batches.
        auto end = queue_.begin();
        for (std::size_t counted = 0; end != queue_.end() && counted < limits_.batch_max; ++end)
            counted += in_time(*end);
        jobs.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
        queue_.erase(queue_.begin(), end);
        return true;
    }

    // Where many ask at once, a moment's rest makes the next batch larger and each job cheaper (tests/bench/README.md has the
    // figures). A lone job never waits, and neither does the one behind it.
    static void gather(std::size_t taken) {
        if (taken > 1)
            std::this_thread::sleep_for(std::min<std::chrono::microseconds>(gather_per_job * (taken - 1), gather_max));
    }

    std::chrono::milliseconds turn(std::vector<Job>& jobs) {
        drop_unwanted(jobs);
        if (!database_) {
            // They came before the loss was known, and making a connection may take seconds; of a new process's first
            // connection nothing is known yet.
            if (!available_) fail_all(jobs, database_away());
            if (!connect()) {
                available_ = false;
                fail_all(jobs, database_away());
                return grown_pause();
            }
        }
        try {
            if (!jobs.empty()) work_(*database_, jobs);
        } catch (const DatabaseError& error) {
            recover(jobs, error);
        }
        if (database_ && chore_ && Clock::now() >= chore_at_) do_chore();
        if (!database_) return std::chrono::milliseconds{0};
        return chore_ ? std::chrono::ceil<std::chrono::milliseconds>(chore_at_ - Clock::now()) : idle_pause;
    }

    void do_chore() {
        bool more = false;
        try {
            more = chore_(*database_);
        } catch (const DatabaseError& error) {
            if (error.fault != DatabaseFault::busy) disconnect(error.what());
        }
        chore_at_ = Clock::now() + (more ? chore_soon : chore_later);
    }

    // Sends again what was under way when the connection was lost. That is safe for reads, and for writes
    // since each addition has a key; a server that restarts is back within a second or so.
    void recover(std::vector<Job>& jobs, DatabaseError error) {
        bool in_doubt = false;  // from the first loss on: a later refusal does not undo what may have been committed
        for (;;) {
            const bool lost = error.fault == DatabaseFault::lost;
            if (lost || error.fault == DatabaseFault::refused) disconnect(error.what());
            std::erase_if(jobs, [](const Job& job) { return job.exchange == nullptr; });
            in_doubt = in_doubt || lost;
            if (!lost) {
                return fail_all(jobs,
                                in_doubt ? after_loss_() : database_away("The database could not do this in time."));
            }
            while (!database_) {
                fail_older(jobs, limits_.retry_ms, after_loss_);
                if (jobs.empty()) return;
                if (!connect()) std::this_thread::sleep_for(pause_retry);
            }
            try {
                return work_(*database_, jobs);
            } catch (const DatabaseError& again) {
                error = again;
            }
        }
    }

    bool in_time(const Job& job) const { return job.arrived > Clock::now() - limits_.queue_wait_ms; }

    // Nobody waits for these, or nobody should any more.
    void drop_unwanted(std::vector<Job>& jobs) {
        std::erase_if(jobs, [](const Job& job) { return !job.exchange->client_waits(); });
        fail_older(jobs, limits_.queue_wait_ms, overloaded);
    }

    static void fail_older(std::vector<Job>& jobs, std::chrono::milliseconds age,
                           const std::function<Problem()>& make_problem) {
        const auto oldest = Clock::now() - age;
        std::erase_if(jobs, [&](Job& job) {
            if (job.arrived > oldest) return false;
            job.fail(make_problem());
            return true;
        });
    }

    static void fail_all(std::vector<Job>& jobs, const Problem& problem) {
        for (Job& job : jobs) job.fail(problem);
        jobs.clear();
    }

    bool connect() {
        try {
            database_ = connect_();
        } catch (const DatabaseError& error) {
            state_.lost(this, error.what());
            return false;
        }
        state_.connected(this);
        pause_ = pause_first;
        available_ = true;
        return true;
    }

    void disconnect(const std::string& reason) {
        available_ = false;
        database_.reset();
        state_.lost(this, reason);
    }

    // Growing and jittered, so that many processes do not come back in step.
    std::chrono::milliseconds grown_pause() {
        const auto pause = std::exchange(pause_, std::min(pause_ * 2, pause_max));
        return std::chrono::milliseconds{
            std::uniform_int_distribution<long>(pause.count() / 2, pause.count())(random_)};
    }

    const LaneLimits limits_;
    const Connect connect_;
    DatabaseState& state_;
    const Work work_;
    const std::function<Problem()> after_loss_;
    const Chore chore_;
    std::atomic<bool> available_ = true;  // as far as is known

    std::mutex mutex_;  // guards the queue and closed_
    std::condition_variable wake_;
    std::deque<Job> queue_;
    bool closed_ = false;

    std::unique_ptr<Database> database_;  // this and the rest: only by the lane's thread
    Clock::time_point chore_at_{};
    std::chrono::milliseconds pause_ = pause_first;
    std::minstd_rand random_{std::random_device{}()};
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace app
