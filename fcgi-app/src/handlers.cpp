// For each route two functions: what is asked, or why not, and what is then done. The table of routes is at the end.
#include "handlers.hpp"

#include "csv.hpp"
#include "etag.hpp"
#include "json.hpp"
#include "limits.hpp"
#include "parameter.hpp"
#include "query_string.hpp"
#include "version.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <utility>

namespace app {
namespace {

constexpr char json_type[] = "application/json";

// The same for every handler: what they ask, and where they say what they refused.
struct Service {
    Store& store;
    const std::string admin_token;
    Log& log;
};

// For the store to call: answers with what was found or done, or refuses with the problem in its place.
template <class Answer>
auto or_refuse(const Service& service, Answer answer) {
    return [&log = service.log, answer](Exchange& exchange, const auto& result) {
        if (!result) return refuse(exchange, result.error(), log);
        answer(exchange, *result);
    };
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

// RFC 9110, 8.3: type/subtype, then parameters; ours takes one, charset=utf-8, with or without quotes.
bool is_json(std::string_view content_type) {
    std::string rest = lower_case(content_type);
    if (!rest.starts_with(json_type)) return false;
    rest.erase(0, sizeof json_type - 1);
    std::erase_if(rest, [](char c) { return c == ' ' || c == '\t'; });
    while (rest.ends_with(';')) rest.pop_back();
    return rest.empty() || rest == ";charset=utf-8" || rest == ";charset=\"utf-8\"";
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

Result<std::monostate> ask_index(const Service&, const Request& request) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return std::monostate();
}

void show_index(const Service&, const ExchangePtr& exchange, std::monostate) {
    Response response{.status = 200, .headers = {{"Content-Type", json_type}, {"Cache-Control", "no-cache"}}};
    response.set_body(index_json(version));
    exchange->respond(response);
}

Result<PageQuestion> ask_page(const Service&, const Request& request) { return parse_page_question(request.query); }

Result<StatsQuestion> ask_stats(const Service&, const Request& request) { return parse_stats_question(request.query); }

// By the id in /api/visitors/{id}, if it is one.
Result<VisitorQuestion> ask_visitor(const Service&, const Request& request) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    const auto id = parse_number(std::string_view(request.path).substr(request.path.rfind('/') + 1), 1, id_max);
    if (!id) return Problem{.status = 404, .detail = "There is no visitor with this number."};
    return VisitorQuestion{*id};
}

// If-Match goes first (RFC 9110, 13.2.2). A 304 has the headers that tell its document apart, and nothing of what is in it
// (15.4.5).
void answer_document(Exchange& exchange, const Document& document, Log& log) {
    if (!if_match(exchange.request.if_match, document.etag)) {
        return refuse(exchange, {.status = 412, .detail = "The document is not the one that If-Match names."}, log);
    }
    Response response{.status = 200, .headers = {{"ETag", document.etag}, {"Cache-Control", "no-cache"}}};
    if (!document.next.empty()) response.headers.push_back({"Link", '<' + document.next + ">; rel=\"next\""});
    if (if_none_match(exchange.request.if_none_match, document.etag)) {
        response.status = 304;
    } else {
        response.headers.push_back({"Content-Type", json_type});
        response.body = document.body;
    }
    exchange.respond(response);
}

void read(const Service& service, const ExchangePtr& exchange, const Question& question) {
    const auto answer = [&log = service.log](Exchange& reader, const Document& document) {
        answer_document(reader, document, log);
    };
    service.store.read(question, exchange, or_refuse(service, answer));
}

// The body is read only where all that is around it is right.
Result<Addition> ask_addition(const Service&, const Request& request) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    if (request.body.size() > body_max_bytes) {
        return Problem{.status = 413,
                       .detail = "The body may have at most " + std::to_string(body_max_bytes) + " bytes."};
    }
    if (!request.body.empty() && !is_json(request.content_type)) {
        return Problem{.status = 415,
                       .detail = "The body must be application/json, in UTF-8.",
                       .headers = {{"Accept-Post", json_type}}};
    }
    if (const auto problem = refuse_key(request.idempotency_key)) return *problem;
    const auto name = parse_new_visitor(request.body);
    if (!name) return name.error();
    return Addition{*name, request.idempotency_key};
}

void answer_addition(Exchange& exchange, const Added& added) {
    Response response{.status = 201,
                      .headers = {{"Content-Type", json_type},
                                  {"Location", "/api/visitors/" + std::to_string(added.visitor.id)},
                                  {"Cache-Control", "no-store"}}};
    if (!added.fresh) response.headers.push_back({"Idempotent-Replayed", "true"});
    response.set_body(to_json(added.visitor));
    exchange.respond(response);
}

void add(const Service& service, const ExchangePtr& exchange, const Addition& addition) {
    service.store.add(addition, exchange, or_refuse(service, answer_addition));
}

// By the admin, or by whoever added the visitor and shows the key.
Result<Removal> ask_removal(const Service& service, const Request& request) {
    if (const auto problem = refuse_other_sites(request)) return *problem;
    const std::string key = request.authorization.empty() ? request.idempotency_key : std::string();
    if (const auto problem = key.empty() ? refuse_strangers(request, service.admin_token) : refuse_key(key)) {
        return *problem;
    }
    const auto visitor = ask_visitor(service, request);
    if (!visitor) return visitor.error();
    return Removal{visitor->id, key};
}

void remove(const Service& service, const ExchangePtr& exchange, const Removal& removal) {
    const auto answer = [](Exchange& asker, std::monostate) { asker.respond({.status = 204}); };
    service.store.remove(removal, exchange, or_refuse(service, answer));
}

Result<RowsQuestion> ask_export(const Service& service, const Request& request) {
    if (const auto problem = refuse_strangers(request, service.admin_token)) return *problem;
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return RowsQuestion{};
}

// Sends `rows`, then reads more when the client can take them, and so on: a slow reader holds neither a thread nor a snapshot.
void send_rows(const Service& service, Exchange& exchange, std::string_view rows, std::int64_t last_id) {
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

void export_csv(const Service& service, const ExchangePtr& exchange, const RowsQuestion& first) {
    const Response head{.status = 200,
                        .headers = {{"Content-Type", "text/csv; charset=utf-8; header=present"},
                                    {"Content-Disposition", "attachment; filename=\"visitors.csv\""},
                                    {"Cache-Control", "no-store"}}};
    if (exchange->request.method == "HEAD") return exchange->respond(head);
    // The first rows before the status: a database that is away is a 503, not an empty file.
    const auto begin = [&service, head](Exchange& asker, const Document& rows) {
        asker.begin(head);
        send_rows(service, asker, std::string(csv_header()) + *rows.body, rows.last_id);
    };
    service.store.read(first, exchange, or_refuse(service, begin));
}

}  // namespace

std::vector<Route> make_routes(Store& store, std::string admin_token, Log& log) {
    const auto service = std::make_shared<const Service>(Service{store, std::move(admin_token), log});
    const auto handler = [&service](auto ask, auto act) {
        return [service, ask, act](const ExchangePtr& exchange) {
            const auto asked = ask(*service, exchange->request);
            if (!asked) return refuse(*exchange, asked.error(), service->log);
            act(*service, exchange, *asked);
        };
    };
    return {
        {"GET", "/api", handler(ask_index, show_index)},
        {"GET", "/api/visitors", handler(ask_page, read)},
        {"POST", "/api/visitors", handler(ask_addition, add)},
        {"GET", "/api/visitors/{id}", handler(ask_visitor, read)},
        {"DELETE", "/api/visitors/{id}", handler(ask_removal, remove)},
        {"GET", "/api/visitors.csv", handler(ask_export, export_csv)},
        {"GET", "/api/stats", handler(ask_stats, read)},
    };
}

}  // namespace app
