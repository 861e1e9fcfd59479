// Which handler answers which request: the table of paths, and what HTTP says of every other one (404, 405, OPTIONS). Knows
// nothing of what a handler does. The router runs on the workers' threads; anyone may refuse.
#pragma once

#include "http.hpp"
#include "log.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace app {

struct Route {
    std::string_view method;  // GET answers HEAD too
    std::string_view path;    // a part in braces at the end stands for anything but a slash: /api/visitors/{id}
    std::function<void(ExchangePtr)> handle;
};

// Answers, or hands the exchange on to whoever will. Never throws: what a handler throws becomes a 500.
void route(const std::vector<Route>& routes, Log& log, const ExchangePtr& exchange) noexcept;

// Answers with the problem as problem+json, and logs the refusal.
void refuse(Exchange& exchange, const Problem& problem, Log& log);

}  // namespace app
