// What the application asks of a database, as an interface of blocking calls. Knows neither SQL nor threads:
// an implementation is one connection, and whoever owns it calls it from one thread at a time.
#pragma once

#include "visitor.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace app {

// How a call failed, by what may be done next.
enum class DatabaseFault {
    lost,      // the connection is gone; what was asked may or may not have been done
    refused,   // nothing was done, and this connection is of no more use
    busy,      // nothing was done; the connection is good (a lock, a full disk)
    slow,      // the same, because it was cancelled after its time
    rejected,  // nothing was done: a value that the schema does not allow
    altered,   // nothing was done: a trigger or a rule of the database would have done something else
};

class DatabaseError : public std::runtime_error {
public:
    DatabaseError(DatabaseFault kind, const std::string& what) : std::runtime_error(what), fault(kind) {}

    DatabaseFault fault;
};

struct Addition {
    Name name;
    std::string key;  // its client's, 1 to 64 bytes, which makes sending it twice harmless; empty: it has none
};

struct Added {
    Visitor visitor;
    Name requested_name;  // what the first request with this key asked for
    bool fresh = false;   // false: an earlier request with this key had added it
};

// How long whoever added a visitor may take it back.
constexpr std::chrono::minutes taking_back_max{10};

struct Removal {
    std::int64_t id = 0;
    std::string key;  // must have added the visitor, and lately; empty: the admin removes it
};

enum class Removed {
    done,
    absent,     // there is no such visitor
    forbidden,  // the key did not add this one, or too long ago
    unmatched,  // it may be removed, but is not the one that was meant
};

// Every call may throw DatabaseError. A call that writes has committed durably when it returns.
class Database {
public:
    Database() = default;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    virtual ~Database() = default;

    // False once the server is known to have ended the connection: what is asked now would be lost, and is not done.
    virtual bool is_open() const = 0;

    // One statement, one commit; the answers are in the order of the additions. `batch_key` (1 to 64 bytes) makes it
    // harmless to send the same batch twice.
    virtual std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) = 0;
    // `matched`: it is the one that was meant; else nothing is removed.
    virtual Removed remove(const Removal& removal, bool matched) = 0;
    // Forgets the keys of clients and of batches that are older than they have to be, at most `rows_max` of each;
    // returns how many it forgot of the kind of which it forgot more.
    virtual int purge_keys(int rows_max) = 0;

    // Whether nobody has committed anything since this was asked last on this connection; false the first time.
    virtual bool is_unchanged() = 0;

    // Pages of all visitors (no text in the questions), from one snapshot, in the order of the questions.
    virtual std::vector<Page> pages(const std::vector<PageQuestion>& questions) = 0;
    // Of the names that contain the question's text; `slow` where that takes too long.
    virtual Page search(const PageQuestion& question) = 0;
    // The same without the total: quick where many names match, slow where few do.
    virtual Page search_frequent(const PageQuestion& question) = 0;
    // Those of `ids` that are there, in any order.
    virtual std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) = 0;
    // Of the last `days` days, today among them.
    virtual Stats stats(int days) = 0;
    // Oldest first, ids above `after`, at most `rows_max`.
    virtual std::vector<Visitor> rows(std::int64_t after, int rows_max) = 0;
    // Asks for nothing, and returns once it is answered.
    virtual void ping() = 0;
};

// Makes a connection or throws DatabaseError.
using Connect = std::function<std::unique_ptr<Database>()>;

}  // namespace app
