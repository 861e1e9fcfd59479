// What a service needs that has no statement of its own for many questions at once: each read and each write is a function on
// the connection. Equal reads share one run. All writes of a batch are one transaction, in which the keys of clients are
// claimed and the first answer to each is kept (sql/machinery/keys.sql), and batches of several processes come one after the
// other, so that a write may read and then write what depends on it. Whatever the resource is, a write that is sent again
// with its key is answered as it was the first time, and one that was in doubt is done once. Knows no resource. Any thread may
// ask; the functions run on lanes, one at a time each, and must not wait for anything but the connection.
#pragma once

#include "content/document.hpp"
#include "http/http.hpp"
#include "lanes/batcher.hpp"
#include "lanes/lane.hpp"
#include "lanes/reader.hpp"
#include "postgres/postgres_connection.hpp"

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

// What a write is answered. It is kept, and answered again.
struct Reply {
    int status = 200;
    std::string location;  // empty: none
    std::string etag;      // empty: none
    std::string body;      // JSON, in one line; empty: none
    std::string event;     // of the log; empty: nothing was changed
    std::string subject;   // the log's `id`, a number where it is one
};

// What it gives is a document, or why there is none. A search may take long, and has a connection of its own.
struct ReadOperation {
    template <std::invocable<PostgresConnection&, const OthersWait&> Function>
    explicit ReadOperation(Function function, bool searches = false) : run(std::move(function)), is_search(searches) {}

    std::function<Result<Document>(PostgresConnection&, const OthersWait&)> run;
    bool is_search;
};
// A problem changes nothing, and uses up no key. `asked` is what a key is compared by beside method and path: what the body
// says, however it was written; empty: the body as it was sent.
struct WriteOperation {
    template <std::invocable<PostgresConnection&> Function>
    WriteOperation(Function function, std::string what_is_asked = {})
        : run(std::move(function)), asked(std::move(what_is_asked)) {}

    std::function<Result<Reply>(PostgresConnection&)> run;
    std::string asked;
};

// For `asked`: a body's members, each a text or none.
std::string text_of(const std::vector<std::optional<std::string>>& members);

class Operations {
public:
    // `limits` are each lane's; at most `rows_max` writes are one transaction.
    Operations(const LaneLimits& limits, std::size_t rows_max, const Connect<PostgresConnection>& connect,
               const Connect<PostgresConnection>& connect_for_search, Lanes& lanes, Log& log);

    // Each answers the exchange.
    void read(const ExchangePtr& exchange, ReadOperation operation);
    void write(const ExchangePtr& exchange, WriteOperation operation);

private:
    // Equal if they have the same target.
    struct Read {
        std::string target;
        ReadOperation operation;

        bool operator<(const Read& other) const { return target < other.target; }
    };
    struct Write {
        std::string key;      // the client's; empty: it has none
        std::string request;  // what was asked
        WriteOperation operation;
    };
    struct Done {
        Reply reply;
        bool is_replay = false;
    };
    using Reading = Reader<Read, PostgresConnection>;
    using Writing = Batcher<Write, Done, PostgresConnection>;

    static Reading::Rules reading();
    std::vector<Result<Done>> write_batch(PostgresConnection& connection, const std::string& key,
                                          const Writing::Batch& batch);
    std::vector<Result<Done>> transact(PostgresConnection& connection, const Writing::Batch& batch) const;
    void log_changes(const Writing::Batch& batch, const std::vector<Result<Done>>& done) const;

    Log& log_;
    const std::chrono::milliseconds retry_ms_;
    Writing writes_;
    Reading reads_;
    Reading searches_;
};

// What the handlers of a service need that has nothing else.
struct Service {
    Operations& operations;
    std::string admin_token;  // empty: there is no admin
    std::string index;        // JSON
    Log& log;                 // where a refusal is told
};

// For ask_then_act(): what is then done with what a route asks. Service::operations are the service's.
template <class Service>
void read_it(const Service& service, const ExchangePtr& exchange, const ReadOperation& operation) {
    service.operations.read(exchange, operation);
}
template <class Service>
void write_it(const Service& service, const ExchangePtr& exchange, const WriteOperation& operation) {
    service.operations.write(exchange, operation);
}

}  // namespace app
