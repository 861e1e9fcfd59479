// Which handler answers which request: a service's table of routes, and what HTTP says of every other request (404, 405,
// OPTIONS). Knows nothing of what a handler does. The router runs on the workers' threads; anyone may refuse.
#pragma once

#include "base/log.hpp"
#include "http/http.hpp"

#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace app {

// What stands in a path where its route has braces, in their order; views of the request's path.
using PathValues = std::vector<std::string_view>;

// A row of the table. A part in braces stands for anything but a slash: /api/projects/{key}/tickets. GET answers HEAD too.
template <class Service>
struct Route {
    std::string_view method;
    std::string_view path;
    void (*handle)(const Service& service, const ExchangePtr& exchange, const PathValues& values);
};

// None: `path` is not of the form of `pattern`.
std::optional<PathValues> match_path(std::string_view pattern, std::string_view path);

// An id in a path, from 1 to `largest_id`, or the problem that there is no such `what`.
constexpr std::int64_t largest_id = std::numeric_limits<std::int64_t>::max();
Result<std::int64_t> id_in(std::string_view part, std::string_view what);

// Answers with the problem as problem+json, and logs the refusal.
void refuse(Exchange& exchange, const Problem& problem, Log& log);

// 404, 405 or the answer to OPTIONS. `allowed` has the methods of the path's routes, each with ", " behind it.
void answer_without_route(Exchange& exchange, std::string allowed, Log& log);

// A 500, for what a handler has thrown.
void answer_defect(Exchange& exchange, const std::exception& error, Log& log);

// Answers, or hands the exchange on to a lane that will.
template <class Service>
void route(std::span<const Route<Service>> routes, const Service& service, Log& log,
           const ExchangePtr& exchange) noexcept try {
    const Request& request = exchange->request;
    // HEAD is a GET whose body the exchange keeps to itself.
    const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
    std::string allowed;
    for (const Route<Service>& candidate : routes) {
        const auto values = match_path(candidate.path, request.path);
        if (!values) continue;
        if (candidate.method == method) return candidate.handle(service, exchange, *values);
        allowed.append(candidate.method == "GET" ? "GET, HEAD" : candidate.method).append(", ");
    }
    answer_without_route(*exchange, std::move(allowed), log);
} catch (const std::exception& error) {
    answer_defect(*exchange, error, log);
}

// A line for each route: its method and its path.
template <class Service>
std::string list_of(std::span<const Route<Service>> routes) {
    std::string list;
    for (const Route<Service>& one : routes) list.append(one.method).append(1, ' ').append(one.path) += '\n';
    return list;
}

// Makes a route's handler of two functions: what is asked, or why not, and what is then done. Service::log is where a refusal
// is told.
template <auto ask, auto act, class Service>
void ask_then_act(const Service& service, const ExchangePtr& exchange, const PathValues& values) {
    const auto asked = ask(service, exchange->request, values);
    if (!asked) return refuse(*exchange, asked.error(), service.log);
    act(service, exchange, *asked);
}

}  // namespace app
