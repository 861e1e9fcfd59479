// The table as the handlers see it: questions that are answered by a call-back, and behind them lanes of reading and writing, each with
// a connection. What they group, keep and send again is postgres/reader.hpp's and postgres/batcher.hpp's; here stands which
// statement answers which question. Any thread may ask. A call-back runs on a lane's thread, or at once on the asker's where the
// question is refused; it must not wait.
#pragma once

#include "base/log.hpp"
#include "http/document.hpp"
#include "http/http.hpp"
#include "notes/notes.hpp"
#include "postgres/batcher.hpp"
#include "postgres/lane.hpp"
#include "postgres/postgres_connection.hpp"
#include "postgres/reader.hpp"

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace app {

// The statements of sql/statements.sql, for PostgresSettings.
std::span<const Prepared> notes_statements();

struct Addition {
    std::string text;
    std::string key;  // its client's, which makes sending it twice harmless; empty: it has none
};

struct Added {
    std::string location;
    std::string json;
    bool replayed = false;  // an earlier request with this key had added it
};

class Store {
public:
    template <class Value>
    using Done = std::function<void(Exchange&, const Result<Value>&)>;

    // `limits` are each lane's; at most `batch_max_rows` additions are one commit.
    Store(const LaneLimits& limits, std::size_t batch_max_rows, const Connect<PostgresConnection>& connect,
          Lanes& lanes, Log& log);

    void read(Question question, ExchangePtr exchange, Done<Document> done);
    void add(Addition addition, ExchangePtr exchange, Done<Added> done);
    void remove(std::int64_t id, ExchangePtr exchange, Done<std::monostate> done);

private:
    using Reading = Reader<Question, PostgresConnection>;
    using Adding = Batcher<Addition, Added, PostgresConnection>;
    struct Remove : Job {
        Done<std::monostate> done;
        std::int64_t id = 0;

        void answer(const Result<std::monostate>& result) { done(*std::exchange(exchange, nullptr), result); }
        void fail(const Problem& problem) { answer(in_doubt ? outcome_unknown() : problem); }
    };

    std::vector<Result<Added>> write_batch(PostgresConnection& database, const std::string& key,
                                           const Adding::Batch& batch);
    void remove_each(PostgresConnection& database, std::vector<Remove>& removes);

    Log& log_;
    Adding adds_;
    Lane<Remove, PostgresConnection> removes_;
    Reading first_page_;
    Reading other_reads_;
};

}  // namespace app
