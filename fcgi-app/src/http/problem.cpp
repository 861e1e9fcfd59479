// The words for each status, and a problem as JSON.
#include "http/problem.hpp"

#include "text/encoding.hpp"
#include "text/json_text.hpp"

#include <utility>

namespace app {

std::string problem_json(const Problem& problem, std::string_view path, std::string_view request_id) {
    constexpr std::string_view kept_in_paths = "/!$&'()*+,;=:@";  // RFC 3986, 3.3
    return R"({"type":)" + json_string(problem.type) + json_member("title", reason_phrase(problem.status)) +
           json_member("status", problem.status) + json_member("detail", problem.detail) +
           json_member("instance", percent_encoded(path, kept_in_paths)) + json_member("request_id", request_id) + '}';
}

Problem text_problem(std::string_view member, TextFault fault, const TextRule& rule, const TextProblemTypes& types) {
    const std::string name(member);
    const auto refusal = [](std::string_view type, std::string detail) {
        return Problem{.status = 422, .type = type, .detail = std::move(detail)};
    };
    if (fault == TextFault::length) {
        const std::string most = std::to_string(rule.code_points_max) + " characters";
        if (rule.code_points_min == 0) return refusal(types.length, name + " must have at most " + most);
        return refusal(types.length, name + " must have " + std::to_string(rule.code_points_min) + " to " + most);
    }
    if (fault == TextFault::blank) return refusal(types.characters, name + " must have a character that shows");
    return refusal(types.characters, name + " must not have control characters" +
                                         (rule.has_lines ? " but line feeds" : "") +
                                         ", line separators, changes of writing direction, lone surrogates or "
                                         "noncharacters");
}

Problem no_such(std::string_view what) {
    return {.status = 404, .detail = "There is no such " + std::string(what) + '.'};
}

std::string_view reason_phrase(int status) {
    constexpr std::pair<int, std::string_view> phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (const auto& [known, phrase] : phrases) {
        if (known == status) return phrase;
    }
    return {};
}

}  // namespace app
