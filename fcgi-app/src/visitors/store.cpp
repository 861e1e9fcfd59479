// Which statement answers which question, and what becomes of an addition or a removal.
#include "visitors/store.hpp"

#include "http/etag.hpp"
#include "http/limits.hpp"
#include "service/search.hpp"

#include <string_view>

namespace app {
namespace {

using Answers = std::map<Question, Result<Document>>;

// Bounds the memory of an export, and how long its queries run.
constexpr int rows_max_per_chunk = 200;
// A visitor as JSON or CSV: a code point takes up to 6 bytes (\u0001), everything around the name less than 128.
constexpr std::size_t visitor_max_bytes = 6 * name_rule.code_points_max + 128;
// What an answer has beside its visitors: its head, and the link to the next page, twice.
constexpr std::size_t around_visitors_max_bytes = 4096;
static_assert(rows_max_per_chunk * visitor_max_bytes + around_visitors_max_bytes <= answer_max_bytes);
static_assert(page_max_visitors * visitor_max_bytes + around_visitors_max_bytes <= answer_max_bytes);

Problem key_reused() {
    return {
        .status = 422, .type = "/problems/key-reused", .detail = "This Idempotency-Key was used with another name."};
}

Problem not_added_with_key() {
    return {.status = 403,
            .detail = "This Idempotency-Key did not add this visitor in the last " +
                      std::to_string(taking_back_max.count()) + " minutes."};
}

Problem no_such_visitor() { return {.status = 404, .detail = "There is no visitor with this number."}; }

Problem other_version() {
    return {.status = 412, .detail = "The visitor is not the one that If-Match names. Nothing was deleted."};
}

Problem refusal_of(Removed removed) {
    if (removed == Removed::absent) return no_such_visitor();
    return removed == Removed::forbidden ? not_added_with_key() : other_version();
}

Document page_document(const PageQuestion& question, const Page& page) {
    const std::string next = page.more ? next_link(question, page.visitors.back().id) : std::string();
    Document made = document_of(to_json(page, next));
    made.next = next;
    return made;
}

Document rows_document(const std::vector<Visitor>& rows) {
    std::string csv;
    for (const Visitor& visitor : rows) append_csv(csv, visitor, visitor_fields);
    return {.body = std::make_shared<const std::string>(std::move(csv)),
            .last_id = rows.size() == rows_max_per_chunk ? rows.back().id : 0};
}

// Of `questions` those of one kind.
template <class Kind>
std::vector<Kind> of_kind(const std::vector<const Question*>& questions) {
    std::vector<Kind> found;
    for (const Question* question : questions) {
        if (const auto* one = std::get_if<Kind>(question)) found.push_back(*one);
    }
    return found;
}

void answer_pages(Book& book, const std::vector<const Question*>& questions, Answers& answers) {
    const auto asked = of_kind<PageQuestion>(questions);
    if (asked.empty()) return;
    const std::vector<Page> pages = book.pages(asked);
    for (std::size_t i = 0; i < asked.size(); ++i) answers.emplace(asked[i], page_document(asked[i], pages[i]));
}

void answer_visitors(Book& book, const std::vector<const Question*>& questions, Answers& answers) {
    std::vector<std::int64_t> ids;
    for (const auto& asked : of_kind<VisitorQuestion>(questions)) ids.push_back(asked.id);
    if (ids.empty()) return;
    for (const Visitor& visitor : book.visitors(ids))
        answers.emplace(VisitorQuestion{visitor.id}, document_of(json_of(visitor, visitor_fields)));
    for (const std::int64_t id : ids) answers.emplace(VisitorQuestion{id}, no_such_visitor());
}

// Whether If-Match (`header`) lists the tag of what reading this visitor gives. What is so now is so when the visitor is
// removed: it never changes.
bool has_tag(Book& book, std::int64_t id, std::string_view header) {
    if (header.empty()) return true;
    const std::vector<Visitor> found = book.visitors({id});
    return !found.empty() && if_match(header, document_of(json_of(found.front(), visitor_fields)).etag);
}

// No one else's text is looked for together with this one's.
bool is_asked_alone(const Question& question) {
    const auto* page = std::get_if<PageQuestion>(&question);
    if (page != nullptr) return !page->text.empty();
    return !std::holds_alternative<VisitorQuestion>(question);
}

Result<Document> answer_alone(Book& book, const Question& question, const OthersWait& others_wait) {
    if (const auto* page = std::get_if<PageQuestion>(&question)) {
        return search_in_time(
            page->text, others_wait, [&] { return page_document(*page, book.search(*page)); },
            [&] { return page_document(*page, book.search_frequent(*page)); });
    }
    if (const auto* stats = std::get_if<StatsQuestion>(&question)) return document_of(to_json(book.stats(stats->days)));
    return rows_document(book.rows(std::get<RowsQuestion>(question).after, rows_max_per_chunk));
}

// One query for all pages and one for all single visitors.
Reader<Question, Book>::Rules reading(bool keeps) {
    return {.is_alone = is_asked_alone,
            .answer_alone = answer_alone,
            .answer_together = {answer_pages, answer_visitors},
            .keeps = keeps};
}

}  // namespace

Store::Store(const LaneLimits& limits, std::size_t batch_max_rows, const BookConnectors& connect, Lanes& lanes,
             Log& log, std::chrono::milliseconds purge_idle_ms)
    : log_(log),
      adds_(limits,
            {.rows_max = batch_max_rows,
             .rejected = "addition_rejected",
             .rejected_detail = "The database does not take this name.",
             .purge_idle_ms = purge_idle_ms},
            connect.for_writes, lanes, log, std::bind_front(&Store::write_batch, this), std::mem_fn(&Book::purge_keys)),
      removes_(limits, 1, connect.for_writes, lanes, std::bind_front(&Store::remove_each, this)),
      first_page_(limits, connect.for_reads, lanes, reading(true)),
      other_reads_(limits, connect.for_reads, lanes, reading(false)),
      searches_(limits, connect.for_searches, lanes, reading(false)) {}

void Store::read(Question question, ExchangePtr exchange, Done<Document> done) {
    const auto* page = std::get_if<PageQuestion>(&question);
    Reading& reader = page == nullptr       ? other_reads_
                      : !page->text.empty() ? searches_
                      : page->before        ? other_reads_
                                            : first_page_;
    reader.push(std::move(question), std::move(exchange), std::move(done));
}

void Store::add(Addition addition, ExchangePtr exchange, Done<Added> done) {
    adds_.push(std::move(addition), std::move(exchange), std::move(done));
}

void Store::remove(Removal removal, ExchangePtr exchange, Done<std::monostate> done) {
    removes_.push({{std::move(exchange)}, std::move(done), std::move(removal)});
}

std::vector<Result<Added>> Store::write_batch(Book& book, const std::string& key, const Adding::Batch& batch) {
    std::vector<Addition> additions;
    for (const auto* asked : batch) additions.push_back(asked->question);
    const std::vector<Added> added = book.add(key, additions);
    std::string lines;
    std::vector<Result<Added>> answers;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (added[i].fresh) {
            lines += log_line("info", "visitor_added",
                              {{"request_id", batch[i]->exchange->request.request_id}, {"id", added[i].visitor.id}});
        }
        const bool same = added[i].requested_name == additions[i].name;
        answers.push_back(same ? Result<Added>(added[i]) : key_reused());
    }
    log_.write(lines);
    return answers;
}

void Store::remove_each(Book& book, std::vector<Remove>& removes) {
    for (Remove& remove : removes) {
        const Removal& removal = remove.removal;
        const Request& request = remove.exchange->request;
        const Removed removed = book.remove(removal, has_tag(book, removal.id, request.header("If-Match")));
        if (removed == Removed::done) {
            log_.info(removal.key.empty() ? "visitor_removed" : "visitor_taken_back",
                      {{"request_id", request.request_id}, {"id", removal.id}});
            remove.answer(std::monostate());
        } else {
            book.confirm();
            // In doubt, it may have been removed by the first try, or may be still.
            remove.fail(refusal_of(removed));
        }
    }
}

}  // namespace app
