// Bodies and query strings to questions, and values to JSON.
#include "notes/notes.hpp"

#include "base/json_text.hpp"
#include "http/json_reader.hpp"
#include "http/problem.hpp"
#include "http/query.hpp"

#include <utility>

namespace app {
namespace {

constexpr TextProblemTypes text_problems{"/problems/text-length", "/problems/text-characters"};

}  // namespace

Result<std::string> parse_text(std::string_view body) {
    constexpr std::string_view members[] = {"text"};
    const auto read = read_json_members(
        body, {"The body", members, text_problem("text", TextFault::characters, text_rule, text_problems)});
    if (!read) return read.error();
    const std::string given = read->front().text.value_or("");
    const std::string_view text = trim(given);
    const TextFault fault = check_text(text, text_rule);
    return fault == TextFault::none ? Result(std::string(text)) : text_problem("text", fault, text_rule, text_problems);
}

Result<PageQuestion> parse_page_question(std::string_view query) {
    PageQuestion question;
    Parameter known[] = {
        whole_number("limit", question.limit, 1, page_max_entries),
        whole_number("before", question.before, 1, id_max),
    };
    if (auto problem = read_parameters(query, known)) return std::move(*problem);
    return question;
}

std::string path_of(std::int64_t id) { return "/api/notes/" + std::to_string(id); }

std::string next_link(const PageQuestion& question, std::int64_t last_id) {
    return "/api/notes?limit=" + std::to_string(question.limit) + "&before=" + std::to_string(last_id);
}

std::string to_json(const Page& page, std::string_view next) {
    return R"({"notes":)" + json_array(page.entries, entry_fields) + json_member("total", page.total) +
           (next.empty() ? R"(,"next":null)" : json_member("next", next)) + '}';
}

}  // namespace app
