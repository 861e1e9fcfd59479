// What the store's threads do with a batch: one statement for the additions, one for the deletions, one query for
// each different question, and the answers of a whole group one after the other.
#include "store.hpp"

#include "csv.hpp"
#include "etag.hpp"
#include "json.hpp"
#include "query_string.hpp"

#include <array>
#include <charconv>
#include <map>
#include <random>
#include <unordered_set>
#include <utility>

namespace app {
namespace {

constexpr int rows_max_per_chunk = 200;
constexpr int purged_keys_max_per_step = 1000;

Problem no_such_visitor() { return {.status = 404, .detail = "There is no visitor with this number."}; }

Document document(std::string body) {
    Document made;
    made.etag = strong_etag(body);
    made.body = std::make_shared<const std::string>(std::move(body));
    return made;
}

Document page_document(const PageQuestion& question, const Page& page) {
    const std::string next = page.more ? next_link(question, page.visitors.back().id) : std::string();
    Document made = document(to_json(page, next));
    made.next = next;
    return made;
}

Result<Document> answer_rows(Database& database, const RowsQuestion& question) {
    const auto rows = database.rows(question.after, rows_max_per_chunk);
    std::string csv;
    for (const Visitor& visitor : rows) append_csv(csv, visitor);
    Document made;
    made.body = std::make_shared<const std::string>(std::move(csv));
    if (rows.size() == rows_max_per_chunk) made.last_id = rows.back().id;
    return made;
}

using Answers = std::map<Question, Result<Document>>;

// One query for all of them.
void answer_pages(Database& database, const std::vector<PageQuestion>& questions, Answers& answers) {
    const std::vector<Page> pages = database.pages(questions);
    for (std::size_t i = 0; i < questions.size(); ++i)
        answers.emplace(questions[i], page_document(questions[i], pages[i]));
}

void answer_visitors(Database& database, const std::vector<std::int64_t>& ids, Answers& answers) {
    for (const Visitor& visitor : database.visitors(ids)) {
        answers.emplace(VisitorQuestion{visitor.id}, document(to_json(visitor)));
    }
    for (const std::int64_t id : ids) answers.emplace(VisitorQuestion{id}, no_such_visitor());
}

Result<Document> answer_alone(Database& database, const Question& question) {
    if (const auto* search = std::get_if<PageQuestion>(&question))
        return page_document(*search, database.search(*search));
    if (const auto* stats = std::get_if<StatsQuestion>(&question))
        return document(to_json(database.stats(stats->days)));
    return answer_rows(database, std::get<RowsQuestion>(question));
}

// A question that takes too long is no reason to fail those of another kind.
template <class Action>
bool in_time(Action action) {
    try {
        action();
        return true;
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::busy) throw;
        return false;
    }
}

LaneLimits lane_limits(const StoreLimits& limits, std::size_t batch_max) {
    return {.queue_max = limits.queue_max,
            .batch_max = batch_max,
            .queue_wait_ms = limits.queue_wait_ms,
            .retry_ms = limits.retry_ms};
}

Problem read_lost() { return database_away(); }

std::string hex(std::uint64_t value) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), value, 16).ptr;
    return std::string(static_cast<std::size_t>(digits.end() - end), '0').append(digits.begin(), end);
}

std::string random_name() {
    std::random_device device;
    return hex(std::uniform_int_distribution<std::uint64_t>()(device));
}

}  // namespace

Store::Store(const StoreLimits& limits, const Connect& connect, const Connect& connect_for_search, DatabaseState& state,
             Log& log)
    : limits_(limits),
      log_(log),
      process_(random_name()),
      writer_(
          lane_limits(limits, limits.batch_max_rows), connect, state,
          [this](Database& database, std::vector<Write>& writes) { carry_out(database, writes); }, outcome_unknown,
          [](Database& database) { return database.purge_keys(purged_keys_max_per_step) == purged_keys_max_per_step; }),
      first_page_(
          lane_limits(limits, limits.queue_max), connect, state,
          [this](Database& database, std::vector<Read>& reads) { answer_reads(database, reads); }, read_lost),
      other_reads_(
          lane_limits(limits, limits.queue_max), connect, state,
          [this](Database& database, std::vector<Read>& reads) { answer_reads(database, reads); }, read_lost),
      searches_(
          lane_limits(limits, limits.queue_max), connect_for_search, state,
          [this](Database& database, std::vector<Read>& reads) { answer_reads(database, reads); }, read_lost) {}

void Store::read(Question question, ExchangePtr exchange, WhenRead done) {
    const auto* page = std::get_if<PageQuestion>(&question);
    Lane<Read>& lane = page == nullptr       ? other_reads_
                       : !page->text.empty() ? searches_
                       : page->before        ? other_reads_
                                             : first_page_;
    lane.push({std::move(exchange), Clock::now(), std::move(question), std::move(done)});
}

void Store::add(NewVisitor visitor, std::string key, ExchangePtr exchange, WhenAdded done) {
    writer_.push({std::move(exchange), Clock::now(), Add{std::move(visitor.name), std::move(key), std::move(done)}});
}

void Store::remove(std::int64_t id, ExchangePtr exchange, WhenRemoved done) {
    writer_.push({std::move(exchange), Clock::now(), Remove{id, std::move(done)}});
}

void Store::close() {
    writer_.close();
    first_page_.close();
    other_reads_.close();
    searches_.close();
}

void Store::Read::answer(const Result<Document>& result) { done(*std::exchange(exchange, nullptr), result); }

void Store::Write::fail(const Problem& problem) {
    const ExchangePtr answered = std::exchange(exchange, nullptr);
    std::visit([&](const auto& write) { write.done(*answered, problem); }, what);
}

void Store::answer_reads(Database& database, std::vector<Read>& reads) {
    std::map<Question, std::vector<Read*>> groups;
    std::vector<PageQuestion> pages;
    std::vector<std::int64_t> ids;
    for (Read& read : reads) {
        std::vector<Read*>& group = groups[read.question];
        group.push_back(&read);
        if (group.size() > 1) continue;
        const auto* page = std::get_if<PageQuestion>(&read.question);
        if (page != nullptr && page->text.empty()) pages.push_back(*page);
        if (const auto* visitor = std::get_if<VisitorQuestion>(&read.question)) ids.push_back(visitor->id);
    }
    Answers answers;
    const Result<Document> too_slow = database_away("The database did not answer in time.");
    if (!pages.empty() && !in_time([&] { answer_pages(database, pages, answers); })) {
        for (const PageQuestion& page : pages) answers.emplace(page, too_slow);
    }
    if (!ids.empty() && !in_time([&] { answer_visitors(database, ids, answers); })) {
        for (const std::int64_t id : ids) answers.emplace(VisitorQuestion{id}, too_slow);
    }
    for (const auto& group : groups) {
        const Question& question = group.first;
        const std::vector<Read*>& readers = group.second;
        auto known = answers.find(question);
        if (known == answers.end()) {
            // The questions before this one may have taken long.
            const bool too_late = readers.front()->arrived < Clock::now() - limits_.queue_wait_ms;
            known = answers.emplace(question, too_late ? Result<Document>(overloaded()) : too_slow).first;
            if (!too_late) in_time([&] { known->second = answer_alone(database, question); });
        }
        for (Read* reader : readers) reader->answer(known->second);
    }
}

void Store::carry_out(Database& database, std::vector<Write>& writes) {
    std::vector<Write*> keyed;
    std::vector<Write*> unkeyed;
    std::vector<Write*> deletions;
    for (Write& write : writes) {
        const Add* add = std::get_if<Add>(&write.what);
        (add == nullptr ? deletions : add->key.empty() ? unkeyed : keyed).push_back(&write);
    }
    add_group(database, unkeyed);
    add_keyed(database, std::move(keyed));
    remove_all(database, deletions);
}

// A key that stands twice waits for the next statement, where it finds what the first one added.
void Store::add_keyed(Database& database, std::vector<Write*> writes) {
    while (!writes.empty()) {
        std::unordered_set<std::string_view> keys;
        std::vector<Write*> distinct;
        std::vector<Write*> later;
        for (Write* write : writes) {
            (keys.insert(std::get<Add>(write->what).key).second ? distinct : later).push_back(write);
        }
        add_group(database, distinct);
        writes = std::move(later);
    }
}

// Adds and answers; all of `writes` have keys, or none has.
void Store::add_group(Database& database, const std::vector<Write*>& writes) {
    if (writes.empty()) return;
    std::vector<Added> added;
    try {
        added = send(database, writes);
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::rejected) throw;
        // One bad row fails its whole batch: alone, only the culprit does.
        if (writes.size() > 1) {
            for (Write* write : writes) std::get<Add>(write->what).batch = nullptr;
            for (Write* write : writes) add_group(database, {write});
            return;
        }
        log_.error("addition_rejected", {{"request_id", writes.front()->exchange->request.request_id},
                                         {"reason", std::string_view(error.what())}});
        return writes.front()->fail({.status = 422, .detail = "The database does not take this name."});
    }
    std::string lines;
    for (std::size_t i = 0; i < writes.size(); ++i) {
        if (!added[i].fresh) continue;
        lines += log_line("info", "visitor_added",
                          {{"request_id", writes[i]->exchange->request.request_id}, {"id", added[i].visitor.id}});
    }
    if (!lines.empty()) log_.write(lines);
    for (std::size_t i = 0; i < writes.size(); ++i) {
        const ExchangePtr exchange = std::exchange(writes[i]->exchange, nullptr);
        const Add& add = std::get<Add>(writes[i]->what);
        if (added[i].requested_name == add.name) {
            add.done(*exchange, added[i]);
        } else {
            add.done(*exchange, Problem{.status = 422,
                                        .type = "/problems/key-reused",
                                        .detail = "This Idempotency-Key was used with another name."});
        }
    }
}

std::vector<Added> Store::send(Database& database, const std::vector<Write*>& writes) {
    std::vector<const Add*> adds;
    for (const Write* write : writes) adds.push_back(&std::get<Add>(write->what));
    if (!adds.front()->key.empty()) {
        std::vector<KeyedAddition> additions;
        for (const Add* add : adds) additions.push_back({add->key, add->name});
        return database.add_keyed(additions);
    }
    if (adds.front()->batch == nullptr) make_batch(writes);
    const Batch& batch = *adds.front()->batch;
    const std::vector<Visitor> visitors = database.add(batch.key, batch.names);
    std::vector<Added> added;
    for (const Add* add : adds) added.push_back({visitors[add->place], add->name, true});
    return added;
}

// Batches that are sent again are whole: those of `writes` have one in common, or none yet.
void Store::make_batch(const std::vector<Write*>& writes) {
    const auto batch = std::make_shared<Batch>(Batch{.key = process_ + hex(++batches_)});
    for (Write* write : writes) {
        Add& add = std::get<Add>(write->what);
        add.place = batch->names.size();
        batch->names.push_back(add.name);
        add.batch = batch;
    }
}

void Store::remove_all(Database& database, const std::vector<Write*>& writes) {
    if (writes.empty()) return;
    std::vector<std::int64_t> ids;
    std::vector<bool> sent_before;
    for (Write* write : writes) {
        Remove& remove = std::get<Remove>(write->what);
        ids.push_back(remove.id);
        sent_before.push_back(std::exchange(remove.sent, true));
    }
    const std::vector<std::int64_t> removed = database.remove(ids);
    std::unordered_set<std::int64_t> gone(removed.begin(), removed.end());
    std::string lines;
    for (const Write* write : writes) {
        const std::int64_t id = std::get<Remove>(write->what).id;
        if (gone.contains(id)) {
            lines +=
                log_line("info", "visitor_removed", {{"request_id", write->exchange->request.request_id}, {"id", id}});
        }
    }
    if (!lines.empty()) log_.write(lines);
    for (std::size_t i = 0; i < writes.size(); ++i) {
        const ExchangePtr exchange = std::exchange(writes[i]->exchange, nullptr);
        const Remove& remove = std::get<Remove>(writes[i]->what);
        if (gone.erase(remove.id) != 0) {  // of two that ask for the same id, the first deleted it
            remove.done(*exchange, std::monostate());
        } else {
            remove.done(*exchange, sent_before[i] ? outcome_unknown() : no_such_visitor());
        }
    }
}

}  // namespace app
