// The visitors as the handlers see them: questions that are answered by a call-back, each thread and connection
// behind it, and the rules of grouping. Additions are written in batches; reads are grouped, and equal ones share one
// query and one document. Knows no SQL and no FastCGI.
//
// Every read is linearizable: a query starts after each of its readers had asked, never before. What is kept of the first page
// is given only after a query, begun as late, has said that nothing was committed meanwhile.
// Any thread may ask. A call-back runs on the store's threads, or at once on the asker's where the question is refused; it
// must not wait.
#pragma once

#include "database.hpp"
#include "http.hpp"
#include "lane.hpp"
#include "log.hpp"
#include "visitor.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace app {

// For the next rows of the CSV export, as many as are read and sent at once.
struct RowsQuestion {
    std::int64_t after = 0;  // ids above this

    auto operator<=>(const RowsQuestion&) const = default;
};
using Question = std::variant<PageQuestion, VisitorQuestion, StatsQuestion, RowsQuestion>;

// What all who asked the same question get: the text of the answer, made once.
struct Document {
    std::shared_ptr<const std::string> body;
    std::string etag;
    std::string next;          // a page's next page; empty: this is the last
    std::int64_t last_id = 0;  // a chunk's last row; 0: there are no more
};

using Answers = std::map<Question, Result<Document>>;

class Store {
public:
    template <class Value>
    using Done = std::function<void(Exchange&, const Result<Value>&)>;

    // `connect` makes the connections for everything but searches, which have their own, with its own limits. `limits`
    // are each lane's; at most `batch_max_rows` additions are one commit; where nobody adds, old keys are purged every
    // `purge_idle_ms`.
    Store(const LaneLimits& limits, std::size_t batch_max_rows, const Connect& connect,
          const Connect& connect_for_search, DatabaseState& state, Log& log,
          std::chrono::milliseconds purge_idle_ms = std::chrono::minutes{10});

    void read(Question question, ExchangePtr exchange, Done<Document> done);
    void add(Addition addition, ExchangePtr exchange, Done<Added> done);
    void remove(Removal removal, ExchangePtr exchange, Done<std::monostate> done);

    // Takes no more questions, and returns when all that were asked have been answered.
    void close();

private:
    template <class Value>
    struct Asked : Job {
        Done<Value> done;

        void answer(const Result<Value>& result) { done(*std::exchange(exchange, nullptr), result); }
        void fail(const Problem& problem) { answer(in_doubt && writes ? outcome_unknown() : problem); }

        static constexpr bool writes = !std::same_as<Value, Document>;
    };
    struct Read : Asked<Document> {
        Question question;
    };
    struct Add : Asked<Added> {
        Addition addition;
        std::uint64_t batch = 0;  // with which it was sent; 0: not yet
    };
    struct Remove : Asked<std::monostate> {
        Removal removal;
    };

    // Those of a batch that ask the same.
    struct Group {
        Question question;
        std::vector<Read*> readers;
    };

    void answer_first_pages(Database& database, std::vector<Read>& reads);
    void answer_anew(Database& database, std::vector<Read>& reads);
    void answer_all(Database& database, std::vector<Read>& reads, Answers& known);
    static std::vector<Group> by_question(std::vector<Read>& reads);
    template <class Ask>
    void ask_in_time(Ask ask) const;
    void ask_together(Database& database, const std::vector<Group>& groups, Answers& known) const;
    void refuse_late(Group& group) const;
    Result<Document> answer_alone(Database& database, const Question& question, bool is_last);
    Result<Document> answer_search(Database& database, const PageQuestion& question, bool is_last);
    void purge(Database& database);
    void add_all(Database& database, std::vector<Add>& adds);
    void add_batch(Database& database, std::uint64_t batch, const std::vector<Add*>& adds);
    void refuse(Add& add, const DatabaseError& error);
    void remove_each(Database& database, std::vector<Remove>& removes);

    const LaneLimits limits_;
    DatabaseState& state_;
    Log& log_;
    const std::string process_;  // random: tells the batches of several processes apart
    std::uint64_t batches_ = 0;  // made so far; this and the next only by the adding lane
    const std::chrono::milliseconds purge_idle_ms_;
    Clock::time_point purge_at_{};
    Answers first_pages_;  // right for as long as nothing is committed; only by their lane
    Lane<Add> adds_;
    Lane<Remove> removes_;
    Lane<Read> first_page_;
    Lane<Read> other_reads_;
    Lane<Read> searches_;
};

}  // namespace app
