// Reading parameters one after another, the first fault first; and writing the link to the next
// page.
#include "query_string.hpp"

#include "json.hpp"
#include "percent.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <span>
#include <utility>

namespace app {
namespace {

constexpr std::int64_t limit_max = 100;
constexpr std::int64_t days_max = 366;
constexpr std::int64_t id_max = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t text_max_code_points = name_max_code_points;  // a longer text is in no name

// A parameter that a path takes: keeps a value, or returns false where it is not what it must be.
struct Parameter {
    std::string_view name;
    std::string_view rule;  // what a person is told then, behind the name
    std::function<bool(std::string_view value)> keep;
    bool seen = false;
};

Problem refusal(std::string detail) { return {.status = 400, .detail = std::move(detail)}; }

// From 1 on: so no number that is right begins with a sign or a zero.
std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t max) {
    if (text.empty() || text.front() < '1' || text.front() > '9') return std::nullopt;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number > max) return std::nullopt;
    return number;
}

template <class Number>
bool keep(std::string_view text, std::int64_t max, Number& kept) {
    const auto number = parse_number(text, max);
    if (number) kept = static_cast<Number>(*number);
    return number.has_value();
}

// PostgreSQL's text has no U+0000: it would cut the question there, or refuse it.
bool is_search(std::string_view text) {
    return !text.empty() && text.find('\0') == std::string_view::npos &&
           count_code_points(text) <= text_max_code_points;
}

std::optional<std::string> decoded(std::string_view text) {
    auto plain = form_decoded(text);
    return plain && is_utf8(*plain) ? plain : std::nullopt;
}

std::optional<Problem> read_parameter(std::string_view name, std::string_view value, std::span<Parameter> known) {
    const auto plain_name = decoded(name);
    if (!plain_name) return refusal("A parameter's name is not percent-encoded UTF-8.");
    for (Parameter& parameter : known) {
        if (parameter.name != *plain_name) continue;
        const std::string subject(parameter.name);
        if (std::exchange(parameter.seen, true)) return refusal(subject + " is there more than once");
        const auto plain_value = decoded(value);
        if (!plain_value) return refusal(subject + " is not percent-encoded UTF-8");
        if (parameter.keep(*plain_value)) return std::nullopt;
        return refusal(subject + ' ' + std::string(parameter.rule));
    }
    return refusal("There is no parameter " + quoted(*plain_name) + " here.");
}

// Splits as URLSearchParams does: nothing between two '&' is nothing, and without a '=' a value is
// empty.
std::optional<Problem> read_parameters(std::string_view query, std::span<Parameter> known) {
    while (!query.empty()) {
        const std::string_view part = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(part.size() + 1, query.size()));
        if (part.empty()) continue;
        const std::string_view name = part.substr(0, part.find('='));
        const std::string_view value = part.substr(std::min(name.size() + 1, part.size()));
        if (auto problem = read_parameter(name, value, known)) return problem;
    }
    return std::nullopt;
}

}  // namespace

Result<PageQuestion> parse_page_question(std::string_view query) {
    PageQuestion question;
    const auto keep_limit = [&](auto value) { return keep(value, limit_max, question.limit); };
    const auto keep_before = [&](auto value) { return keep(value, id_max, question.before); };
    const auto keep_text = [&](auto value) { return is_search(question.text = value); };
    Parameter known[] = {
        {"limit", "must be a whole number from 1 to 100", keep_limit},
        {"before", "must be a visitor's number: digits only, without a leading zero", keep_before},
        {"q", "must have 1 to 50 characters, none of them U+0000", keep_text},
    };
    if (auto problem = read_parameters(query, known)) return std::move(*problem);
    return question;
}

Result<StatsQuestion> parse_stats_question(std::string_view query) {
    StatsQuestion question;
    const auto keep_days = [&](auto value) { return keep(value, days_max, question.days); };
    Parameter known[] = {{"days", "must be a whole number from 1 to 366", keep_days}};
    if (auto problem = read_parameters(query, known)) return std::move(*problem);
    return question;
}

std::optional<Problem> refuse_parameters(std::string_view query) { return read_parameters(query, {}); }

std::string next_link(const PageQuestion& question, std::int64_t last_id) {
    std::string link = "/api/visitors?limit=" + std::to_string(question.limit);
    link += "&before=" + std::to_string(last_id);
    if (question.text.empty()) return link;
    link += "&q=";
    append_percent_encoded(link, question.text);
    return link;
}

std::optional<std::int64_t> parse_id(std::string_view text) { return parse_number(text, id_max); }

}  // namespace app
