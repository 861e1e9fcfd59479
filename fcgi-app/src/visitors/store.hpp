// The visitors as the handlers see them: questions that are answered by a call-back, and behind them lanes of reading and
// writing, each with a connection. What they group, keep and send again is lanes/reader.hpp's and lanes/batcher.hpp's;
// here stands which question is asked how. Knows no SQL and no FastCGI. Any thread may ask. A call-back runs on a lane's
// thread, or at once on the asker's where the question is refused; it must not wait.
#pragma once

#include "base/log.hpp"
#include "content/document.hpp"
#include "http/http.hpp"
#include "lanes/batcher.hpp"
#include "lanes/lane.hpp"
#include "lanes/reader.hpp"
#include "visitors/book.hpp"
#include "visitors/visitor.hpp"

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace app {

// How the lanes get their connections: what is good for one kind of statement is not for another.
struct BookConnectors {
    Connect<Book> for_writes, for_reads, for_searches;
};

class Store {
public:
    template <class Value>
    using Done = std::function<void(Exchange&, const Result<Value>&)>;

    // `limits` are each lane's; at most `batch_max_rows` additions are one commit; where nothing is added, old keys
    // are purged every `purge_idle_ms`.
    Store(const LaneLimits& limits, std::size_t batch_max_rows, const BookConnectors& connect, Lanes& lanes, Log& log,
          std::chrono::milliseconds purge_idle_ms = BatcherRules().purge_idle_ms);

    void read(Question question, ExchangePtr exchange, Done<Document> done);
    void add(Addition addition, ExchangePtr exchange, Done<Added> done);
    void remove(Removal removal, ExchangePtr exchange, Done<std::monostate> done);

private:
    using Reading = Reader<Question, Book>;
    using Adding = Batcher<Addition, Added, Book>;
    struct Remove : Job {
        Done<std::monostate> done;
        Removal removal;

        void answer(const Result<std::monostate>& result) { done(*std::exchange(exchange, nullptr), result); }
        void fail(const Problem& problem) { answer(in_doubt ? outcome_unknown() : problem); }
    };

    std::vector<Result<Added>> write_batch(Book& book, const std::string& key, const Adding::Batch& batch);
    void remove_each(Book& book, std::vector<Remove>& removes);

    Log& log_;
    Adding adds_;
    Lane<Remove, Book> removes_;
    Reading first_page_;
    Reading other_reads_;
    Reading searches_;
};

}  // namespace app
