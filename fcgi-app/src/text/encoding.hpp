// Text as bytes: UTF-8 by RFC 3629 (no overlong forms, no surrogates, nothing above U+10FFFF), the encodings of URIs, and
// escaping. Knows neither what a text means nor which characters a name may have. Pure functions: any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace app {

// Takes the first character off `rest`, which is not empty. None, and one byte taken, where it is not UTF-8. Inline: most
// texts are ASCII, for which the call would be most of the work.
inline std::optional<char32_t> take_code_point(std::string_view& rest) {
    const auto first = static_cast<unsigned char>(rest[0]);
    rest.remove_prefix(1);
    if (first < 0x80) return first;
    // The ones at the front of the first byte say how many bytes there are; what is behind them begins the code point.
    const auto bytes = static_cast<std::size_t>(std::countl_one(first));
    if (bytes < 2 || bytes > 4 || rest.size() < bytes - 1) return std::nullopt;
    char32_t code_point = first & 0x7Fu >> bytes;
    for (const char c : rest.substr(0, bytes - 1)) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte & 0xC0) != 0x80) return std::nullopt;
        code_point = code_point << 6 | (byte & 0x3Fu);
    }
    // Of all the ways to write a code point only the shortest is UTF-8.
    constexpr char32_t least[] = {0x80, 0x800, 0x10000};
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    if (code_point < least[bytes - 2] || surrogate || code_point > 0x10FFFF) return std::nullopt;
    rest.remove_prefix(bytes - 1);
    return code_point;
}

bool is_utf8(std::string_view text);
std::size_t count_code_points(std::string_view text);  // each byte that is not UTF-8 counts as one

// `text` with `escape` before each character that is one of `special`.
std::string escaped(std::string_view text, std::string_view special, char escape);

// `text` with every byte as %XX but RFC 3986's unreserved characters (2.3) and those of `kept`.
std::string percent_encoded(std::string_view text, std::string_view kept = {});

// A name or a value of a query string, where '+' is a space. None: a '%' without two digits, or what is then not UTF-8.
std::optional<std::string> form_decoded(std::string_view text);

}  // namespace app
