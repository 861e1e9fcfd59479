// The tickets' service, whole: values with their members, what each request asks and which statement answers it, the
// routes. What asks runs on the responder's workers; the operations that it gives run on lanes: reads that are equal
// once, writes in one transaction for all that wait (service/operations.hpp).
#include "content/document.hpp"
#include "content/json_reader.hpp"
#include "http/guards.hpp"
#include "http/limits.hpp"
#include "http/query.hpp"
#include "http/router.hpp"
#include "program.hpp"
#include "service/operations.hpp"
#include "service/search.hpp"
#include "statements.hpp"
#include "text/fields.hpp"
#include "text/parameter.hpp"

#include <array>

namespace {

using namespace app;
using namespace app::statements;

constexpr std::size_t request_body_max_bytes = 16 * 1024;
constexpr int page_max_tickets = 100;
constexpr TextRule title_rule{.code_points_max = 120};
constexpr TextRule body_rule{
    .code_points_min = 0, .code_points_max = 4000, .has_lines = true, .may_be_blank = true, .is_trimmed = false};
// A code point takes up to 6 bytes (\u0001), what is beside the title less than 256.
static_assert(page_max_tickets * (6 * title_rule.code_points_max + 256) <= answer_max_bytes);
static_assert(request_body_max_bytes <= body_max_bytes);

struct Project {
    std::string key, title;
    std::int64_t tickets = 0;
};
constexpr auto project_fields =
    fields(Field{"key", &Project::key}, Field{"title", &Project::title}, Field{"tickets", &Project::tickets});

struct Ticket {
    std::int64_t id = 0;
    std::string project, title, body, state;
    std::int64_t version = 1;
    Time created_at, updated_at;
};
constexpr auto before_body =
    fields(Field{"id", &Ticket::id}, Field{"project", &Ticket::project}, Field{"title", &Ticket::title});
constexpr auto behind_body = fields(Field{"state", &Ticket::state}, Field{"version", &Ticket::version},
                                    Field{"created_at", &Ticket::created_at}, Field{"updated_at", &Ticket::updated_at});
constexpr auto ticket_fields = std::tuple_cat(before_body, fields(Field{"body", &Ticket::body}), behind_body);
constexpr auto listed_fields = std::tuple_cat(before_body, behind_body);

constexpr std::string_view states[] = {"open", "done"};
constexpr JsonMember project_members[] = {{.name = "title", .rule = title_rule, .is_required = true}};
constexpr JsonMember new_members[] = {{.name = "title", .rule = title_rule, .is_required = true},
                                      {.name = "body", .rule = body_rule, .may_be_null = true}};
constexpr JsonMember changed_members[] = {{.name = "title", .rule = title_rule},
                                          {.name = "body", .rule = body_rule},
                                          {.name = "state", .rule = {}, .choices = states}};

bool is_key(std::string_view text) {
    const auto is_letter = [](char c) { return 'A' <= c && c <= 'Z'; };
    return text.size() >= 2 && text.size() <= 10 && is_letter(text[0]) &&
           std::ranges::all_of(text, [&](char c) { return is_letter(c) || ('0' <= c && c <= '9'); });
}

std::string tag_of(const Ticket& ticket) { return '"' + std::to_string(ticket.version) + '"'; }

// Whether these are its title, its body and its state.
bool says(const Ticket& ticket, const std::array<std::string, 3>& texts) {
    return std::tie(ticket.title, ticket.body, ticket.state) == std::tie(texts[0], texts[1], texts[2]);
}

Reply reply_of(int status, const Ticket& ticket, std::string_view event) {
    const std::string id = std::to_string(ticket.id);
    return {.status = status,
            .location = status == 201 ? "/api/tickets/" + id : "",
            .etag = tag_of(ticket),
            .body = json_of(ticket, ticket_fields),
            .event = std::string(event),
            .subject = id};
}

Result<WriteOperation> put_one_project(const Service&, const Request& request, const PathValues& values) {
    if (!is_key(values[0])) return no_such("project");
    if (const auto problem = refuse_write(request, request_body_max_bytes)) return *problem;
    const auto body = read_json_members(request.body, {"A project", project_members});
    if (!body) return body.error();
    const auto put = [key = std::string(values[0]),
                      title = *body->at(0)](PostgresConnection& connection) -> Result<Reply> {
        const auto rows = connection.call<put_project>(key, title);
        if (rows.empty())
            return Problem{.status = 422, .type = "/problems/too-many", .detail = "There are 100 projects already."};
        const bool is_new = rows.single().flag(put_project::is_new);
        const auto project = rows.single().value<Project, project_fields>();
        if (project.title != title) throw_altered();
        return Reply{.status = is_new ? 201 : 200,
                     .location = is_new ? "/api/projects/" + key : "",
                     .body = json_of(project, project_fields),
                     .event = "project_put",
                     .subject = key};
    };
    return WriteOperation(put, text_of(*body));
}

Result<ReadOperation> get_projects(const Service&, const Request& request, const PathValues&) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return ReadOperation([](PostgresConnection& connection, const OthersWait&) {
        const auto projects = connection.call<some_projects>(std::string()).values<Project, project_fields>();
        return document_of(R"({"projects":)" + json_array(projects, project_fields) + '}');
    });
}

Result<ReadOperation> get_project(const Service&, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return ReadOperation(
        [key = std::string(values[0])](PostgresConnection& connection, const OthersWait&) -> Result<Document> {
            const auto project = connection.call<some_projects>(key).first<Project, project_fields>();
            return project ? Result(document_of(json_of(*project, project_fields))) : no_such("project");
        });
}

Result<WriteOperation> post_ticket(const Service&, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_write(request, request_body_max_bytes)) return *problem;
    const auto body = read_json_members(request.body, {"A ticket", new_members});
    if (!body) return body.error();
    const auto add = [project = std::string(values[0]), title = *body->at(0),
                      text = body->at(1).value_or("")](PostgresConnection& connection) -> Result<Reply> {
        const auto ticket = connection.call<add_ticket>(project, title, text).first<Ticket, ticket_fields>();
        if (!ticket && connection.call<some_projects>(project).empty()) return no_such("project");
        if (!ticket || !says(*ticket, {title, text, "open"})) throw_altered();
        return reply_of(201, *ticket, "ticket_added");
    };
    return WriteOperation(add, text_of({body->at(0), body->at(1).value_or("")}));
}

struct PageQuestion {
    std::string project, state, text;
    int limit = 20;
    std::int64_t before = largest_id;  // only smaller ids
};

template <class Statement>
Document page_by(PostgresConnection& connection, const PageQuestion& asked) {
    const std::string pattern = pattern_of(asked.text);
    const auto rows = connection.call<Statement>(asked.project, asked.state, asked.before, asked.limit + 1, pattern);
    const auto page = rows.template page<Ticket, ticket_fields>(asked.limit);
    std::string next;
    if (page.has_more) {
        next = link_to("/api/tickets", {{"project", asked.project},
                                        {"state", asked.state},
                                        {"q", asked.text},
                                        {"limit", std::to_string(asked.limit)},
                                        {"before", std::to_string(page.values.back().id)}});
    }
    return page_of("tickets", json_array(page.values, listed_fields), page.total, next);
}

Result<ReadOperation> get_tickets(const Service&, const Request& request, const PathValues&) {
    PageQuestion asked;
    Parameter known[] = {
        {"project", "must be a project's key", [&](auto value) { return is_key(asked.project = value); }},
        one_of("state", asked.state, states),
        search_text("q", asked.text, 50),
        whole_number("limit", asked.limit, 1, page_max_tickets),
        whole_number("before", asked.before, 1, largest_id),
    };
    if (const auto problem = read_parameters(request.query, known)) return *problem;
    const bool is_search = !asked.text.empty();
    const auto find = [asked, is_search](PostgresConnection& connection,
                                         const OthersWait& others_wait) -> Result<Document> {
        const auto by_walking = [&] { return page_by<page_of_tickets>(connection, asked); };
        if (!is_search) return by_walking();
        const auto by_index = [&] { return page_by<page_of_matches>(connection, asked); };
        return search_in_time(asked.text, others_wait, by_index, by_walking);
    };
    return ReadOperation(find, is_search);
}

Result<ReadOperation> get_ticket(const Service&, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    const auto id = id_in(values[0], "ticket");
    if (!id) return id.error();
    return ReadOperation([id = *id](PostgresConnection& connection, const OthersWait&) -> Result<Document> {
        const auto ticket = connection.call<one_ticket>(id).first<Ticket, ticket_fields>();
        return ticket ? Result(document_of(json_of(*ticket, ticket_fields), tag_of(*ticket))) : no_such("ticket");
    });
}

// That there is no such ticket counts before a missing If-Match, that before a faulty body, that before its version.
Result<WriteOperation> patch_ticket(const Service&, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_write(request, request_body_max_bytes)) return *problem;
    const auto id = id_in(values[0], "ticket");
    if (!id) return id.error();
    const auto body = read_json_members(request.body, {"A ticket", changed_members});
    const auto change = [id = *id, condition = std::string(request.header("If-Match")),
                         body](PostgresConnection& connection) -> Result<Reply> {
        const auto before = connection.call<one_ticket>(id).first<Ticket, ticket_fields>();
        if (!before) return no_such("ticket");
        if (condition.empty()) return Problem{.status = 428, .detail = "If-Match must name the ticket's version."};
        if (!body) return body.error();
        if (const auto problem = refuse_version(condition, tag_of(*before), "ticket")) return *problem;
        const std::array<std::string, 3> texts = {body->at(0).value_or(before->title),
                                                  body->at(1).value_or(before->body),
                                                  body->at(2).value_or(before->state)};
        if (says(*before, texts)) return reply_of(200, *before, "");
        const auto after = connection.call<change_ticket>(id, before->version, texts[0], texts[1], texts[2])
                               .first<Ticket, ticket_fields>();
        if (!after || !says(*after, texts)) throw_altered();
        return reply_of(200, *after, "ticket_changed");
    };
    return WriteOperation(change, body ? text_of(*body) : std::string());
}

Result<WriteOperation> delete_ticket(const Service& service, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_write(request, request_body_max_bytes)) return *problem;
    if (const auto problem = refuse_strangers(request, service.admin_token)) return *problem;
    const auto id = id_in(values[0], "ticket");
    if (!id) return id.error();
    return WriteOperation([id = *id, condition = std::string(request.header("If-Match"))](
                              PostgresConnection& connection) -> Result<Reply> {
        const auto before = connection.call<one_ticket>(id).first<Ticket, ticket_fields>();
        if (!before) return no_such("ticket");
        if (const auto problem = refuse_version(condition, tag_of(*before), "ticket")) return *problem;
        if (connection.call<remove_ticket>(id, before->version).empty()) throw_altered();
        return Reply{.status = 204, .event = "ticket_removed", .subject = std::to_string(id)};
    });
}

constexpr Route<Service> routes[] = {
    {"GET", "/api", ask_then_act<ask_nothing<Service>, show_index<Service>>},
    {"GET", "/api/projects", ask_then_act<get_projects, read_it<Service>>},
    {"GET", "/api/projects/{key}", ask_then_act<get_project, read_it<Service>>},
    {"PUT", "/api/projects/{key}", ask_then_act<put_one_project, write_it<Service>>},
    {"POST", "/api/projects/{key}/tickets", ask_then_act<post_ticket, write_it<Service>>},
    {"GET", "/api/tickets", ask_then_act<get_tickets, read_it<Service>>},
    {"GET", "/api/tickets/{id}", ask_then_act<get_ticket, read_it<Service>>},
    {"PATCH", "/api/tickets/{id}", ask_then_act<patch_ticket, write_it<Service>>},
    {"DELETE", "/api/tickets/{id}", ask_then_act<delete_ticket, write_it<Service>>},
};

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv,
               {.name = "tickets",
                .about = "the tickets' FastCGI responder",
                .body_max_bytes = request_body_max_bytes,
                .links = {{"projects", "/api/projects"}, {"tickets", "/api/tickets"}},
                .routes = routes,
                .statements = statements::all});
}
