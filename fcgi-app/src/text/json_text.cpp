// Escaping, and members one by one.
#include "text/json_text.hpp"

#include "text/encoding.hpp"

namespace app {

std::string json_string(std::string_view text) {
    std::string json;
    append_json_string(json, text);
    return json;
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

}  // namespace app
