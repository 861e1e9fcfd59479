// What this service keeps, and its routes: all that main has to know of it. Knows no socket. Values and constants: any thread. What a
// route asks runs on the responder's workers, the operations that it gives on lanes (service/operations.hpp).
#pragma once

#include "base/log.hpp"
#include "http/router.hpp"
#include "service/operations.hpp"
#include "sql/statement.hpp"
#include "text/fields.hpp"
#include "text/text.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace app {

constexpr std::size_t notes_body_max_bytes = 4096;

// Trimmed; the table has the same length as a CHECK.
constexpr TextRule text_rule{.code_points_max = 120};

struct Entry {
    std::int64_t id = 0;  // from 1
    std::string text;     // valid UTF-8
    Time created_at;
};
// Each is a member of the JSON and, by its name and in this order, a column of the statements.
constexpr auto entry_fields =
    fields(Field{"id", &Entry::id}, Field{"text", &Entry::text}, Field{"created_at", &Entry::created_at});

std::string index_of(std::string_view version);

// The table of routes, and the statements that they need.
std::span<const Route<Service>> service_routes();
std::span<const Prepared> service_statements();

}  // namespace app
