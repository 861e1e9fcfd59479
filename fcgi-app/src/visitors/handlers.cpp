// For each route two functions: what is asked, or why not, and what is then done. The table of routes is at the end.
#include "visitors/handlers.hpp"

#include "content/document.hpp"
#include "http/guards.hpp"
#include "http/limits.hpp"
#include "http/query.hpp"
#include "text/parameter.hpp"

#include <memory>
#include <utility>

namespace app {
namespace {

constexpr char json_type[] = "application/json";

// For the store to call: answers with what was found or done, or refuses with the problem in its place.
template <class Answer>
auto or_refuse(const VisitorService& service, Answer answer) {
    return [&log = service.log, answer](Exchange& exchange, const auto& result) {
        if (!result) return refuse(exchange, result.error(), log);
        answer(exchange, *result);
    };
}

Result<Question> ask_page(const VisitorService&, const Request& request, const PathValues&) {
    const auto question = parse_page_question(request.query);
    return question ? Result<Question>(*question) : question.error();
}

Result<Question> ask_stats(const VisitorService&, const Request& request, const PathValues&) {
    const auto question = parse_stats_question(request.query);
    return question ? Result<Question>(*question) : question.error();
}

// The id in /api/visitors/{id}, if it is one.
Result<std::int64_t> visitor_id(const Request& request, const PathValues& values) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    const auto id = parse_number(values[0], 1, id_max);
    if (!id) return Problem{.status = 404, .detail = "There is no visitor with this number."};
    return *id;
}

Result<Question> ask_visitor(const VisitorService&, const Request& request, const PathValues& values) {
    const auto id = visitor_id(request, values);
    return id ? Result<Question>(VisitorQuestion{*id}) : id.error();
}

void read(const VisitorService& service, const ExchangePtr& exchange, const Question& question) {
    const auto answer = [&log = service.log](Exchange& reader, const Document& document) {
        answer_document(reader, document, log);
    };
    service.store.read(question, exchange, or_refuse(service, answer));
}

// The body is read only where all that is around it is right.
Result<Addition> ask_addition(const VisitorService&, const Request& request, const PathValues&) {
    if (const auto problem = refuse_write(request, visitor_body_max_bytes)) return *problem;
    const auto name = parse_new_visitor(request.body);
    if (!name) return name.error();
    return Addition{*name, std::string(request.header("Idempotency-Key"))};
}

void answer_addition(Exchange& exchange, const Added& added) {
    Response response{.status = 201,
                      .headers = {{"Content-Type", json_type},
                                  {"Location", "/api/visitors/" + std::to_string(added.visitor.id)},
                                  {"Cache-Control", "no-store"}}};
    if (!added.fresh) response.headers.push_back({"Idempotent-Replayed", "true"});
    response.set_body(json_of(added.visitor, visitor_fields));
    exchange.respond(response);
}

void add(const VisitorService& service, const ExchangePtr& exchange, const Addition& addition) {
    service.store.add(addition, exchange, or_refuse(service, answer_addition));
}

// By the admin, or with the key that added the visitor.
Result<Removal> ask_removal(const VisitorService& service, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    const bool by_admin = !request.header("Authorization").empty();
    const std::string_view key = by_admin ? std::string_view() : request.header("Idempotency-Key");
    if (const auto problem = key.empty() ? refuse_strangers(request, service.admin_token) : refuse_key(key)) {
        return *problem;
    }
    const auto id = visitor_id(request, values);
    if (!id) return id.error();
    return Removal{*id, std::string(key)};
}

void remove(const VisitorService& service, const ExchangePtr& exchange, const Removal& removal) {
    const auto answer = [](Exchange& asker, std::monostate) { asker.respond({.status = 204}); };
    service.store.remove(removal, exchange, or_refuse(service, answer));
}

Result<RowsQuestion> ask_export(const VisitorService& service, const Request& request, const PathValues&) {
    if (const auto problem = refuse_strangers(request, service.admin_token)) return *problem;
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return RowsQuestion{};
}

// Sends `rows`, then reads more when the client can take them, and so on: a slow reader holds neither a thread nor a snapshot.
void send_rows(const VisitorService& service, Exchange& exchange, std::string_view rows, std::int64_t last_id) {
    if (last_id == 0) return exchange.write(rows, nullptr);
    exchange.write(rows, [&service, last_id](Exchange& asker) {
        service.store.read(RowsQuestion{last_id}, asker.shared_from_this(),
                           [&service](Exchange& reader, const Result<Document>& more) {
                               if (more) return send_rows(service, reader, *more->body, more->last_id);
                               // Not answered: the connection is closed, and the client sees that the file is cut.
                               service.log.warning("export_cut", {{"request_id", reader.request.request_id},
                                                                  {"detail", more.error().detail}});
                           });
    });
}

void export_csv(const VisitorService& service, const ExchangePtr& exchange, const RowsQuestion& first) {
    const Response head{.status = 200,
                        .headers = {{"Content-Type", "text/csv; charset=utf-8; header=present"},
                                    {"Content-Disposition", "attachment; filename=\"visitors.csv\""},
                                    {"Cache-Control", "no-store"}}};
    if (exchange->request.method == "HEAD") return exchange->respond(head);
    // The first rows before the status: a database that is away is a 503, not an empty file.
    const auto begin = [&service, head](Exchange& asker, const Document& rows) {
        asker.begin(head);
        send_rows(service, asker, csv_header(visitor_fields) + *rows.body, rows.last_id);
    };
    service.store.read(first, exchange, or_refuse(service, begin));
}

constexpr Route<VisitorService> routes[] = {
    {"GET", "/api", ask_then_act<ask_nothing<VisitorService>, show_index<VisitorService>>},
    {"GET", "/api/visitors", ask_then_act<ask_page, read>},
    {"POST", "/api/visitors", ask_then_act<ask_addition, add>},
    {"GET", "/api/visitors/{id}", ask_then_act<ask_visitor, read>},
    {"DELETE", "/api/visitors/{id}", ask_then_act<ask_removal, remove>},
    {"GET", "/api/visitors.csv", ask_then_act<ask_export, export_csv>},
    {"GET", "/api/stats", ask_then_act<ask_stats, read>},
};

}  // namespace

std::span<const Route<VisitorService>> visitor_routes() { return routes; }

std::string visitor_index(std::string_view version) {
    return index_json(
        "visitors", version,
        {{"visitors", "/api/visitors"}, {"stats", "/api/stats"}, {"health", "/health"}, {"openapi", "/openapi.json"}});
}

}  // namespace app
