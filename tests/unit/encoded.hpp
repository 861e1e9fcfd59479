// A code point as UTF-8, for tests that go through all of them. Encodes surrogates too: to see them
// refused.
#pragma once

#include <string>

namespace app {

inline std::string encoded(char32_t code_point) {
    const auto byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    const auto rest = [&](int shift) { return byte(0x80 | (code_point >> shift & 0x3F)); };
    if (code_point < 0x80) return {byte(code_point)};
    if (code_point < 0x800) return {byte(0xC0 | code_point >> 6), rest(0)};
    if (code_point < 0x10000) return {byte(0xE0 | code_point >> 12), rest(6), rest(0)};
    return {byte(0xF0 | code_point >> 18), rest(12), rest(6), rest(0)};
}

constexpr char32_t code_point_max = 0x10FFFF;
constexpr bool is_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

}  // namespace app
