// Bodies and query strings to questions, and values to JSON.
#include "visitors/visitor.hpp"

#include "content/document.hpp"
#include "content/json_reader.hpp"
#include "http/query.hpp"

#include <utility>

namespace app {
namespace {

constexpr JsonMember members[] = {{.name = "name", .rule = name_rule, .may_be_null = true}};
constexpr JsonForm form{"A visitor", members, {"/problems/name-length", "/problems/name-characters"}};

}  // namespace

Result<Name> parse_new_visitor(std::string_view body) {
    const auto read = read_json_members(body, form);
    return read ? Result<Name>(read->front()) : read.error();
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
    return link_to(
        "/api/visitors",
        {{"limit", std::to_string(question.limit)}, {"before", std::to_string(last_id)}, {"q", question.text}});
}

std::string to_json(const Page& page, std::string_view next) {
    return page_json("visitors", json_array(page.visitors, visitor_fields), page.total, next);
}

std::string to_json(const Stats& stats) {
    return R"({"total":)" + std::to_string(stats.total) +
           json_member("today", stats.days.empty() ? 0 : stats.days.front().count) + R"(,"days":)" +
           json_array(stats.days, day_fields) + '}';
}

}  // namespace app
