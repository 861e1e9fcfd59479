// The handlers, in the order of the table of routes at the end.
#include "handlers.hpp"

#include "csv.hpp"
#include "etag.hpp"
#include "json.hpp"
#include "query_string.hpp"
#include "version.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <utility>

namespace app {
namespace {

constexpr std::string_view json_type = "application/json";

// The same for every handler: what they ask, and where they say what they refused.
struct Service {
    Store& store;
    const std::string admin_token;
    Log& log;
};

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

// RFC 9110, 8.3: type/subtype, then parameters; ours takes one, charset=utf-8, with or without quotes.
bool is_json(std::string_view content_type) {
    std::string type = lower_case(content_type);
    std::erase_if(type, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
    while (type.ends_with(';')) type.pop_back();
    return type == json_type || type == "application/json;charset=utf-8";
}

std::optional<Problem> refuse_other_sites(const Request& request) {
    const std::string& site = request.sec_fetch_site;
    if (site.empty() || site == "same-origin" || site == "none") return std::nullopt;
    return Problem{.status = 403, .detail = "Another site's page cannot do this."};
}

std::optional<Problem> refuse_key(std::string_view key) {
    const bool visible = std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; });
    if (visible && key.size() <= idempotency_key_max_bytes) return std::nullopt;
    return Problem{.status = 400, .detail = "Idempotency-Key must be 1 to 64 visible ASCII characters."};
}

// Takes as long for a token that is nearly right as for one that is not right at all.
bool same_token(std::string_view given, std::string_view expected) {
    unsigned difference = given.size() == expected.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i) {
        difference |= static_cast<unsigned>(given[i] ^ expected[i % expected.size()]);
    }
    return difference == 0;
}

std::optional<Problem> refuse_strangers(const Request& request, const std::string& admin_token) {
    if (admin_token.empty()) return Problem{.status = 403, .detail = "No admin token is configured."};
    constexpr std::string_view scheme = "bearer ";
    const std::string_view given = request.authorization;
    if (lower_case(given.substr(0, scheme.size())) == scheme) {
        const auto start = std::min(given.find_first_not_of(' ', scheme.size()), given.size());
        if (same_token(given.substr(start), admin_token)) return std::nullopt;
    }
    return Problem{.status = 401,
                   .detail = given.empty() ? "This needs the admin token." : "This is not the admin token.",
                   .headers = {{"WWW-Authenticate", "Bearer"}}};
}

void answer_document(Exchange& exchange, const Result<Document>& document, Log& log) {
    if (!document) return refuse(exchange, document.error(), log);
    Response response{.status = 200, .headers = {{"ETag", document->etag}, {"Cache-Control", "no-cache"}}};
    if (!document->next.empty()) response.headers.push_back({"Link", '<' + document->next + ">; rel=\"next\""});
    if (if_none_match(exchange.request.if_none_match, document->etag)) {
        response.status = 304;
    } else {
        response.headers.push_back({"Content-Type", std::string(json_type)});
        response.body = document->body;
    }
    exchange.respond(response);
}

void read(const Service& service, Question question, ExchangePtr exchange) {
    service.store.read(std::move(question), std::move(exchange),
                       [&log = service.log](Exchange& asker, const Result<Document>& document) {
                           answer_document(asker, document, log);
                       });
}

void show_index(const Service& service, const ExchangePtr& exchange) {
    if (const auto problem = refuse_parameters(exchange->request.query))
        return refuse(*exchange, *problem, service.log);
    Response response{.status = 200,
                      .headers = {{"Content-Type", std::string(json_type)}, {"Cache-Control", "no-cache"}}};
    response.set_body(index_json(version));
    exchange->respond(response);
}

void list_visitors(const Service& service, const ExchangePtr& exchange) {
    const auto question = parse_page_question(exchange->request.query);
    if (!question) return refuse(*exchange, question.error(), service.log);
    read(service, *question, exchange);
}

void show_stats(const Service& service, const ExchangePtr& exchange) {
    const auto question = parse_stats_question(exchange->request.query);
    if (!question) return refuse(*exchange, question.error(), service.log);
    read(service, *question, exchange);
}

// The id in /api/visitors/{id}, if it is one.
Result<std::int64_t> id_in_path(const Request& request) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    const auto id = parse_id(std::string_view(request.path).substr(request.path.rfind('/') + 1));
    if (!id) return Problem{.status = 404, .detail = "There is no visitor with this number."};
    return *id;
}

void show_visitor(const Service& service, const ExchangePtr& exchange) {
    const auto id = id_in_path(exchange->request);
    if (!id) return refuse(*exchange, id.error(), service.log);
    read(service, VisitorQuestion{*id}, exchange);
}

Result<NewVisitor> new_visitor(const Request& request) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    if (request.body.size() > body_max_bytes) {
        return Problem{.status = 413, .detail = "The body may have at most 4096 bytes."};
    }
    if (!request.body.empty() && !is_json(request.content_type)) {
        return Problem{.status = 415,
                       .detail = "The body must be application/json, in UTF-8.",
                       .headers = {{"Accept-Post", std::string(json_type)}}};
    }
    if (const auto problem = refuse_key(request.idempotency_key)) return *problem;
    return parse_new_visitor(request.body);
}

void add_visitor(const Service& service, const ExchangePtr& exchange) {
    auto visitor = new_visitor(exchange->request);
    if (!visitor) return refuse(*exchange, visitor.error(), service.log);
    service.store.add(std::move(*visitor), exchange->request.idempotency_key, exchange,
                      [&log = service.log](Exchange& asker, const Result<Added>& added) {
                          if (!added) return refuse(asker, added.error(), log);
                          Response response{
                              .status = 201,
                              .headers = {{"Content-Type", std::string(json_type)},
                                          {"Location", "/api/visitors/" + std::to_string(added->visitor.id)},
                                          {"Cache-Control", "no-store"}}};
                          if (!added->fresh) response.headers.push_back({"Idempotent-Replayed", "true"});
                          response.set_body(to_json(added->visitor));
                          asker.respond(response);
                      });
}

Result<std::int64_t> id_to_remove(const Request& request, const std::string& admin_token) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    if (const auto problem = refuse_strangers(request, admin_token)) return *problem;
    return id_in_path(request);
}

void remove_visitor(const Service& service, const ExchangePtr& exchange) {
    const auto id = id_to_remove(exchange->request, service.admin_token);
    if (!id) return refuse(*exchange, id.error(), service.log);
    service.store.remove(*id, exchange, [&log = service.log](Exchange& asker, const Result<std::monostate>& removed) {
        if (!removed) return refuse(asker, removed.error(), log);
        asker.respond({.status = 204});
    });
}

// Sends `rows`, then reads more when the client can take them, and so on: a slow reader holds neither a thread
// nor a snapshot.
void send_rows(Store& store, Exchange& exchange, std::string_view rows, std::int64_t last_id) {
    if (last_id == 0) return exchange.write(rows, nullptr);
    exchange.write(rows, [&store, last_id](Exchange& asker) {
        store.read(RowsQuestion{last_id}, asker.shared_from_this(),
                   [&store](Exchange& reader, const Result<Document>& more) {
                       // Not answered: the connection is closed, and the client sees that the file is cut.
                       if (more) send_rows(store, reader, *more->body, more->last_id);
                   });
    });
}

void export_csv(const Service& service, const ExchangePtr& exchange) {
    const Request& request = exchange->request;
    auto problem = refuse_strangers(request, service.admin_token);
    if (!problem) problem = refuse_parameters(request.query);
    if (problem) return refuse(*exchange, *problem, service.log);
    const Response head{.status = 200,
                        .headers = {{"Content-Type", "text/csv; charset=utf-8; header=present"},
                                    {"Content-Disposition", "attachment; filename=\"visitors.csv\""},
                                    {"Cache-Control", "no-store"}}};
    if (request.method == "HEAD") return exchange->respond(head);
    // The first rows before the status: a database that is away is a 503, not an empty file.
    service.store.read(RowsQuestion{0}, exchange, [&service, head](Exchange& asker, const Result<Document>& rows) {
        if (!rows) return refuse(asker, rows.error(), service.log);
        asker.begin(head);
        send_rows(service.store, asker, std::string(csv_header()) + *rows->body, rows->last_id);
    });
}

}  // namespace

std::vector<Route> make_routes(Store& store, std::string admin_token, Log& log) {
    const auto service = std::make_shared<const Service>(Service{store, std::move(admin_token), log});
    const auto with = [&service](void (*handle)(const Service&, const ExchangePtr&)) {
        return [service, handle](const ExchangePtr& exchange) { handle(*service, exchange); };
    };
    // nginx names some of them again: clients.conf limits the additions, headers.conf has their Allow, site.conf the export's time.
    return {
        {"GET", "/api", with(show_index)},
        {"GET", "/api/visitors", with(list_visitors)},
        {"POST", "/api/visitors", with(add_visitor)},
        {"GET", "/api/visitors/{id}", with(show_visitor)},
        {"DELETE", "/api/visitors/{id}", with(remove_visitor)},
        {"GET", "/api/visitors.csv", with(export_csv)},
        {"GET", "/api/stats", with(show_stats)},
    };
}

}  // namespace app
