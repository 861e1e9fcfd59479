// Reading parameters one after another, and writing the link to the next page.
#include "query_string.hpp"

#include "encoding.hpp"
#include "parameter.hpp"

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

// Splits as URLSearchParams does: nothing between two '&' is nothing, and without a '=' a value is empty.
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

// Of the accents that a search looks away from (sql/005_fold_accents.sql) and nothing else: every name would match.
bool is_only_accents(std::string_view text) {
    while (!text.empty()) {
        const char32_t c = take_code_point(text).value_or(0);
        if (c < 0x300 || c > 0x36F) return false;
    }
    return true;
}

}  // namespace

Result<PageQuestion> parse_page_question(std::string_view query) {
    PageQuestion question;
    // PostgreSQL's text has no U+0000: it would cut the question there, or refuse it. A text that is longer is in no name.
    const auto keep_text = [&](std::string_view value) {
        question.text = value;
        return !is_only_accents(value) && value.find('\0') == value.npos &&
               count_code_points(value) <= name_max_code_points;
    };
    Parameter known[] = {
        whole_number("limit", question.limit, 1, page_max_visitors),
        whole_number("before", question.before, 1, id_max),
        {"q",
         "must have 1 to " + std::to_string(name_max_code_points) +
             " characters, none of them U+0000, not only accents",
         keep_text},
    };
    if (auto problem = read_parameters(query, known)) return std::move(*problem);
    return question;
}

Result<StatsQuestion> parse_stats_question(std::string_view query) {
    StatsQuestion question;
    Parameter known[] = {whole_number("days", question.days, 1, 366)};
    if (auto problem = read_parameters(query, known)) return std::move(*problem);
    return question;
}

std::optional<Problem> refuse_parameters(std::string_view query) { return read_parameters(query, {}); }

std::string next_link(const PageQuestion& question, std::int64_t last_id) {
    const std::string search = question.text.empty() ? std::string() : "&q=" + percent_encoded(question.text);
    return "/api/visitors?limit=" + std::to_string(question.limit) + "&before=" + std::to_string(last_id) + search;
}

}  // namespace app
