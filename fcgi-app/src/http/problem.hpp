// Problems in words: problem+json (RFC 9457), the phrase of each status, and what is told of a text that breaks its rule.
// Knows nothing of any resource. Pure functions: any thread.
#pragma once

#include "http/http.hpp"
#include "text/text.hpp"

#include <string>
#include <string_view>

namespace app {

// What is empty is left out. `path` is decoded, any bytes: `instance` is it, encoded again.
std::string problem_json(const Problem& problem, std::string_view path, std::string_view request_id);

// The `type` of a text of a wrong length, and of one with wrong characters or none that shows; literals.
struct TextProblemTypes {
    std::string_view length;
    std::string_view characters;
};

// A 422 that says what is wrong with the text in `member`; `fault` is not `none`.
Problem text_problem(std::string_view member, TextFault fault, const TextRule& rule, const TextProblemTypes& types);

// 404: "There is no such order."
Problem no_such(std::string_view what);

// RFC 9110's words for the statuses that a service sends; empty for others.
std::string_view reason_phrase(int status);

}  // namespace app
