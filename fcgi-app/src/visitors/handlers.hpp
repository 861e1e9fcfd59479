// Requests to questions, and answers to responses: what API.md says of each route. Knows nothing of sockets and SQL. Handlers
// run on the responder's workers; answers on the threads that found them.
#pragma once

#include "base/log.hpp"
#include "http/router.hpp"
#include "visitors/store.hpp"

#include <span>
#include <string>

namespace app {

// The same for every handler.
struct VisitorService {
    Store& store;
    std::string admin_token;  // empty: deleting and exporting are off
    std::string index;        // index_json()
    Log& log;                 // where a refusal is told
};

// The service's table of routes.
std::span<const Route<VisitorService>> visitor_routes();

std::string visitor_index(std::string_view version);

}  // namespace app
