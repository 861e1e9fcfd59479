// Query strings, read and written: application/x-www-form-urlencoded as URLSearchParams has it, but strict. A broken %-escape,
// invalid UTF-8, an unknown or a repeated parameter is a 400 that names it, the first fault first. Knows neither JSON nor SQL.
// Pure functions: any thread.
#pragma once

#include "http.hpp"
#include "visitor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace app {

// The largest `limit` of a page.
constexpr int page_max_visitors = 100;

// `query` is as sent, without the '?'.
Result<PageQuestion> parse_page_question(std::string_view query);
Result<StatsQuestion> parse_stats_question(std::string_view query);

// For paths that take no parameters.
std::optional<Problem> refuse_parameters(std::string_view query);

// Where the page after `question`'s goes on, its last visitor being `last_id`; ASCII, safe in a header.
std::string next_link(const PageQuestion& question, std::int64_t last_id);

}  // namespace app
