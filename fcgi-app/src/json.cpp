// Reading by RapidJSON's SAX reader, so that no tree is ever built; writing by hand, which is
// shorter and faster for objects this plain.
#include "json.hpp"

#include "percent.hpp"
#include "utf8.hpp"

#include <rapidjson/reader.h>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <optional>
#include <utility>

namespace app {
namespace {

constexpr int depth_max = 16;
constexpr std::size_t quoted_max_code_points = 40;

Problem refusal(int status, std::string detail, std::string_view type = "about:blank") {
    return {.status = status, .type = type, .detail = std::move(detail)};
}

// The code unit that `text` begins with as an escape, \u and four digits; 0 if it does not.
unsigned escaped_unit(std::string_view text) {
    constexpr std::size_t size = 6;
    if (!text.starts_with("\\u") || text.size() < size) return 0;
    unsigned unit = 0;
    const char* const end = text.data() + size;
    return std::from_chars(text.data() + 2, end, unit, 16).ptr == end ? unit : 0;
}

// What the escape at the front of `rest` becomes for RapidJSON, taken off it. It stops at a lone
// high surrogate as if that were no JSON, and 1.1.0 makes invalid UTF-8 of a lone low one; U+FFFF,
// which is no more allowed in a name, stands in for both.
std::string_view take_escape(std::string_view& rest) {
    const unsigned unit = escaped_unit(rest);
    const bool high = unit >= 0xD800 && unit < 0xDC00;
    const bool low = unit >= 0xDC00 && unit < 0xE000;
    const unsigned second = high ? escaped_unit(rest.substr(6)) : 0;
    const bool pair = second >= 0xDC00 && second < 0xE000;
    const std::string_view taken = rest.substr(0, pair ? 12 : high || low ? 6 : 2);
    rest.remove_prefix(taken.size());
    return (high || low) && !pair ? "\\uFFFF" : taken;
}

// The same text, as far as JSON's grammar and we are concerned, without what RapidJSON cannot take: see above, and numbers
// beyond a double. A number of more than 17 digits is cut there, and its exponent after two: too large it is all the same.
std::string tamed(std::string_view body) {
    std::string text;
    text.reserve(body.size());
    bool in_string = false;
    bool in_exponent = false;
    int digits = 0;
    for (std::string_view rest = body; !rest.empty();) {
        const char c = rest[0];
        if (in_string && c == '\\') {
            text += take_escape(rest);
            continue;
        }
        if (c == '"') in_string = !in_string;
        const bool is_digit = !in_string && c >= '0' && c <= '9';
        if (!is_digit && c != '+' && c != '-') in_exponent = digits > 0 && (c == 'e' || c == 'E');
        digits = is_digit ? digits + 1 : 0;
        if (digits <= (in_exponent ? 2 : 17)) text += c;
        rest.remove_prefix(1);
    }
    return text;
}

// Notes what a JSON text says of a visitor, right or wrong, and reads on: a fault of grammar behind
// it counts more. Stops only where the text nests too deep.
class Listener : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Listener> {
public:
    bool is_object = false;
    int names = 0;
    bool wrong_type = false;
    std::optional<std::string> name;
    std::optional<std::string> unknown;  // the first

    // RapidJSON calls these by their names. Default is for the other scalars.
    bool Default() {
        if (in_name_) wrong_type = true;
        return true;
    }
    bool Null() { return true; }
    bool String(const char* text, rapidjson::SizeType bytes, bool) {
        if (in_name_) name.emplace(text, bytes);
        return true;
    }
    bool Key(const char* text, rapidjson::SizeType bytes, bool) {
        if (depth_ > 1) return true;
        const std::string_view key(text, bytes);
        in_name_ = key == "name";
        if (in_name_) ++names;
        if (!in_name_ && !unknown) unknown = key;
        return true;
    }
    bool StartObject() {
        if (depth_ == 0) is_object = true;
        return StartArray();
    }
    bool StartArray() {
        Default();
        return ++depth_ <= depth_max;
    }
    bool EndObject(rapidjson::SizeType) { return EndArray(0); }
    bool EndArray(rapidjson::SizeType) {
        --depth_;
        return true;
    }

private:
    int depth_ = 0;         // arrays and objects around what is read
    bool in_name_ = false;  // or in what is inside: a wrong type already
};

// What is wrong with `body` as JSON.
std::optional<Problem> read_json(std::string_view body, Listener& listener) {
    if (!is_utf8(body)) return refusal(400, "The body is not UTF-8.");
    // RapidJSON takes a NUL for the end, and passes over whatever follows.
    if (body.find('\0') != std::string_view::npos) return refusal(400, "The body is not JSON.");
    std::string text = tamed(body);
    rapidjson::InsituStringStream stream(text.data());
    rapidjson::Reader reader;
    // It calls itself for each level; the listener ends that. In place it needs no memory of its own,
    // whose handling in 1.1.0 is undefined behaviour.
    constexpr auto flags = rapidjson::kParseInsituFlag | rapidjson::kParseValidateEncodingFlag;
    const rapidjson::ParseResult result = reader.Parse<flags>(stream, listener);
    if (!result.IsError()) return std::nullopt;
    const bool too_deep = result.Code() == rapidjson::kParseErrorTermination;
    return refusal(400, too_deep ? "The body nests deeper than 16 levels." : "The body is not JSON.");
}

Result<NewVisitor> named(std::string_view name) {
    const std::string_view trimmed = trim(name);
    const NameFault fault = check_name(trimmed);
    if (fault == NameFault::length) {
        return refusal(422, "name must have 1 to 50 characters", "/problems/name-length");
    }
    if (fault == NameFault::characters) {
        return refusal(422,
                       "name must not have control characters, line separators, changes of "
                       "writing direction, lone surrogates or noncharacters",
                       "/problems/name-characters");
    }
    return NewVisitor{std::string(trimmed)};
}

// `start` is what stands before the value.
void append_member(std::string& out, std::string_view start, std::string_view text) {
    if (text.empty()) return;
    out += start;
    append_json_string(out, text);
}

void append_visitor(std::string& out, const Visitor& visitor) {
    out += R"({"id":)";
    out += std::to_string(visitor.id);
    append_member(out, R"(,"name":)", visitor.name);
    append_member(out, R"(,"created_at":)", visitor.created_at);
    out += '}';
}

bool is_plain(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= ' ' && byte < 0x80 && c != '"' && c != '\\';
}

// `c` cannot stand in a string as it is; from 0x80 on it is not UTF-8.
void append_escaped(std::string& out, char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
        out += "\xEF\xBF\xBD";
    } else if (byte >= ' ') {
        out += {'\\', c};
    } else {
        out += {'\\', 'u', '0', '0', byte < 0x10 ? '0' : '1', "0123456789abcdef"[byte & 0xF]};
    }
}

}  // namespace

Result<NewVisitor> parse_new_visitor(std::string_view body) {
    if (body.empty()) return NewVisitor{};
    Listener heard;
    if (auto problem = read_json(body, heard)) return std::move(*problem);
    if (!heard.is_object) return refusal(422, "The body must be a JSON object.");
    if (heard.unknown) return refusal(422, "A visitor has no member " + quoted(*heard.unknown) + '.');
    if (heard.names > 1) return refusal(422, "name is there more than once");
    if (heard.wrong_type) return refusal(422, "name must be a string or null");
    return heard.name ? named(*heard.name) : NewVisitor{};
}

std::string to_json(const Visitor& visitor) {
    std::string json;
    json.reserve(256);  // of a name in whatever script
    append_visitor(json, visitor);
    return json;
}

std::string to_json(const Page& page, std::string_view next) {
    std::string json;
    json.reserve(128 + 128 * page.visitors.size() + next.size());
    json += R"({"visitors":[)";
    for (const Visitor& visitor : page.visitors) {
        if (&visitor != page.visitors.data()) json += ',';
        append_visitor(json, visitor);
    }
    json += R"(],"total":)";
    json += page.total ? std::to_string(*page.total) : "null";
    if (next.empty()) json += R"(,"next":null)";
    append_member(json, R"(,"next":)", next);
    json += '}';
    return json;
}

std::string to_json(const Stats& stats) {
    std::string json = R"({"total":)";
    json.reserve(128 + 48 * stats.days.size());
    json += std::to_string(stats.total);
    json += R"(,"today":)";
    json += std::to_string(stats.days.empty() ? 0 : stats.days.front().count);
    json += R"(,"days":[)";
    for (const DayCount& day : stats.days) {
        if (&day != stats.days.data()) json += ',';
        append_member(json, R"({"day":)", day.day);
        json += R"(,"count":)";
        json += std::to_string(day.count);
        json += '}';
    }
    json += "]}";
    return json;
}

std::string problem_json(const Problem& problem, std::string_view path, std::string_view request_id) {
    std::string instance;
    append_percent_encoded(instance, path, "/!$&'()*+,;=:@");  // a path's characters: RFC 3986, 3.3
    std::string json;
    append_member(json, R"({"type":)", problem.type);
    append_member(json, R"(,"title":)", reason_phrase(problem.status));
    json += R"(,"status":)";
    json += std::to_string(problem.status);
    append_member(json, R"(,"detail":)", problem.detail);
    append_member(json, R"(,"instance":)", instance);
    append_member(json, R"(,"request_id":)", request_id);
    json += '}';
    return json;
}

std::string index_json(std::string_view version) {
    std::string json = R"({"name":"visitors","version":)";
    append_json_string(json, version);
    json += R"(,"links":{"visitors":"/api/visitors","stats":"/api/stats","health":"/health",)"
            R"("openapi":"/openapi.json"}})";
    return json;
}

std::string health_json(bool ok, std::string_view details) {
    std::string json = ok ? R"({"status":"OK")" : R"({"status":"error")";
    if (!ok) append_member(json, R"(,"details":)", details);
    json += '}';
    return json;
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t ready = 0;  // bytes at the front that can be copied as they are
    while (ready < text.size()) {
        const std::size_t bytes = is_plain(text[ready]) ? 1 : character_bytes(text.substr(ready));
        if (bytes > 1 || is_plain(text[ready])) {
            ready += bytes;
            continue;
        }
        out += text.substr(0, ready);
        append_escaped(out, text[ready]);
        text.remove_prefix(ready + 1);
        ready = 0;
    }
    out += text;
    out += '"';
}

std::string quoted(std::string_view utf8) {
    std::string shown = "\"";
    for (std::size_t i = 0; i < quoted_max_code_points && !utf8.empty(); ++i) {
        const std::string_view character = utf8.substr(0, character_bytes(utf8));
        const auto code_point = static_cast<unsigned>(next_code_point(utf8));
        char escape[sizeof "\\u{10FFFF}"];
        std::snprintf(escape, sizeof escape, "\\u{%X}", code_point);
        shown += check_name(character) == NameFault::none ? character : escape;
    }
    shown += utf8.empty() ? "\"" : "…\"";
    return shown;
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
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    const auto* const found = std::ranges::find(phrases, status, [](const auto& pair) { return pair.first; });
    return found == std::end(phrases) ? std::string_view() : found->second;
}

}  // namespace app
