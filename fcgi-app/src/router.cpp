// Finding a route, and the answers for requests that have none.
#include "router.hpp"

#include "json.hpp"

#include <exception>
#include <string>

namespace app {
namespace {

bool matches(std::string_view pattern, std::string_view path) {
    const auto brace = pattern.find('{');
    if (brace == std::string_view::npos) return pattern == path;
    return path.starts_with(pattern.substr(0, brace)) && path.size() > brace && path.find('/', brace) == path.npos;
}

}  // namespace

void route(const std::vector<Route>& routes, Log& log, const ExchangePtr& exchange) noexcept try {
    const Request& request = exchange->request;
    // HEAD is a GET whose body the exchange keeps to itself.
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    std::string allowed;
    for (const Route& candidate : routes) {
        if (!matches(candidate.path, request.path)) continue;
        if (candidate.method == method) return candidate.handle(exchange);
        allowed += candidate.method == "GET" ? "GET, HEAD, " : std::string(candidate.method) + ", ";
    }
    if (allowed.empty()) {
        return refuse(*exchange, {.status = 404, .detail = "There is nothing at this path."}, log);
    }
    allowed += "OPTIONS";
    if (method == "OPTIONS") return exchange->respond({.status = 204, .headers = {{"Allow", allowed}}});
    refuse(*exchange, {.status = 405, .detail = "This path takes " + allowed + ".", .headers = {{"Allow", allowed}}},
           log);
} catch (const std::exception& error) {
    log.error("defect", {{"request_id", exchange->request.request_id}, {"reason", std::string_view(error.what())}});
    refuse(*exchange, {.status = 500, .detail = "Something went wrong that should not."}, log);
}

void refuse(Exchange& exchange, const Problem& problem, Log& log) {
    const Request& request = exchange.request;
    log.write(log_line(problem.status < 500 ? "info" : "warning", "refused",
                       {{"request_id", request.request_id},
                        {"status", problem.status},
                        {"type", problem.type},
                        {"detail", problem.detail}}));
    Response response{.status = problem.status, .headers = problem.headers};
    response.headers.push_back({"Content-Type", "application/problem+json"});
    response.headers.push_back({"Cache-Control", "no-store"});
    response.set_body(problem_json(problem, request.path, request.request_id));
    exchange.respond(response);
}

}  // namespace app
