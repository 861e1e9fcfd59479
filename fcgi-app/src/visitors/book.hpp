// What the visitors' service asks of its database, as an interface of blocking calls. Knows neither SQL nor threads: an
// implementation is one connection, and its owner calls it from one thread at a time.
#pragma once

#include "lanes/connection.hpp"
#include "visitors/visitor.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace app {

struct Addition {
    Name name;
    std::string key;  // its client's, 1 to 64 bytes, which makes sending it twice harmless; empty: it has none
};

struct Added {
    Visitor visitor;
    Name requested_name;  // what the first request with this key asked for
    bool fresh = false;   // false: an earlier request with this key had added it
};

// How long a visitor may be taken back by the key that added it.
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

class Book : public Connection {
public:
    // One statement, one commit; the answers are in the order of the additions. `batch_key` (1 to 64 bytes) makes it
    // harmless to send the same batch twice.
    virtual std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) = 0;
    // `matched`: it is the one that was meant; else nothing is removed.
    virtual Removed remove(const Removal& removal, bool matched) = 0;
    // Forgets the keys of clients and of batches that are older than they have to be, at most `rows_max` of each;
    // returns how many it forgot of the kind of which it forgot more.
    virtual int purge_keys(int rows_max) = 0;

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
};

}  // namespace app
