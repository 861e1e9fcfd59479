// For each route what is asked, or why not, and which statement answers it. The table of routes is at the end.
#include "notes/notes.hpp"

#include "content/document.hpp"
#include "content/json_reader.hpp"
#include "http/guards.hpp"
#include "http/limits.hpp"
#include "http/problem.hpp"
#include "http/query.hpp"
#include "statements.hpp"
#include "text/parameter.hpp"

#include <limits>
#include <optional>
#include <vector>

namespace app {
namespace {

using namespace statements;

constexpr std::int64_t id_max = std::numeric_limits<std::int64_t>::max();
constexpr int page_max_entries = 100;
// A code point takes up to 6 bytes (\u0001), what is beside the text less than 128.
static_assert(page_max_entries * (6 * text_rule.code_points_max + 128) <= answer_max_bytes);
static_assert(notes_body_max_bytes <= body_max_bytes);

constexpr TextProblemTypes text_problems{"/problems/text-length", "/problems/text-characters"};
constexpr JsonMember members[] = {{.name = "text", .rule = text_rule, .is_required = true}};

// The id in the path, if it is one.
Result<std::int64_t> id_in(const PathValues& values) {
    const auto id = parse_number(values[0], 1, id_max);
    return id ? Result(*id) : no_such("entry");
}

// What a statement gave, if it gave one.
template <class Statement>
std::optional<Entry> first_of(const Rows<Statement>& rows) {
    if (rows.empty()) return std::nullopt;
    return rows.single().template value<Entry, entry_fields>();
}

Document document_with(const Entry& entry) { return document_of(json_of(entry, entry_fields)); }

struct PageQuestion {
    int limit = 20;
    std::int64_t before = id_max;  // only smaller ids
};

// One row more than the limit tells that there are more; where there is none, one of nulls has the total.
Document page_by(PostgresConnection& connection, const PageQuestion& asked) {
    std::vector<Entry> entries;
    std::int64_t total = 0;
    for (const auto& row : connection.call<page_of_notes>(asked.before, asked.limit + 1)) {
        total = row.number(page_of_notes::total);
        if (!row.is_null(page_of_notes::id)) entries.push_back(row.value<Entry, entry_fields>());
    }
    std::string next;
    if (std::ssize(entries) > asked.limit) {
        entries.pop_back();
        next = link_to("/api/notes",
                       {{"limit", std::to_string(asked.limit)}, {"before", std::to_string(entries.back().id)}});
    }
    Document page = document_of(page_json("notes", json_array(entries, entry_fields), total, next));
    page.next = next;
    return page;
}

Result<ReadOperation> get_page(const Service&, const Request& request, const PathValues&) {
    PageQuestion asked;
    Parameter known[] = {
        whole_number("limit", asked.limit, 1, page_max_entries),
        whole_number("before", asked.before, 1, id_max),
    };
    if (auto problem = read_parameters(request.query, known)) return std::move(*problem);
    return ReadOperation([asked](auto& connection, const auto&) { return page_by(connection, asked); });
}

Result<ReadOperation> get_one(const Service&, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    const auto id = id_in(values);
    if (!id) return id.error();
    return ReadOperation([id = *id](auto& connection, const auto&) -> Result<Document> {
        const auto entry = first_of(connection.template call<one_of_notes>(id));
        return entry ? Result(document_with(*entry)) : no_such("entry");
    });
}

Result<WriteOperation> post_one(const Service&, const Request& request, const PathValues&) {
    if (const auto problem = refuse_write(request, notes_body_max_bytes)) return *problem;
    const auto body = read_json_members(request.body, {"The body", members, text_problems});
    if (!body) return body.error();
    const auto add = [text = *body->at(0)](auto& connection) -> Result<Reply> {
        const auto added = first_of(connection.template call<add_to_notes>(text));
        if (!added || added->text != text)
            throw DatabaseError(DatabaseFault::altered, "a trigger, a rule or a policy adds otherwise than asked");
        const std::string id = std::to_string(added->id);
        return Reply{.status = 201,
                     .location = "/api/notes/" + id,
                     .body = json_of(*added, entry_fields),
                     .event = "notes_added",
                     .subject = id};
    };
    return WriteOperation(add, text_of(*body));
}

Result<WriteOperation> delete_one(const Service& service, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_write(request, notes_body_max_bytes)) return *problem;
    if (const auto problem = refuse_strangers(request, service.admin_token)) return *problem;
    const auto id = id_in(values);
    if (!id) return id.error();
    return WriteOperation(
        [id = *id, condition = std::string(request.header("If-Match"))](auto& connection) -> Result<Reply> {
            const auto entry = first_of(connection.template call<one_of_notes>(id));
            if (!entry) return no_such("entry");
            if (const auto problem = refuse_version(condition, document_with(*entry).etag, "entry")) return *problem;
            // Gone meanwhile, or kept.
            if (connection.template call<remove_from_notes>(id).empty()) {
                if (connection.template call<one_of_notes>(id).empty()) return no_such("entry");
                throw DatabaseError(DatabaseFault::altered, "a trigger, a rule or a policy keeps what is deleted");
            }
            return Reply{.status = 204, .event = "notes_removed", .subject = std::to_string(id)};
        });
}

constexpr Route<Service> routes[] = {
    {"GET", "/api", ask_then_act<ask_nothing<Service>, show_index<Service>>},
    {"GET", "/api/notes", ask_then_act<get_page, read_it<Service>>},
    {"POST", "/api/notes", ask_then_act<post_one, write_it<Service>>},
    {"GET", "/api/notes/{id}", ask_then_act<get_one, read_it<Service>>},
    {"DELETE", "/api/notes/{id}", ask_then_act<delete_one, write_it<Service>>},
};

}  // namespace

std::string index_of(std::string_view version) {
    return index_json("notes", version, {{"notes", "/api/notes"}, {"health", "/health"}, {"openapi", "/openapi.json"}});
}

std::span<const Route<Service>> service_routes() { return routes; }

std::span<const Prepared> service_statements() { return statements::all; }

}  // namespace app
