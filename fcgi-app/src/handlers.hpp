// What the service does with a request: turns it into a question to the store, or answers it at once. Knows no socket, no SQL
// and no JSON library. A handler runs on a worker and never waits; what it hands to the store runs on the store's threads.
#pragma once

#include "log.hpp"
#include "router.hpp"
#include "store.hpp"

#include <string>
#include <vector>

namespace app {

// Visible ASCII, at most this many.
constexpr std::size_t idempotency_key_max_bytes = 64;

// The routes of /api. `admin_token` empty: exporting is off, and deleting but for whoever added the visitor. The references must outlive them.
std::vector<Route> make_routes(Store& store, std::string admin_token, Log& log);

}  // namespace app
