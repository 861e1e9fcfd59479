// Paths against patterns, and the answers for requests that have no route.
#include "http/router.hpp"

#include "http/problem.hpp"
#include "text/parameter.hpp"

#include <algorithm>
#include <utility>

namespace app {
namespace {

// Takes the part up to the next slash off `rest`, and the slash.
std::string_view take_part(std::string_view& rest) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    return part;
}

}  // namespace

std::optional<PathValues> match_path(std::string_view pattern, std::string_view path) {
    // The number of parts decides where the last is empty: /api/ is not /api.
    if (std::ranges::count(pattern, '/') != std::ranges::count(path, '/')) return std::nullopt;
    PathValues values;
    while (!pattern.empty()) {
        const std::string_view wanted = take_part(pattern);
        const std::string_view part = take_part(path);
        if (wanted.starts_with('{') ? part.empty() : part != wanted) return std::nullopt;
        if (wanted.starts_with('{')) values.push_back(part);
    }
    return values;
}

Result<std::int64_t> id_in(std::string_view part, std::string_view what) {
    const auto id = parse_number(part, 1, largest_id);
    return id ? Result(*id) : no_such(what);
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

void answer_without_route(Exchange& exchange, std::string allowed, Log& log) {
    if (allowed.empty()) return refuse(exchange, {.status = 404, .detail = "There is nothing at this path."}, log);
    allowed += "OPTIONS";
    if (exchange.request.method == "OPTIONS") return exchange.respond({.status = 204, .headers = {{"Allow", allowed}}});
    refuse(exchange, {.status = 405, .detail = "This path takes " + allowed + ".", .headers = {{"Allow", allowed}}},
           log);
}

void answer_defect(Exchange& exchange, const std::exception& error, Log& log) {
    log.error("defect", {{"request_id", exchange.request.request_id}, {"reason", std::string_view(error.what())}});
    refuse(exchange, {.status = 500, .detail = "Something went wrong that should not."}, log);
}

}  // namespace app
