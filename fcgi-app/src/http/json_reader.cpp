// RapidJSON's SAX reader, so that no tree is ever built.
#include "http/json_reader.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

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
    explicit Listener(std::span<const std::string_view> names) : members(names.size()), names_(names) {}

    struct Heard {
        JsonText value;
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
        if (current_ != nullptr) current_->value.text.emplace(text, bytes);
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
        const auto place = std::ranges::find(names_, key) - names_.begin();
        current_ = place < std::ssize(members) ? &members[static_cast<std::size_t>(place)] : nullptr;
        if (current_ != nullptr) {
            ++current_->times;
            current_->value.is_given = true;
        } else if (!unknown) {
            unknown = key;
        }
    }

    const std::span<const std::string_view> names_;
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

}  // namespace

Result<std::vector<JsonText>> read_json_members(std::string_view body, const JsonForm& form) {
    std::vector<JsonText> values(form.members.size());
    if (body.empty()) return values;
    Listener heard(form.members);
    if (auto problem = read_json(body, heard, form.bad_characters)) return std::move(*problem);
    if (!heard.is_object) return refusal(422, "The body must be a JSON object.");
    if (heard.unknown) return refusal(422, std::string(form.what) + " has no member " + quoted(*heard.unknown) + '.');
    const auto name_of_first = [&](auto is_wrong) {
        const auto place = std::ranges::find_if(heard.members, is_wrong) - heard.members.begin();
        return place < std::ssize(heard.members) ? std::string(form.members[static_cast<std::size_t>(place)]) : "";
    };
    const std::string repeated = name_of_first([](const auto& member) { return member.times > 1; });
    if (!repeated.empty()) return refusal(422, repeated + " is there more than once");
    const std::string odd = name_of_first([](const auto& member) { return member.wrong_type; });
    if (!odd.empty()) return refusal(422, odd + " must be a string or null");
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::move(heard.members[i].value);
    return values;
}

}  // namespace app
