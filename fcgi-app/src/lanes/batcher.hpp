// Writing for many at once: whatever is queued when the connection is free is one batch, one commit, one sync of the disk. A
// batch that was in doubt is sent again under its own key; a row that the database refuses fails alone; old keys are purged
// between the batches. Knows neither SQL nor what is written. Any thread may push. A call-back runs on the batcher's lane, or
// at once on the asker's thread where it is refused; it must not wait.
#pragma once

#include "http/http.hpp"
#include "lanes/lane.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

struct BatcherRules {
    std::size_t rows_max = 256;                    // in one commit
    std::string_view rejected = "write_rejected";  // the log's event for a row that the schema does not allow
    std::string rejected_detail = "The database does not take this.";    // what its client is told
    std::chrono::milliseconds purge_idle_ms = std::chrono::minutes{10};  // where no client writes
};

template <class Question, class Answer, class Database>
class Batcher {
public:
    using Done = std::function<void(Exchange&, const Result<Answer>&)>;

    struct Asked : Job {
        Done done;
        Question question;
        std::uint64_t batch = 0;   // with which it was sent; 0: not yet
        std::uint64_t number = 0;  // its own, whichever batch it is in; 0: it was not sent yet

        void answer(const Result<Answer>& result) { done(*std::exchange(exchange, nullptr), result); }
        void fail(const Problem& problem) { answer(in_doubt ? outcome_unknown() : problem); }
    };
    using Batch = std::vector<Asked*>;

    // Writes a batch and gives the answers in its order. `key` (1 to 64 bytes, its first a space) makes it harmless to send
    // the same batch twice. Nothing is written where it throws, but for DatabaseFault::lost.
    using Write = std::function<std::vector<Result<Answer>>(Database&, const std::string& key, const Batch&)>;
    // Forgets at most `rows_max` old keys of a kind, and returns how many it forgot.
    using Purge = std::function<int(Database&, int rows_max)>;

    Batcher(const LaneLimits& limits, const BatcherRules& rules, Connect<Database> connect, Lanes& lanes, Log& log,
            Write write, Purge purge)
        : lanes_(lanes),
          log_(log),
          rules_(rules),
          write_(std::move(write)),
          purge_(std::move(purge)),
          process_(std::to_string(std::random_device()()) + '-' + std::to_string(std::random_device()())),
          lane_(limits, rules.rows_max, std::move(connect), lanes,
                [this](Database& database, std::vector<Asked>& all) { write_all(database, all); }) {
        lane_.wake_at(Clock::now());
    }

    // What tells it from all others, of other processes too, however often and in which batch it is sent: 1 to 64 bytes, the
    // first a space. For who writes, in place of the batch's.
    std::string key_of(const Asked& asked) const { return key_of(asked.number); }

    void push(Question question, ExchangePtr exchange, Done done) {
        lane_.push({{std::move(exchange)}, std::move(done), std::move(question)});
    }

private:
    // Purging goes on in steps between the batches: small ones, since the next batch waits for them.
    static constexpr int purged_max_per_step = 1000;
    static constexpr std::chrono::milliseconds purge_pause{5000};
    static constexpr std::chrono::milliseconds purge_pause_if_more{20};

    std::string key_of(std::uint64_t number) const { return ' ' + process_ + '-' + std::to_string(number); }

    // What is in doubt is sent again as the batch that it was; there are several if the connection was lost between those of
    // a repair (below).
    void write_all(Database& database, std::vector<Asked>& all) {
        std::map<std::uint64_t, Batch> batches;
        const std::uint64_t fresh = ++batches_;
        for (Asked& asked : all) batches[asked.batch != 0 ? asked.batch : fresh].push_back(&asked);
        for (const auto& [number, batch] : batches) write_batch(database, number, batch);

        if (Clock::now() >= purge_at_) purge(database);
    }

    void write_batch(Database& database, std::uint64_t number, const Batch& batch) {
        for (Asked* asked : batch) {
            asked->batch = number;
            if (asked->number == 0) asked->number = ++sent_;
        }
        std::vector<Result<Answer>> answers;
        try {
            answers = write_(database, key_of(number), batch);
        } catch (const DatabaseError& error) {
            if (error.fault != DatabaseFault::rejected && error.fault != DatabaseFault::altered) throw;
            // One bad row fails its whole batch: alone, only the culprit does.
            if (batch.size() > 1) {
                for (Asked* asked : batch) asked->batch = 0;
                for (Asked* asked : batch) write_batch(database, ++batches_, {asked});
                return;
            }
            return refuse(*batch.front(), error);
        }
        for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->answer(answers[i]);
    }

    void refuse(Asked& asked, const DatabaseError& error) {
        if (error.fault == DatabaseFault::altered) {
            lanes_.failed(error.what());
            return asked.fail(database_away("The database could not do this just now."));
        }
        log_.error(rules_.rejected,
                   {{"request_id", asked.exchange->request.request_id}, {"reason", std::string_view(error.what())}});
        asked.answer(Problem{.status = 422, .detail = rules_.rejected_detail});
    }

    // A step, and when the next one is due: soon if there is more, else behind a batch, or without any after a longer time.
    void purge(Database& database) {
        const auto now = Clock::now();
        purge_at_ = now + std::min(purge_pause, rules_.purge_idle_ms);
        lane_.wake_at(now + rules_.purge_idle_ms);
        if (purge_(database, purged_max_per_step) < purged_max_per_step) return;
        purge_at_ = Clock::now() + purge_pause_if_more;
        lane_.wake_at(purge_at_);
    }

    Lanes& lanes_;
    Log& log_;
    const BatcherRules rules_;
    const Write write_;
    const Purge purge_;
    const std::string process_;  // random: tells the batches of several processes apart
    std::uint64_t batches_ = 0;  // made so far; this and the next two only by the lane
    std::uint64_t sent_ = 0;     // questions, each counted once
    Clock::time_point purge_at_{};
    Lane<Asked, Database> lane_;
};

}  // namespace app
