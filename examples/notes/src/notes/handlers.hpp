// Requests to questions, and answers to responses. Knows nothing of sockets and SQL. Handlers run on the responder's workers; answers on
// the threads of whoever found them.
#pragma once

#include "base/log.hpp"
#include "http/router.hpp"
#include "notes/store.hpp"

#include <span>
#include <string>
#include <string_view>

namespace app {

// The same for every handler.
struct Service {
    Store& store;
    std::string admin_token;  // empty: deleting is off
    std::string_view version;
    Log& log;  // where a refusal is told
};

// The table of routes.
std::span<const Route<Service>> service_routes();

}  // namespace app
