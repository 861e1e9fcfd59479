// Reading for many at once: those who ask the same share one query, one text and one tag, and what can be asked together is.
//
// Every read is linearizable: a query starts after each of its readers had asked, never before. What is kept of answers is
// given only after a query, begun as late, has said that nothing was committed meanwhile. Questions are answered in the order
// in which each was asked first, so that no question goes before another's for what it asks.
// Knows neither SQL nor what is asked. Any thread may ask. A call-back runs on the reader's lane, or at once on the asker's
// thread where the question is refused; it must not wait.
#pragma once

#include "content/document.hpp"
#include "http/http.hpp"
#include "lanes/lane.hpp"

#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace app {

// Whether there are questions behind the one that is being answered.
using OthersWait = std::function<bool()>;

// Two questions that compare equal get the same answer.
template <class Question, class Database>
class Reader {
public:
    using Answers = std::map<Question, Result<Document>>;
    using Done = std::function<void(Exchange&, const Result<Document>&)>;
    // Plain functions: they are called for each question.
    struct Rules {
        // Whether the question is asked in a query of its own.
        bool (*is_alone)(const Question&);
        // Its answer.
        Result<Document> (*answer_alone)(Database&, const Question&, const OthersWait&);
        // Each is given all the others, which came together, and puts the answers to those that it knows into the last.
        std::vector<void (*)(Database&, const std::vector<const Question*>&, Answers&)> answer_together;
        // Answers are kept for as long as nothing is committed: for a lane whose questions are few.
        bool keeps = false;
    };

    Reader(const LaneLimits& limits, Connect<Database> connect, Lanes& lanes, Rules rules)
        : limits_(limits),
          lanes_(lanes),
          rules_(std::move(rules)),
          lane_(limits, limits.queue_max, std::move(connect), lanes,
                [this](Database& database, std::vector<Read>& reads) { answer(database, reads); }) {}

    void push(Question question, ExchangePtr exchange, Done done) {
        lane_.push({{std::move(exchange)}, std::move(done), std::move(question)});
    }

private:
    struct Read : Job {
        Done done;
        Question question;

        void answer(const Result<Document>& result) { done(*std::exchange(exchange, nullptr), result); }
        void fail(const Problem& problem) { answer(problem); }
    };

    // A confirmation takes a commit, so it is worth a wait for more that can have the same one; not behind a slow search.
    static constexpr std::chrono::milliseconds confirm_within{20};

    // Those of a batch that ask the same.
    struct Group {
        Question question;
        std::vector<Read*> readers;
    };

    void answer(Database& database, std::vector<Read>& reads) {
        if (!rules_.keeps || !database.is_unchanged()) known_.clear();
        std::vector<Group> groups = by_question(reads);
        ask_together(database, groups);
        std::vector<Group*> asked;  // and not answered
        const auto begun = Clock::now();
        for (Group& group : groups) {
            if (rules_.is_alone(group.question)) ask_alone(database, group, &group != &groups.back());
            asked.push_back(&group);
            if (!database.confirms() || Clock::now() - begun > confirm_within) give(database, asked);
        }
        give(database, asked);
    }

    void ask_alone(Database& database, Group& group, bool is_followed) {
        refuse_late(group);
        if (group.readers.empty()) return;
        const OthersWait others_wait = [&] { return is_followed || lane_.others_wait(); };
        ask_in_time(
            [&] { known_.emplace(group.question, rules_.answer_alone(database, group.question, others_wait)); });
    }

    // One confirmation for all of them.
    void give(Database& database, std::vector<Group*>& asked) {
        if (asked.empty()) return;
        database.confirm();
        for (Group* group : asked) {
            const auto found = known_.find(group->question);
            for (Read* reader : group->readers) {
                reader->answer(found != known_.end() ? found->second
                                                     : database_away("The database could not answer this just now."));
            }
        }
        asked.clear();
    }

    static std::vector<Group> by_question(std::vector<Read>& reads) {
        std::vector<Group> groups;
        std::map<Question, std::size_t> places;
        for (Read& read : reads) {
            const auto [place, is_new] = places.try_emplace(read.question, groups.size());
            if (is_new) groups.push_back({read.question, {}});
            groups[place->second].readers.push_back(&read);
        }
        return groups;
    }

    // One query for many questions: each in a round trip of its own would cost several times as much.
    void ask_together(Database& database, const std::vector<Group>& groups) {
        std::vector<const Question*> questions;
        for (const Group& group : groups) {
            if (!known_.contains(group.question) && !rules_.is_alone(group.question))
                questions.push_back(&group.question);
        }
        if (questions.empty()) return;
        for (const auto& answer : rules_.answer_together) ask_in_time([&] { answer(database, questions, known_); });
    }

    // A question that fails or takes too long is no reason to fail the others.
    template <class Ask>
    void ask_in_time(Ask ask) const {
        try {
            ask();
        } catch (const DatabaseError& error) {
            if (error.fault != DatabaseFault::busy && error.fault != DatabaseFault::slow) throw;
            lanes_.failed(error.what());
        }
    }

    // The questions before this one may have taken long.
    void refuse_late(Group& group) const {
        std::erase_if(group.readers, [this](Read* reader) {
            if (reader->arrived + limits_.queue_wait_ms > Clock::now()) return false;
            reader->answer(overloaded());
            return true;
        });
    }

    const LaneLimits limits_;
    Lanes& lanes_;
    const Rules rules_;
    Answers known_;  // only by the lane's thread
    Lane<Read, Database> lane_;
};

}  // namespace app
