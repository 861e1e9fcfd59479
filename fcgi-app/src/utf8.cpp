// Reading UTF-8 character by character.
#include "utf8.hpp"

#include <algorithm>

namespace app {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// What a first byte says about the length of its character.
std::size_t announced_bytes(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

std::size_t character_bytes(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80) return 1;
    if (first < 0xC0 || first > 0xF7) return 0;
    const std::size_t bytes = announced_bytes(text[0]);
    std::string_view character = text.substr(0, bytes);
    if (character.size() < bytes) return 0;
    if (!std::ranges::all_of(character.substr(1), is_continuation)) return 0;
    // Of all the ways to write a code point only the shortest is UTF-8.
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const char32_t code_point = next_code_point(character);
    const bool surrogate = code_point >= 0xD800 && code_point < 0xE000;
    return code_point < least[bytes] || surrogate || code_point > 0x10FFFF ? 0 : bytes;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t bytes = character_bytes(text);
        if (bytes == 0) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

std::size_t count_code_points(std::string_view utf8) {
    return utf8.size() - static_cast<std::size_t>(std::ranges::count_if(utf8, is_continuation));
}

char32_t next_code_point(std::string_view& rest) {
    const std::size_t bytes = announced_bytes(rest[0]);
    // The marker of the length leaves 7, 5, 4 or 3 bits of the first byte.
    char32_t code_point = static_cast<unsigned char>(rest[0]) & (bytes == 1 ? 0x7Fu : 0x7Fu >> bytes);
    for (const char next : rest.substr(1, bytes - 1)) {
        code_point = code_point << 6 | (static_cast<unsigned char>(next) & 0x3Fu);
    }
    rest.remove_prefix(bytes);
    return code_point;
}

}  // namespace app
