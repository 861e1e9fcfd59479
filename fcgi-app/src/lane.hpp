// A queue in front of one database connection: its thread makes the connection, makes it anew when it is lost,
// and hands it whatever waits as one batch. While there is none, jobs are refused at once instead of
// waiting for it. Knows neither SQL nor what a job asks.
//
// A Job has: `ExchangePtr exchange` (reset once answered), `Clock::time_point arrived`, and
// `void fail(const Problem&)`, which answers it.
#pragma once

#include "batcher.hpp"
#include "database.hpp"
#include "http.hpp"
#include "log.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

using Clock = std::chrono::steady_clock;

Problem database_away(std::string detail = "The database cannot be reached just now.");
Problem overloaded();
Problem outcome_unknown();

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
    Lane(std::string_view name, LaneLimits limits, Connect connect, Log& log, Work work,
         std::function<Problem()> after_loss, Chore chore = {})
        : name_(name),
          limits_(limits),
          connect_(std::move(connect)),
          log_(log),
          work_(std::move(work)),
          after_loss_(std::move(after_loss)),
          chore_(std::move(chore)),
          batcher_(
              limits.queue_max, limits.batch_max, [this](std::vector<Job>& jobs) { return turn(jobs); },
              [this](const Job& job) { return in_time(job); }) {}

    void push(Job job) {
        if (!available_.load(std::memory_order_relaxed)) return job.fail(database_away());
        // NOLINTNEXTLINE(bugprone-use-after-move): a job that does not fit is left as it was.
        if (!batcher_.push(std::move(job))) job.fail(overloaded());
    }

    // Takes no more jobs, and returns when those that wait have been answered.
    void close() { batcher_.close(); }

private:
    static constexpr std::chrono::milliseconds pause_first{100};
    static constexpr std::chrono::milliseconds pause_max{1000};
    static constexpr std::chrono::milliseconds pause_retry{50};
    static constexpr std::chrono::milliseconds chore_soon{20};
    static constexpr std::chrono::milliseconds chore_later{5000};

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
        return database_ ? chore_later : std::chrono::milliseconds{0};
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
                fail_older(jobs, limits_.retry_ms);
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
        std::erase_if(jobs, [&](Job& job) {
            if (!job.exchange->client_waits()) return true;
            if (in_time(job)) return false;
            job.fail(overloaded());
            return true;
        });
    }

    void fail_older(std::vector<Job>& jobs, std::chrono::milliseconds age) {
        const auto oldest = Clock::now() - age;
        std::erase_if(jobs, [&](Job& job) {
            if (job.arrived > oldest) return false;
            job.fail(after_loss_());
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
            // The same reason again is no news: one line a change of state.
            if (std::exchange(away_reason_, error.what()) != error.what()) {
                log_.error("database_away", {{"lane", name_}, {"reason", std::string_view(error.what())}});
            }
            return false;
        }
        away_reason_.clear();
        pause_ = pause_first;
        available_ = true;
        log_.info("database_connected", {{"lane", name_}});
        return true;
    }

    void disconnect(const std::string& reason) {
        available_ = false;
        database_.reset();
        away_reason_ = reason;
        log_.error("database_lost", {{"lane", name_}, {"reason", std::string_view(reason)}});
    }

    // Growing and jittered, so that many processes do not come back in step.
    std::chrono::milliseconds grown_pause() {
        const auto pause = pause_;
        pause_ = std::min(pause_ * 2, pause_max);
        return std::chrono::milliseconds{
            std::uniform_int_distribution<long>(pause.count() / 2, pause.count())(random_)};
    }

    const std::string_view name_;
    const LaneLimits limits_;
    const Connect connect_;
    Log& log_;
    const Work work_;
    const std::function<Problem()> after_loss_;
    const Chore chore_;
    std::atomic<bool> available_ = true;  // as far as is known
    std::unique_ptr<Database> database_;  // this and the rest: only by the batcher's thread
    std::string away_reason_;
    Clock::time_point chore_at_{};
    std::chrono::milliseconds pause_ = pause_first;
    std::minstd_rand random_{std::random_device{}()};
    Batcher<Job> batcher_;  // last: its thread uses all of the above
};

}  // namespace app
