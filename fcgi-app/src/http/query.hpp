// Query strings: application/x-www-form-urlencoded as URLSearchParams has it, but strict. A broken %-escape, invalid UTF-8, an
// unknown or a repeated parameter is a 400 that names it, the first fault first. Knows neither JSON nor SQL, nor which
// parameters there are. Pure functions: any thread.
#pragma once

#include "http/http.hpp"
#include "text/parameter.hpp"

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace app {

// Keeps each value of `query` (as sent, without the '?') in its place among `known`.
std::optional<Problem> read_parameters(std::string_view query, std::span<Parameter> known);

// What is searched for, kept in `kept`. A text that is longer than what it is looked for in is in none.
Parameter search_text(std::string name, std::string& kept, std::size_t code_points_max);

// `path` with those parameters whose value is not empty; ASCII, safe in a header.
std::string link_to(std::string path, std::initializer_list<std::pair<std::string_view, std::string>> parameters);

// For paths that take no parameters.
std::optional<Problem> refuse_parameters(std::string_view query);

}  // namespace app
