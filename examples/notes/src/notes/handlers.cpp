// For each route two functions: what is asked, or why not, and what is then done. The table of routes is at the end.
#include "notes/handlers.hpp"

#include "base/json_text.hpp"
#include "base/parameter.hpp"
#include "http/document.hpp"
#include "http/guards.hpp"
#include "http/limits.hpp"
#include "http/query.hpp"

namespace app {
namespace {

constexpr char json_type[] = "application/json";

// For the store to call: answers with what was found or done, or refuses with the problem in its place.
template <class Answer>
auto or_refuse(const Service& service, Answer answer) {
    return [&log = service.log, answer](Exchange& exchange, const auto& result) {
        if (!result) return refuse(exchange, result.error(), log);
        answer(exchange, *result);
    };
}

Result<std::monostate> ask_index(const Service&, const Request& request, const PathValues&) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return std::monostate();
}

void show_index(const Service& service, const ExchangePtr& exchange, std::monostate) {
    Response response{.status = 200, .headers = {{"Content-Type", json_type}, {"Cache-Control", "no-cache"}}};
    response.set_body(R"({"name":"notes")" + json_member("version", service.version) +
                      R"(,"links":{"notes":"/api/notes","health":"/health","openapi":"/openapi.json"}})");
    exchange->respond(response);
}

Result<Question> ask_page(const Service&, const Request& request, const PathValues&) {
    const auto question = parse_page_question(request.query);
    return question ? Result<Question>(*question) : question.error();
}

Result<std::int64_t> asked_id(const Request& request, const PathValues& values) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    const auto id = parse_number(values[0], 1, id_max);
    if (!id) return Problem{.status = 404, .detail = "There is nothing with this number."};
    return *id;
}

Result<Question> ask_entry(const Service&, const Request& request, const PathValues& values) {
    const auto id = asked_id(request, values);
    return id ? Result<Question>(EntryQuestion{*id}) : id.error();
}

void read(const Service& service, const ExchangePtr& exchange, const Question& question) {
    const auto answer = [&log = service.log](Exchange& reader, const Document& document) {
        answer_document(reader, document, log);
    };
    service.store.read(question, exchange, or_refuse(service, answer));
}

// The body is read only where all that is around it is right.
Result<Addition> ask_addition(const Service&, const Request& request, const PathValues&) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    if (const auto problem = refuse_body(request, body_max_bytes)) return *problem;
    const std::string_view key = request.header("Idempotency-Key");
    if (const auto problem = refuse_key(key)) return *problem;
    const auto text = parse_text(request.body);
    if (!text) return text.error();
    return Addition{*text, std::string(key)};
}

void answer_addition(Exchange& exchange, const Added& added) {
    Response response{
        .status = 201,
        .headers = {{"Content-Type", json_type}, {"Location", added.location}, {"Cache-Control", "no-store"}}};
    if (added.replayed) response.headers.push_back({"Idempotent-Replayed", "true"});
    response.set_body(added.json);
    exchange.respond(response);
}

void add(const Service& service, const ExchangePtr& exchange, const Addition& addition) {
    service.store.add(addition, exchange, or_refuse(service, answer_addition));
}

Result<std::int64_t> ask_removal(const Service& service, const Request& request, const PathValues& values) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    if (const auto problem = refuse_strangers(request, service.admin_token)) return *problem;
    return asked_id(request, values);
}

void remove(const Service& service, const ExchangePtr& exchange, std::int64_t id) {
    const auto answer = [](Exchange& asker, std::monostate) { asker.respond({.status = 204}); };
    service.store.remove(id, exchange, or_refuse(service, answer));
}

constexpr Route<Service> routes[] = {
    {"GET", "/api", ask_then_act<ask_index, show_index>},
    {"GET", "/api/notes", ask_then_act<ask_page, read>},
    {"POST", "/api/notes", ask_then_act<ask_addition, add>},
    {"GET", "/api/notes/{id}", ask_then_act<ask_entry, read>},
    {"DELETE", "/api/notes/{id}", ask_then_act<ask_removal, remove>},
};

}  // namespace

std::span<const Route<Service>> service_routes() { return routes; }

}  // namespace app
