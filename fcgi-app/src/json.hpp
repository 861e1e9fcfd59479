// JSON: a body to a visitor, values to text, and the words in which a client learns what is wrong. Knows nothing of where
// the text comes from or goes; json.cpp is the only file that knows RapidJSON. Pure functions: any thread.
#pragma once

#include "http.hpp"
#include "visitor.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace app {

// The name of the visitor that `body` asks for; an empty body asks for none. What is not JSON by RFC 8259, not UTF-8,
// begins with a byte order mark or nests deeper than 16 is a 400, wherever the fault stands. A lone surrogate (\ud800) in
// any string, or a number beyond a double, is a 422, and what stands behind it is not looked at. Then what the text says,
// in this order, each a 422: not an object, an unknown member, a repeated one, a name of a wrong type, a bad name.
Result<Name> parse_new_visitor(std::string_view body);

std::string to_json(const Visitor& visitor);
std::string to_json(const Page& page, std::string_view next);  // `next` empty: null
std::string to_json(const Stats& stats);

// RFC 9457; what is empty is left out. `path` is decoded, any bytes: `instance` is it, encoded again.
std::string problem_json(const Problem& problem, std::string_view path, std::string_view request_id);

std::string index_json(std::string_view version);
std::string health_json(bool ok, std::string_view details);  // no details when ok

// Appends `text`, quoted and escaped; each byte that is not UTF-8 in it becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// A member behind another one, comma first; nothing where `text` is empty. `name` is a literal: it is not escaped.
std::string json_member(std::string_view name, std::string_view text);
std::string json_member(std::string_view name, std::int64_t number);

// RFC 9110's words for the statuses that this service sends; empty for others.
std::string_view reason_phrase(int status);

}  // namespace app
