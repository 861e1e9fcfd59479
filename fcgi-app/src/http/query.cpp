// Reading parameters one after another.
#include "http/query.hpp"

#include "text/encoding.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace app {
namespace {

Problem refusal(std::string detail) { return {.status = 400, .detail = std::move(detail)}; }

// Takes what stands before the first `end` off `rest`, and it too.
std::string_view take_until(char end, std::string_view& rest) {
    const std::string_view taken = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(taken.size() + 1, rest.size()));
    return taken;
}

}  // namespace

// Nothing between two '&' is nothing, and without a '=' a value is empty.
std::optional<Problem> read_parameters(std::string_view query, std::span<Parameter> known) {
    while (!query.empty()) {
        std::string_view part = take_until('&', query);
        if (part.empty()) continue;
        const auto name = form_decoded(take_until('=', part));
        if (!name) return refusal("A parameter's name is not percent-encoded UTF-8.");
        const auto parameter = std::ranges::find(known, *name, &Parameter::name);
        if (parameter == known.end()) return refusal("There is no parameter " + quoted(*name) + " here.");
        if (std::exchange(parameter->seen, true)) return refusal(*name + " is there more than once");
        const auto value = form_decoded(part);
        if (!value) return refusal(*name + " is not percent-encoded UTF-8");
        if (!parameter->keep(*value)) return refusal(*name + ' ' + parameter->rule);
    }
    return std::nullopt;
}

Parameter search_text(std::string name, std::string& kept, std::size_t code_points_max) {
    // PostgreSQL's text has no U+0000: it would cut the question there, or refuse it. Accents alone would match everything.
    const auto keep = [&kept, code_points_max](std::string_view value) {
        kept = value;
        return count_beside_accents(value) > 0 && value.find('\0') == value.npos &&
               count_code_points(value) <= code_points_max;
    };
    std::string rule = "must have 1 to " + std::to_string(code_points_max);
    return {std::move(name), std::move(rule) + " characters, none of them U+0000, not only accents", keep};
}

std::string link_to(std::string path, std::initializer_list<std::pair<std::string_view, std::string>> parameters) {
    char before = '?';
    for (const auto& [name, value] : parameters) {
        if (value.empty()) continue;
        path.append(1, std::exchange(before, '&')).append(name).append(1, '=').append(percent_encoded(value));
    }
    return path;
}

std::optional<Problem> refuse_parameters(std::string_view query) { return read_parameters(query, {}); }

}  // namespace app
