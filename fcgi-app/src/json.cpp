// Reading by RapidJSON's SAX reader, so that no tree is ever built; writing by hand, which is shorter and faster for objects
// this plain.
#include "json.hpp"

#include "encoding.hpp"

#include <rapidjson/reader.h>
#include <optional>
#include <utility>

namespace app {
namespace {

Problem refusal(int status, std::string detail, std::string_view type = "about:blank") {
    return {.status = status, .type = type, .detail = std::move(detail)};
}

constexpr std::string_view name_characters = "/problems/name-characters";

Problem bad_characters() {
    return refusal(
        422,
        "name must not have control characters, line separators, changes of writing direction, lone surrogates "
        "or noncharacters",
        name_characters);
}

// Notes what a JSON text says of a visitor, right or wrong, and reads on: a fault of grammar behind it counts more. Stops
// only where the text nests too deep or has a lone low surrogate, of which RapidJSON makes invalid UTF-8.
class Listener : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Listener> {
public:
    bool too_deep = false;
    bool is_object = false;
    int names = 0;
    bool wrong_type = false;
    std::optional<std::string> name;
    std::optional<std::string> unknown;  // the first

    // RapidJSON calls these by their names. Default is for true and false.
    bool Default() {
        if (in_name_) wrong_type = true;
        return true;
    }
    bool Null() { return true; }
    bool RawNumber(const char*, rapidjson::SizeType, bool) { return Default(); }
    bool String(const char* text, rapidjson::SizeType bytes, bool) {
        if (in_name_) name.emplace(text, bytes);
        return is_utf8({text, bytes});
    }
    bool Key(const char* text, rapidjson::SizeType bytes, bool) {
        const std::string_view key(text, bytes);
        if (depth_ == 1) {
            in_name_ = key == "name";
            if (in_name_) ++names;
            if (!in_name_ && !unknown) unknown = key;
        }
        return is_utf8(key);
    }
    bool StartObject() {
        is_object = is_object || depth_ == 0;
        return StartArray();
    }
    bool StartArray() {
        constexpr int max_depth = 16;
        too_deep = ++depth_ > max_depth;
        return Default() && !too_deep;
    }
    bool EndObject(rapidjson::SizeType) { return EndArray(0); }
    bool EndArray(rapidjson::SizeType) { return --depth_ >= 0; }

private:
    int depth_ = 0;         // arrays and objects around what is read
    bool in_name_ = false;  // or in what is inside: a wrong type already
};

// What is wrong with `body` as JSON.
std::optional<Problem> read_json(std::string_view body, Listener& listener) {
    if (!is_utf8(body)) return refusal(400, "The body is not UTF-8.");
    // RapidJSON takes a NUL for the end, and passes over whatever follows.
    if (body.find('\0') != std::string_view::npos) return refusal(400, "The body is not JSON.");
    std::string text(body);
    rapidjson::InsituStringStream stream(text.data());
    rapidjson::Reader reader;
    // It calls itself for each level; the listener ends that. Of 1.1.0 two things are not used: memory of its own, whose
    // handling is undefined behaviour, and its doubles, as an exponent near -2^31 aborts the process.
    constexpr auto flags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
    switch (reader.Parse<flags>(stream, listener).Code()) {
        case rapidjson::kParseErrorNone:
            return std::nullopt;
        case rapidjson::kParseErrorTermination:
            return listener.too_deep ? refusal(400, "The body nests deeper than 16 levels.") : bad_characters();
        case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
            return bad_characters();
        case rapidjson::kParseErrorNumberTooBig:
            return refusal(422, "The body has a number that is too large.");
        default:
            return refusal(400, "The body is not JSON.");
    }
}

Result<Name> checked(std::string_view name) {
    const std::string_view trimmed = trim(name);
    const NameFault fault = check_name(trimmed);
    if (fault == NameFault::none) return Name(trimmed);
    if (fault == NameFault::characters) return bad_characters();
    if (fault == NameFault::blank) return refusal(422, "name must have a character that shows", name_characters);
    return refusal(422, "name must have 1 to " + std::to_string(name_max_code_points) + " characters",
                   "/problems/name-length");
}

std::string json_string(std::string_view text) {
    std::string json;
    append_json_string(json, text);
    return json;
}

void append(std::string& json, const DayCount& day) {
    json += R"({"day":)" + json_string(day.day) + json_member("count", day.count) + '}';
}

// Without temporaries: a page of 20 is most of what the service writes.
void append(std::string& json, const Visitor& visitor) {
    json.append(R"({"id":)").append(std::to_string(visitor.id)).append(R"(,"name":)");
    append_json_string(json, visitor.name);
    json.append(R"(,"created_at":")").append(visitor.created_at).append("\"}");
}

template <class Element>
std::string json_array(const std::vector<Element>& elements) {
    constexpr std::size_t usual_bytes = 100;  // of an element
    std::string json = "[";
    json.reserve(usual_bytes * (elements.size() + 1));
    for (const Element& element : elements) {
        if (&element != elements.data()) json += ',';
        append(json, element);
    }
    return json + ']';
}

}  // namespace

Result<Name> parse_new_visitor(std::string_view body) {
    if (body.empty()) return Name();
    Listener heard;
    if (auto problem = read_json(body, heard)) return std::move(*problem);
    if (!heard.is_object) return refusal(422, "The body must be a JSON object.");
    if (heard.unknown) return refusal(422, "A visitor has no member " + quoted(*heard.unknown) + '.');
    if (heard.names > 1) return refusal(422, "name is there more than once");
    if (heard.wrong_type) return refusal(422, "name must be a string or null");
    return heard.name ? checked(*heard.name) : Name();
}

std::string to_json(const Visitor& visitor) {
    std::string json;
    append(json, visitor);
    return json;
}

std::string to_json(const Page& page, std::string_view next) {
    return R"({"visitors":)" + json_array(page.visitors) +
           (page.total ? json_member("total", *page.total) : R"(,"total":null)") +
           (next.empty() ? R"(,"next":null)" : json_member("next", next)) + '}';
}

std::string to_json(const Stats& stats) {
    return R"({"total":)" + std::to_string(stats.total) +
           json_member("today", stats.days.empty() ? 0 : stats.days.front().count) + R"(,"days":)" +
           json_array(stats.days) + '}';
}

std::string problem_json(const Problem& problem, std::string_view path, std::string_view request_id) {
    constexpr std::string_view kept_in_paths = "/!$&'()*+,;=:@";  // RFC 3986, 3.3
    return R"({"type":)" + json_string(problem.type) + json_member("title", reason_phrase(problem.status)) +
           json_member("status", problem.status) + json_member("detail", problem.detail) +
           json_member("instance", percent_encoded(path, kept_in_paths)) + json_member("request_id", request_id) + '}';
}

std::string index_json(std::string_view version) {
    return R"({"name":"visitors")" + json_member("version", version) +
           R"(,"links":{"visitors":"/api/visitors","stats":"/api/stats","health":"/health","openapi":"/openapi.json"}})";
}

std::string health_json(bool ok, std::string_view details) {
    return ok ? R"({"status":"OK"})" : R"({"status":"error")" + json_member("details", details) + '}';
}

std::string json_member(std::string_view name, std::string_view text) {
    return text.empty() ? std::string() : ",\"" + std::string(name) + "\":" + json_string(text);
}

std::string json_member(std::string_view name, std::int64_t number) {
    return ",\"" + std::string(name) + "\":" + std::to_string(number);
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    // `text` is what is not yet written: it begins with characters that can be copied as they are, up to `rest`.
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t plain = text.size() - rest.size();
        const auto code_point = take_code_point(rest);
        if (code_point && *code_point >= ' ' && *code_point != '"' && *code_point != '\\') continue;
        out += text.substr(0, plain);
        text = rest;
        if (!code_point) {
            out += "\uFFFD";
        } else if (*code_point < ' ') {
            out += {'\\', 'u', '0', '0', *code_point < 0x10 ? '0' : '1', "0123456789abcdef"[*code_point & 0xF]};
        } else {
            out += {'\\', static_cast<char>(*code_point)};
        }
    }
    out += text;
    out += '"';
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
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (const auto& [known, phrase] : phrases) {
        if (known == status) return phrase;
    }
    return {};
}

}  // namespace app
