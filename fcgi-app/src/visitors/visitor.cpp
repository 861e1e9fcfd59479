// Bodies and query strings to questions, and values to JSON.
#include "visitors/visitor.hpp"

#include "base/encoding.hpp"
#include "http/json_reader.hpp"
#include "http/problem.hpp"
#include "http/query.hpp"

#include <utility>

namespace app {
namespace {

constexpr TextProblemTypes name_problems{"/problems/name-length", "/problems/name-characters"};

}  // namespace

Result<Name> parse_new_visitor(std::string_view body) {
    constexpr std::string_view members[] = {"name"};
    const auto read = read_json_members(
        body, {"A visitor", members, text_problem("name", TextFault::characters, name_rule, name_problems)});
    if (!read) return read.error();
    const auto& given = read->front().text;
    if (!given) return Name();
    const std::string_view name = trim(*given);
    const TextFault fault = check_text(name, name_rule);
    return fault == TextFault::none ? Result(Name(name)) : text_problem("name", fault, name_rule, name_problems);
}

Result<PageQuestion> parse_page_question(std::string_view query) {
    PageQuestion question;
    Parameter known[] = {
        whole_number("limit", question.limit, 1, page_max_visitors),
        whole_number("before", question.before, 1, id_max),
        search_text("q", question.text, name_rule.code_points_max),
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

std::string next_link(const PageQuestion& question, std::int64_t last_id) {
    const std::string search = question.text.empty() ? std::string() : "&q=" + percent_encoded(question.text);
    return "/api/visitors?limit=" + std::to_string(question.limit) + "&before=" + std::to_string(last_id) + search;
}

std::string to_json(const Page& page, std::string_view next) {
    return R"({"visitors":)" + json_array(page.visitors, visitor_fields) +
           (page.total ? json_member("total", *page.total) : R"(,"total":null)") +
           (next.empty() ? R"(,"next":null)" : json_member("next", next)) + '}';
}

std::string to_json(const Stats& stats) {
    return R"({"total":)" + std::to_string(stats.total) +
           json_member("today", stats.days.empty() ? 0 : stats.days.front().count) + R"(,"days":)" +
           json_array(stats.days, day_fields) + '}';
}

}  // namespace app
