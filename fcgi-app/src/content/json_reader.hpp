// A JSON body (RFC 8259) to the members that a resource has, each a text by its rule; and the words in which a client learns what is
// wrong with it. Knows no resource. json_reader.cpp is the only file that knows RapidJSON. Pure functions: any thread.
#pragma once

#include "http/http.hpp"
#include "http/problem.hpp"
#include "text/text.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace app {

struct JsonMember {
    std::string_view name;
    TextRule rule;
    bool is_required = false;
    bool may_be_null = false;
    std::span<const std::string_view> choices = {};  // empty: any text by the rule; else one of these, two at least
};

// What a body may say.
struct JsonForm {
    std::string_view what;  // "An order": the beginning of a sentence
    std::span<const JsonMember> members;
    TextProblemTypes types{"/problems/text-length", "/problems/text-characters"};
};

// A member's text, by its rule; none where it is null or absent.
using JsonText = std::optional<std::string>;

// The members in the form's order; an empty body gives none of them. What is not JSON, not UTF-8, begins with a byte order
// mark or nests deeper than 16 is a 400, wherever the fault stands. A lone surrogate (\ud800) in any string, or a number beyond
// a double, is a 422, and what stands behind it is not looked at. Then what the text says, in this order, each a 422: not an
// object, an unknown member, a repeated one, one that is neither a string nor null; then member by member what its rule says.
Result<std::vector<JsonText>> read_json_members(std::string_view body, const JsonForm& form);

}  // namespace app
