// The visitors as the handlers see them: questions that are answered by a call-back, each thread and connection
// behind it, and the rules of grouping. Additions and deletions go through one writing thread in batches;
// reads are grouped, and equal ones share one query and one document. Knows no SQL and no FastCGI.
//
// Every read is linearizable: a query starts after each of its readers had asked, never before.
// Any thread may ask. A call-back runs on the store's threads and must not wait.
#pragma once

#include "database.hpp"
#include "http.hpp"
#include "lane.hpp"
#include "log.hpp"
#include "visitor.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace app {

// Rows of the CSV export that are read and sent at once: bounds its memory, and how long a query runs.
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

struct StoreLimits {
    std::size_t queue_max = 1024;      // questions waiting, in each queue
    std::size_t batch_max_rows = 256;  // additions and deletions in one batch
    std::chrono::milliseconds queue_wait_ms{1500};
    std::chrono::milliseconds retry_ms{2400};
};

class Store {
public:
    using WhenRead = std::function<void(Exchange&, const Result<Document>&)>;
    using WhenAdded = std::function<void(Exchange&, const Result<Added>&)>;
    using WhenRemoved = std::function<void(Exchange&, const Result<std::monostate>&)>;

    // `connect` makes the connections for everything but searches, which have their own, with its own limits.
    Store(const StoreLimits& limits, const Connect& connect, const Connect& connect_for_search, DatabaseState& state,
          Log& log);

    void read(Question question, ExchangePtr exchange, WhenRead done);
    // `key` is the client's, or empty.
    void add(NewVisitor visitor, std::string key, ExchangePtr exchange, WhenAdded done);
    void remove(std::int64_t id, ExchangePtr exchange, WhenRemoved done);

    // Takes no more questions, and returns when all that were asked have been answered.
    void close();

private:
    struct Read {
        ExchangePtr exchange;
        Clock::time_point arrived;
        Question question;
        WhenRead done;

        void fail(const Problem& problem) { answer(problem); }
        void answer(const Result<Document>& result);
    };
    // Additions without a key of their own as they were sent first: sent again, they are the same, whoever still waits.
    struct Batch {
        std::string key;
        std::vector<Name> names;
    };
    struct Add {
        Name name;
        std::string key;  // the client's; empty: it has its place in a batch
        WhenAdded done;
        std::shared_ptr<const Batch> batch = nullptr;  // once it was sent
        std::size_t place = 0;
    };
    struct Remove {
        std::int64_t id = 0;
        WhenRemoved done;
        bool sent = false;  // to the database, at least once
    };
    struct Write {
        ExchangePtr exchange;
        Clock::time_point arrived;
        std::variant<Add, Remove> what;

        void fail(const Problem& problem);
    };

    void answer_reads(Database& database, std::vector<Read>& reads);
    void carry_out(Database& database, std::vector<Write>& writes);
    void add_keyed(Database& database, std::vector<Write*> writes);
    void add_group(Database& database, const std::vector<Write*>& writes);
    std::vector<Added> send(Database& database, const std::vector<Write*>& writes);
    void make_batch(const std::vector<Write*>& writes);
    void remove_all(Database& database, const std::vector<Write*>& writes);

    const StoreLimits limits_;
    Log& log_;
    const std::string process_;  // random: tells the batches of several processes apart
    std::uint64_t batches_ = 0;  // made so far; only by the writing thread
    Lane<Write> writer_;
    Lane<Read> first_page_;
    Lane<Read> other_reads_;
    Lane<Read> searches_;
};

}  // namespace app
