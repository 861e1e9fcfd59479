// RapidJSON's SAX reader, so that no tree is ever built.
#include "content/json_reader.hpp"

#include "text/encoding.hpp"
#include "text/parameter.hpp"
#include "text/text.hpp"

#include <rapidjson/reader.h>
#include <algorithm>
#include <utility>

namespace app {
namespace {

Problem refusal(int status, std::string detail) { return {.status = status, .detail = std::move(detail)}; }

// Notes what a JSON text says of the members, right or wrong, and reads on: a fault of grammar behind it counts more. Stops
// only where the text nests too deep or has a lone low surrogate, of which RapidJSON makes invalid UTF-8.
class Listener : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Listener> {
public:
    explicit Listener(std::span<const JsonMember> known) : members(known.size()), known_(known) {}

    struct Heard {
        JsonText text;
        int times = 0;
        bool wrong_type = false;
    };
    std::vector<Heard> members;
    bool too_deep = false;
    bool is_object = false;
    std::optional<std::string> unknown;  // the first

    // RapidJSON calls these by their names. Default is for true and false.
    bool Default() {
        if (current_ != nullptr) current_->wrong_type = true;
        return true;
    }
    bool Null() { return true; }
    bool RawNumber(const char*, rapidjson::SizeType, bool) { return Default(); }
    bool String(const char* text, rapidjson::SizeType bytes, bool) {
        if (current_ != nullptr) current_->text.emplace(text, bytes);
        return is_utf8({text, bytes});
    }
    bool Key(const char* text, rapidjson::SizeType bytes, bool) {
        const std::string_view key(text, bytes);
        if (depth_ == 1) look_up(key);
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
    void look_up(std::string_view key) {
        const auto place = std::ranges::find(known_, key, &JsonMember::name) - known_.begin();
        current_ = place < std::ssize(members) ? &members[static_cast<std::size_t>(place)] : nullptr;
        if (current_ != nullptr) {
            ++current_->times;
        } else if (!unknown) {
            unknown = key;
        }
    }

    const std::span<const JsonMember> known_;
    Heard* current_ = nullptr;  // or what is inside of it: a wrong type already
    int depth_ = 0;             // arrays and objects around what is read
};

// What is wrong with `body` as JSON.
std::optional<Problem> read_json(std::string_view body, Listener& listener, const Problem& bad_characters) {
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
            return listener.too_deep ? refusal(400, "The body nests deeper than 16 levels.") : bad_characters;
        case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
            return bad_characters;
        case rapidjson::kParseErrorNumberTooBig:
            return refusal(422, "The body has a number that is too large.");
        default:
            return refusal(400, "The body is not JSON.");
    }
}

// What is wrong with a member that is a string, null or absent.
std::optional<Problem> refuse_value(const JsonMember& member, bool is_given, JsonText& text,
                                    const TextProblemTypes& types) {
    const std::string name(member.name);
    if (!text && is_given && !member.may_be_null) return refusal(422, name + " must not be null");
    if (!text && member.is_required) return refusal(422, name + " is missing");
    if (!text) return std::nullopt;
    if (!member.choices.empty()) {
        if (std::ranges::find(member.choices, *text) != member.choices.end()) return std::nullopt;
        return refusal(422, name + " must be " + joined_by_or(member.choices));
    }
    if (member.rule.is_trimmed) text = std::string(trim(*text));
    const TextFault fault = check_text(*text, member.rule);
    if (fault == TextFault::none) return std::nullopt;
    return text_problem(name, fault, member.rule, types);
}

// What a text says that is JSON.
std::optional<Problem> refuse_form(const Listener& heard, const JsonForm& form) {
    if (!heard.is_object) return refusal(422, "The body must be a JSON object.");
    if (heard.unknown) return refusal(422, std::string(form.what) + " has no member " + quoted(*heard.unknown) + '.');
    for (std::size_t i = 0; i < form.members.size(); ++i) {
        if (heard.members[i].times > 1)
            return refusal(422, std::string(form.members[i].name) + " is there more than once");
    }
    for (std::size_t i = 0; i < form.members.size(); ++i) {
        if (heard.members[i].wrong_type) {
            const bool nullable = form.members[i].may_be_null;
            return refusal(422, std::string(form.members[i].name) + " must be a string" + (nullable ? " or null" : ""));
        }
    }
    return std::nullopt;
}

}  // namespace

Result<std::vector<JsonText>> read_json_members(std::string_view body, const JsonForm& form) {
    Listener heard(form.members);
    if (!body.empty()) {
        const Problem bad =
            text_problem(form.members.front().name, TextFault::characters, form.members.front().rule, form.types);
        if (auto problem = read_json(body, heard, bad)) return std::move(*problem);
        if (auto problem = refuse_form(heard, form)) return std::move(*problem);
    }
    std::vector<JsonText> texts;
    for (std::size_t i = 0; i < form.members.size(); ++i) {
        JsonText text = std::move(heard.members[i].text);
        if (auto problem = refuse_value(form.members[i], heard.members[i].times > 0, text, form.types))
            return std::move(*problem);
        texts.push_back(std::move(text));
    }
    return texts;
}

}  // namespace app
