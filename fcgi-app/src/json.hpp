// JSON: text to values and back, and the words in which a client learns what is wrong with its
// text. json.cpp is the only file that knows RapidJSON. Pure functions: any thread.
#pragma once

#include "http.hpp"
#include "visitor.hpp"

#include <string>
#include <string_view>

namespace app {

// The visitor that `body` asks for; an empty body asks for one without a name. First the text: what
// is not JSON by RFC 8259, not UTF-8, begins with a byte order mark or nests deeper than 16 is a
// 400, wherever the fault stands. Then what it says, in this order, each a 422: not an object, an
// unknown member, a repeated one, a name of a wrong type, a bad name. A lone surrogate (\ud800) is
// JSON: in a name it is a bad character, elsewhere it stands in an unknown member.
Result<NewVisitor> parse_new_visitor(std::string_view body);

std::string to_json(const Visitor& visitor);
std::string to_json(const Page& page, std::string_view next);  // `next` empty: null
std::string to_json(const Stats& stats);

// RFC 9457. `path` is decoded, any bytes; `instance` is it, encoded again. What is empty is left
// out.
std::string problem_json(const Problem& problem, std::string_view path, std::string_view request_id);

std::string index_json(std::string_view version);
std::string health_json(bool ok, std::string_view details);  // no details when ok

// Appends `text`, quoted and escaped; each byte that is not UTF-8 in it becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// `utf8`, a client's word, to be shown in a sentence: quoted, shortened, what no name may have
// escaped.
std::string quoted(std::string_view utf8);

// RFC 9110's words for the statuses that this service sends.
std::string_view reason_phrase(int status);

}  // namespace app
