// What the store's threads do with a batch: one statement for the additions, one query for all pages, one for all
// single visitors and one for each other question, and the answers of a whole group one after the other.
#include "store.hpp"

#include "csv.hpp"
#include "encoding.hpp"
#include "etag.hpp"
#include "json.hpp"
#include "limits.hpp"
#include "query_string.hpp"

#include <algorithm>
#include <random>

namespace app {
namespace {

using namespace std::chrono_literals;

// Bounds the memory of an export, and how long its queries run.
constexpr int rows_max_per_chunk = 200;
// A visitor as JSON or CSV: a code point takes up to 6 bytes (\u0001), everything around the name less than 128.
constexpr std::size_t visitor_max_bytes = 6 * name_max_code_points + 128;
// What an answer has beside its visitors: its head, and the link to the next page, twice.
constexpr std::size_t around_visitors_max_bytes = 4096;
static_assert(rows_max_per_chunk * visitor_max_bytes + around_visitors_max_bytes <= answer_max_bytes);
static_assert(page_max_visitors * visitor_max_bytes + around_visitors_max_bytes <= answer_max_bytes);
// Purging goes on in steps between the batches: small ones, since the next batch waits for them.
constexpr int purged_keys_max_per_step = 1000;
constexpr auto purge_pause = 5s;
constexpr auto purge_pause_if_more = 20ms;

Problem key_reused() {
    return {
        .status = 422, .type = "/problems/key-reused", .detail = "This Idempotency-Key was used with another name."};
}

Problem not_added_with_key() {
    return {.status = 403,
            .detail = "This Idempotency-Key did not add this visitor in the last " +
                      std::to_string(taking_back_max.count()) + " minutes."};
}

Problem search_too_broad() {
    return {.status = 422,
            .type = "/problems/search-too-broad",
            .detail = "This text is too short to be found among so many names: search for 3 characters or more."};
}

Problem no_such_visitor() { return {.status = 404, .detail = "There is no visitor with this number."}; }

Problem other_version() {
    return {.status = 412, .detail = "The visitor is not the one that If-Match names. Nothing was deleted."};
}

Problem refusal_of(Removed removed) {
    if (removed == Removed::absent) return no_such_visitor();
    return removed == Removed::forbidden ? not_added_with_key() : other_version();
}

Document document(std::string body) {
    std::string etag = strong_etag(body);
    return {.body = std::make_shared<const std::string>(std::move(body)), .etag = std::move(etag)};
}

Document page_document(const PageQuestion& question, const Page& page) {
    const std::string next = page.more ? next_link(question, page.visitors.back().id) : std::string();
    Document made = document(to_json(page, next));
    made.next = next;
    return made;
}

Document rows_document(const std::vector<Visitor>& rows) {
    std::string csv;
    for (const Visitor& visitor : rows) append_csv(csv, visitor);
    return {.body = std::make_shared<const std::string>(std::move(csv)),
            .last_id = rows.size() == rows_max_per_chunk ? rows.back().id : 0};
}

void answer_pages(Database& database, const std::vector<PageQuestion>& questions, Answers& answers) {
    const std::vector<Page> pages = database.pages(questions);
    for (std::size_t i = 0; i < questions.size(); ++i)
        answers.emplace(questions[i], page_document(questions[i], pages[i]));
}

void answer_visitors(Database& database, const std::vector<std::int64_t>& ids, Answers& answers) {
    for (const Visitor& visitor : database.visitors(ids))
        answers.emplace(VisitorQuestion{visitor.id}, document(to_json(visitor)));
    for (const std::int64_t id : ids) answers.emplace(VisitorQuestion{id}, no_such_visitor());
}

// Whether If-Match (`header`) lists the tag of what reading this visitor gives. What is so now is so when the visitor is
// removed: it never changes.
bool has_tag(Database& database, std::int64_t id, const std::string& header) {
    if (header.empty()) return true;
    const std::vector<Visitor> found = database.visitors({id});
    return !found.empty() && if_match(header, document(to_json(found.front())).etag);
}

// The index is of groups of three characters; accents are not compared.
bool is_too_short_for_index(std::string_view text) {
    int characters = 0;
    while (!text.empty()) {
        const auto code_point = take_code_point(text);
        if (code_point < 0x300 || code_point > 0x36F) ++characters;
    }
    return characters < 3;
}

// No one else's text is looked for together with this one's.
bool is_search(const Question& question) {
    const auto* page = std::get_if<PageQuestion>(&question);
    return page != nullptr && !page->text.empty();
}

bool is_asked_alone(const Question& question) {
    return is_search(question) || std::holds_alternative<StatsQuestion>(question) ||
           std::holds_alternative<RowsQuestion>(question);
}

}  // namespace

Store::Store(const LaneLimits& limits, std::size_t batch_max_rows, const Connect& connect,
             const Connect& connect_for_search, DatabaseState& state, Log& log, std::chrono::milliseconds purge_idle_ms)
    : limits_(limits),
      state_(state),
      log_(log),
      process_(std::to_string(std::random_device()()) + '-' + std::to_string(std::random_device()())),
      purge_idle_ms_(purge_idle_ms),
      adds_(limits, batch_max_rows, connect, state, std::bind_front(&Store::add_all, this)),
      removes_(limits, 1, connect, state, std::bind_front(&Store::remove_each, this)),
      first_page_(limits, limits.queue_max, connect, state, std::bind_front(&Store::answer_first_pages, this)),
      other_reads_(limits, limits.queue_max, connect, state, std::bind_front(&Store::answer_anew, this)),
      searches_(limits, limits.queue_max, connect_for_search, state, std::bind_front(&Store::answer_anew, this)) {
    adds_.wake_at(Clock::now());
}

void Store::read(Question question, ExchangePtr exchange, Done<Document> done) {
    const auto* page = std::get_if<PageQuestion>(&question);
    Lane<Read>& lane = page == nullptr       ? other_reads_
                       : !page->text.empty() ? searches_
                       : page->before        ? other_reads_
                                             : first_page_;
    lane.push({{{std::move(exchange)}, std::move(done)}, std::move(question)});
}

void Store::add(Addition addition, ExchangePtr exchange, Done<Added> done) {
    adds_.push({{{std::move(exchange)}, std::move(done)}, std::move(addition)});
}

void Store::remove(Removal removal, ExchangePtr exchange, Done<std::monostate> done) {
    removes_.push({{{std::move(exchange)}, std::move(done)}, std::move(removal)});
}

void Store::close() {
    // All at once: one that is not told would go on trying for a connection, which may take seconds each time.
    adds_.stop(), removes_.stop(), first_page_.stop(), other_reads_.stop(), searches_.stop();
    adds_.close(), removes_.close(), first_page_.close(), other_reads_.close(), searches_.close();
}

void Store::answer_first_pages(Database& database, std::vector<Read>& reads) {
    if (!database.is_unchanged()) first_pages_.clear();
    answer_all(database, reads, first_pages_);
}

void Store::answer_anew(Database& database, std::vector<Read>& reads) {
    Answers nothing_yet;
    answer_all(database, reads, nothing_yet);
}

// In the order in which each was asked first, so that no one's question goes before another's for what it asks.
// Answers what is known already without asking, and keeps there what it finds out.
void Store::answer_all(Database& database, std::vector<Read>& reads, Answers& known) {
    std::vector<Group> groups = by_question(reads);
    ask_together(database, groups, known);
    for (Group& group : groups) {
        if (is_asked_alone(group.question)) {
            refuse_late(group);
            if (group.readers.empty()) continue;
            const bool is_last = &group == &groups.back();
            ask_in_time([&] { known.emplace(group.question, answer_alone(database, group.question, is_last)); });
        }
        const auto found = known.find(group.question);
        for (Read* reader : group.readers) {
            reader->answer(found != known.end() ? found->second
                                                : database_away("The database could not answer this just now."));
        }
    }
}

std::vector<Store::Group> Store::by_question(std::vector<Read>& reads) {
    std::vector<Group> groups;
    std::map<Question, std::size_t> places;
    for (Read& read : reads) {
        const auto [place, is_new] = places.try_emplace(read.question, groups.size());
        if (is_new) groups.push_back({read.question, {}});
        groups[place->second].readers.push_back(&read);
    }
    return groups;
}

// A question that fails or takes too long is no reason to fail the others.
template <class Ask>
void Store::ask_in_time(Ask ask) const {
    try {
        ask();
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::busy && error.fault != DatabaseFault::slow) throw;
        state_.failed(error.what());
    }
}

// One query for all pages and one for all single visitors: each alone, in a round trip of its own, would cost several
// times as much.
void Store::ask_together(Database& database, const std::vector<Group>& groups, Answers& known) const {
    std::vector<PageQuestion> pages;
    std::vector<std::int64_t> ids;
    for (const Group& group : groups) {
        if (known.contains(group.question) || is_asked_alone(group.question)) continue;
        if (const auto* page = std::get_if<PageQuestion>(&group.question)) {
            pages.push_back(*page);
        } else {
            ids.push_back(std::get<VisitorQuestion>(group.question).id);
        }
    }
    if (!pages.empty()) ask_in_time([&] { answer_pages(database, pages, known); });
    if (!ids.empty()) ask_in_time([&] { answer_visitors(database, ids, known); });
}

// The questions before this one may have taken long.
void Store::refuse_late(Group& group) const {
    std::erase_if(group.readers, [this](Read* reader) {
        if (reader->arrived + limits_.queue_wait_ms > Clock::now()) return false;
        reader->answer(overloaded());
        return true;
    });
}

Result<Document> Store::answer_alone(Database& database, const Question& question, bool is_last) {
    if (const auto* search = std::get_if<PageQuestion>(&question)) return answer_search(database, *search, is_last);
    if (const auto* stats = std::get_if<StatsQuestion>(&question))
        return document(to_json(database.stats(stats->days)));
    return rows_document(database.rows(std::get<RowsQuestion>(question).after, rows_max_per_chunk));
}

// A search costs its own client's time: where others wait, what could not be counted in time is not looked for again.
// `is_last` of its batch; others may have come behind it.
Result<Document> Store::answer_search(Database& database, const PageQuestion& question, bool is_last) {
    try {
        return page_document(question, database.search(question));
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::slow) throw;
    }
    if (!is_last || searches_.others_wait()) return overloaded();
    try {
        return page_document(question, database.search_frequent(question));
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::slow || !is_too_short_for_index(question.text)) throw;
    }
    return search_too_broad();
}

// What is in doubt is sent again as the batch that it was; there are several if the connection was lost between those of a
// repair (below).
void Store::add_all(Database& database, std::vector<Add>& adds) {
    std::map<std::uint64_t, std::vector<Add*>> batches;
    const std::uint64_t fresh = ++batches_;
    for (Add& add : adds) batches[add.batch != 0 ? add.batch : fresh].push_back(&add);
    for (const auto& [batch, members] : batches) add_batch(database, batch, members);

    if (Clock::now() >= purge_at_) purge(database);
}

// A step, and when the next one is due: soon if there is more, else behind an addition, or without any after a longer
// time.
void Store::purge(Database& database) {
    const auto now = Clock::now();
    purge_at_ = now + std::min<Clock::duration>(purge_pause, purge_idle_ms_);
    adds_.wake_at(now + purge_idle_ms_);
    if (database.purge_keys(purged_keys_max_per_step) < purged_keys_max_per_step) return;
    purge_at_ = Clock::now() + purge_pause_if_more;
    adds_.wake_at(purge_at_);
}

void Store::add_batch(Database& database, std::uint64_t batch, const std::vector<Add*>& adds) {
    std::vector<Addition> additions;
    for (Add* add : adds) {
        add->batch = batch;
        additions.push_back(add->addition);
    }
    std::vector<Added> added;
    try {
        added = database.add(process_ + '-' + std::to_string(batch), additions);
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::rejected && error.fault != DatabaseFault::altered) throw;
        // One bad row fails its whole batch: alone, only the culprit does.
        if (adds.size() > 1) {
            for (Add* add : adds) add->batch = 0;
            for (Add* add : adds) add_batch(database, ++batches_, {add});
            return;
        }
        return refuse(*adds.front(), error);
    }
    std::string lines;
    for (std::size_t i = 0; i < adds.size(); ++i) {
        if (!added[i].fresh) continue;
        lines += log_line("info", "visitor_added",
                          {{"request_id", adds[i]->exchange->request.request_id}, {"id", added[i].visitor.id}});
    }
    log_.write(lines);
    for (std::size_t i = 0; i < adds.size(); ++i) {
        const bool same = added[i].requested_name == adds[i]->addition.name;
        adds[i]->answer(same ? Result<Added>(added[i]) : key_reused());
    }
}

void Store::refuse(Add& add, const DatabaseError& error) {
    if (error.fault == DatabaseFault::altered) {
        state_.failed(error.what());
        return add.fail(database_away("The database could not do this just now."));
    }
    log_.error("addition_rejected",
               {{"request_id", add.exchange->request.request_id}, {"reason", std::string_view(error.what())}});
    add.answer(Problem{.status = 422, .detail = "The database does not take this name."});
}

void Store::remove_each(Database& database, std::vector<Remove>& removes) {
    for (Remove& remove : removes) {
        const Removal& removal = remove.removal;
        const Request& request = remove.exchange->request;
        const Removed removed = database.remove(removal, has_tag(database, removal.id, request.if_match));
        if (removed == Removed::done) {
            log_.info(removal.key.empty() ? "visitor_removed" : "visitor_taken_back",
                      {{"request_id", request.request_id}, {"id", removal.id}});
            remove.answer(std::monostate());
        } else {
            // In doubt, it may have been removed by the first try, or may be still.
            remove.fail(refusal_of(removed));
        }
    }
}

}  // namespace app
