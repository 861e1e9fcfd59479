// The rule for a name.
#include "visitor.hpp"

#include "utf8.hpp"

#include <algorithm>

namespace app {
namespace {

bool is_between(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

// Unicode's property White_Space, whole: stable since Unicode 6.3.
bool is_white_space(char32_t c) {
    return c == 0x20 || is_between(c, 0x09, 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           is_between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// What a list of names cannot show, or what would change how the names around it are shown.
bool is_refused(char32_t c) {
    const bool control = c < 0x20 || is_between(c, 0x7F, 0x9F);
    const bool separator = c == 0x2028 || c == 0x2029;
    const bool bidirectional = is_between(c, 0x202A, 0x202E) || is_between(c, 0x2066, 0x2069);
    const bool noncharacter = is_between(c, 0xFDD0, 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
    return control || separator || bidirectional || noncharacter;
}

}  // namespace

std::string_view trim(std::string_view utf8) {
    std::size_t begin = utf8.size();
    std::size_t end = begin;
    for (std::string_view rest = utf8; !rest.empty();) {
        const std::size_t at = utf8.size() - rest.size();
        if (is_white_space(next_code_point(rest))) continue;
        begin = std::min(begin, at);
        end = utf8.size() - rest.size();
    }
    return utf8.substr(begin, end - begin);
}

NameFault check_name(std::string_view utf8) {
    // The length first: who pasted too much shortens it, and often that mends the characters too.
    const std::size_t length = count_code_points(utf8);
    if (length < 1 || length > name_max_code_points) return NameFault::length;
    while (!utf8.empty()) {
        if (is_refused(next_code_point(utf8))) return NameFault::characters;
    }
    return NameFault::none;
}

}  // namespace app
