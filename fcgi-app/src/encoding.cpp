// Encodings read and written, on strings without a terminator.
#include "encoding.hpp"

#include <bit>
#include <charconv>

namespace app {

std::optional<char32_t> take_code_point(std::string_view& rest) {
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

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        if (!take_code_point(text)) return false;
    }
    return true;
}

std::size_t count_code_points(std::string_view text) {
    std::size_t count = 0;
    for (; !text.empty(); ++count) take_code_point(text);
    return count;
}

std::string escaped(std::string_view text, std::string_view special, char escape) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (special.find(c) != std::string_view::npos) out += escape;
        out += c;
    }
    return out;
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
    constexpr std::string_view unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        if (unreserved.find(c) != std::string_view::npos || kept.find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', digits[byte >> 4], digits[byte & 0xF]};
        }
    }
    return encoded;
}

std::optional<std::string> form_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            const std::string_view digits = text.substr(i + 1, 2);
            unsigned char byte = 0;
            if (digits.size() < 2) return std::nullopt;
            if (std::from_chars(digits.data(), digits.data() + 2, byte, 16).ptr != digits.data() + 2)
                return std::nullopt;
            c = static_cast<char>(byte);
            i += 2;
        }
        decoded += c;
    }
    return decoded;
}

}  // namespace app
