// Which statement answers which question, and what becomes of an addition or a removal.
#include "notes/store.hpp"

#include "http/etag.hpp"
#include "machinery_statements.hpp"
#include "statements.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

namespace app {
namespace {

using namespace machinery;
using namespace statements;

using Answers = std::map<Question, Result<Document>>;

Problem key_reused() {
    return {
        .status = 422, .type = "/problems/key-reused", .detail = "This Idempotency-Key was used with another text."};
}

Problem no_such_entry() { return {.status = 404, .detail = "There is nothing with this number."}; }

Problem other_version() {
    return {.status = 412, .detail = "It is not the one that If-Match names. Nothing was deleted."};
}

Document answer_page(PostgresConnection& database, const PageQuestion& question) {
    Page page;
    const std::int64_t before = question.before.value_or(id_max);
    for (const auto& row : database.call<page_of_notes>(before, question.limit + 1)) {
        page.total = row.number(page_of_notes::total);
        if (row.is_null(page_of_notes::id)) continue;
        page.more = static_cast<int>(page.entries.size()) == question.limit;
        if (!page.more) page.entries.push_back(row.value<Entry, entry_fields>());
    }
    const std::string next = page.more ? next_link(question, page.entries.back().id) : std::string();
    Document made = document_of(to_json(page, next));
    made.next = next;
    return made;
}

Result<Document> answer_entry(PostgresConnection& database, std::int64_t id) {
    const auto rows = database.call<one_of_notes>(id);
    if (rows.empty()) return no_such_entry();
    return document_of(json_of(rows.single().value<Entry, entry_fields>(), entry_fields));
}

// Each question is a query of its own; those who ask the same share it.
Reader<Question, PostgresConnection>::Rules reading(bool keeps) {
    const auto answer = [](PostgresConnection& database, const Question& question,
                           const std::function<bool()>&) -> Result<Document> {
        if (const auto* page = std::get_if<PageQuestion>(&question)) return answer_page(database, *page);
        return answer_entry(database, std::get<EntryQuestion>(question).id);
    };
    return {.is_alone = [](const Question&) { return true; }, .answer_alone = answer, .keeps = keeps};
}

int purge(PostgresConnection& database, int rows_max) {
    const auto purged = database.call<purge_kept_answers>(rows_max);
    return static_cast<int>(purged.single().number(purge_kept_answers::rows));
}

void require_all(std::size_t given, std::size_t asked) {
    if (given != asked)
        throw DatabaseError(DatabaseFault::altered, "a trigger, a rule or a policy adds otherwise than asked");
}

// An addition amid its batch.
struct Claim {
    std::string key;  // its client's, or one of the batch's, so that it, too, can be sent again
    std::string text;
    bool fresh = false;   // the first with this key
    std::string before;   // the text that the first asked for
    std::string answer;   // the first's, which all get: its path and its JSON, a line each
    std::int64_t id = 0;  // what was added, where it was
};

std::vector<std::string> list(const std::vector<Claim>& claims, std::string Claim::*member) {
    std::vector<std::string> all;
    for (const Claim& claim : claims) all.push_back(claim.*member);
    return all;
}

// Asks who is the first with each key.
void look_up(PostgresConnection& database, std::vector<Claim>& claims) {
    const auto rows = database.call<claim_keys>(array(list(claims, &Claim::key)), array(list(claims, &Claim::text)));
    require_all(rows.size(), claims.size());
    for (std::size_t i = 0; const auto& row : rows) {
        claims[i].fresh = row.flag(claim_keys::fresh);
        claims[i].before = row.text(claim_keys::request);
        claims[i].answer = row.text(claim_keys::answer);
        ++i;
    }
}

// Adds the texts of those, and keeps what each key is answered from then on.
void add_fresh(PostgresConnection& database, std::vector<Claim>& claims) {
    std::vector<Claim> fresh;
    std::ranges::copy_if(claims, std::back_inserter(fresh), &Claim::fresh);
    if (fresh.empty()) return;
    const auto added = database.call<add_notes>(array(list(fresh, &Claim::text))).values<Entry, entry_fields>();
    require_all(added.size(), fresh.size());
    std::map<std::string, Claim> firsts;
    for (auto entry = added.begin(); Claim & claim : fresh) {
        require_all(entry->text == claim.text, true);
        claim.id = entry->id;
        claim.answer = path_of(entry->id) + '\n' + json_of(*entry, entry_fields);
        firsts[claim.key] = claim;
        ++entry;
    }
    const auto kept = database.call<keep_answers>(array(list(fresh, &Claim::key)), array(list(fresh, &Claim::answer)));
    require_all(static_cast<std::size_t>(kept.single().number(keep_answers::rows)), fresh.size());
    for (Claim& claim : claims) {
        const auto first = firsts.find(claim.key);
        if (first == firsts.end()) continue;
        claim.answer = first->second.answer;
        claim.id = first->second.id;
    }
}

Result<Added> answer_of(const Claim& claim, bool replayed) {
    if (claim.before != claim.text) return key_reused();
    const auto end = claim.answer.find('\n');
    return Added{claim.answer.substr(0, end), claim.answer.substr(end + 1), replayed};
}

}  // namespace

std::span<const Prepared> notes_statements() { return statements::all; }

Store::Store(const LaneLimits& limits, std::size_t batch_max_rows, const Connect<PostgresConnection>& connect,
             Lanes& lanes, Log& log)
    : log_(log),
      adds_(limits, {.rows_max = batch_max_rows, .rejected = "addition_rejected"}, connect, lanes, log,
            std::bind_front(&Store::write_batch, this), purge),
      removes_(limits, 1, connect, lanes, std::bind_front(&Store::remove_each, this)),
      first_page_(limits, connect, lanes, reading(true)),
      other_reads_(limits, connect, lanes, reading(false)) {}

void Store::read(Question question, ExchangePtr exchange, Done<Document> done) {
    const auto* page = std::get_if<PageQuestion>(&question);
    Reading& reader = page != nullptr && !page->before ? first_page_ : other_reads_;
    reader.push(question, std::move(exchange), std::move(done));
}

void Store::add(Addition addition, ExchangePtr exchange, Done<Added> done) {
    adds_.push(std::move(addition), std::move(exchange), std::move(done));
}

void Store::remove(std::int64_t id, ExchangePtr exchange, Done<std::monostate> done) {
    removes_.push({{std::move(exchange)}, std::move(done), id});
}

// One transaction: who is the first with a key, what those add, and what each key is answered from then on.
std::vector<Result<Added>> Store::write_batch(PostgresConnection& database, const std::string& key,
                                              const Adding::Batch& batch) {
    std::vector<Claim> claims;
    for (const auto* asked : batch) {
        const std::string& own = asked->question.key;
        claims.push_back({own.empty() ? key + '-' + std::to_string(claims.size()) : own, asked->question.text});
    }
    database.transact([&] {
        look_up(database, claims);
        add_fresh(database, claims);
    });
    std::vector<Result<Added>> answers;
    std::string lines;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const Claim& claim = claims[i];
        answers.push_back(answer_of(claim, !claim.fresh && !batch[i]->question.key.empty()));
        if (!claim.fresh) continue;
        lines +=
            log_line("info", "notes_added", {{"request_id", batch[i]->exchange->request.request_id}, {"id", claim.id}});
    }
    log_.write(lines);
    return answers;
}

void Store::remove_each(PostgresConnection& database, std::vector<Remove>& removes) {
    for (Remove& remove : removes) {
        const Request& request = remove.exchange->request;
        const std::string_view header = request.header("If-Match");
        if (!header.empty()) {
            const auto found = answer_entry(database, remove.id);
            if (found && !if_match(header, found->etag)) {
                remove.fail(other_version());
                continue;
            }
        }
        if (database.call<remove_notes>(remove.id).empty()) {
            // In doubt, it may have been removed by the first try.
            remove.fail(no_such_entry());
        } else {
            log_.info("notes_removed", {{"request_id", request.request_id}, {"id", remove.id}});
            remove.answer(std::monostate());
        }
    }
}

}  // namespace app
