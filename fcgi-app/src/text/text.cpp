// What Unicode says of characters that do not show, and the rules that are made of it.
#include "text/text.hpp"

#include "text/encoding.hpp"

#include <algorithm>
#include <utility>

namespace app {
namespace {

bool is_between(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

// Unicode's property White_Space, whole: stable since Unicode 6.3.
bool is_white_space(char32_t c) {
    return c == 0x20 || is_between(c, 0x09, 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           is_between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// What cannot be shown, or would change how the text around it is shown.
bool is_refused(char32_t c) {
    const bool control = c < 0x20 || is_between(c, 0x7F, 0x9F);
    const bool separator = c == 0x2028 || c == 0x2029;
    const bool bidirectional = is_between(c, 0x202A, 0x202E) || is_between(c, 0x2066, 0x2069);
    const bool noncharacter = is_between(c, 0xFDD0, 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
    return control || separator || bidirectional || noncharacter;
}

// Unicode's property Default_Ignorable_Code_Point, whole, as of Unicode 14.0.
bool is_ignorable(char32_t c) {
    constexpr std::pair<char32_t, char32_t> ranges[] = {
        {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},   {0x115F, 0x1160}, {0x17B4, 0x17B5},
        {0x180B, 0x180F},   {0x200B, 0x200F},   {0x202A, 0x202E}, {0x2060, 0x206F}, {0x3164, 0x3164},
        {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFF8}, {0x1BCA0, 0x1BCA3},
        {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
    };
    return std::ranges::any_of(ranges, [c](const auto& range) { return is_between(c, range.first, range.second); });
}

// A text without such a character looks empty.
bool shows(char32_t c) {
    constexpr char32_t braille_blank = 0x2800;
    return !is_white_space(c) && !is_ignorable(c) && c != braille_blank;
}

// A byte that is not UTF-8 reads as U+0000, which no text may have.
char32_t take(std::string_view& rest) { return take_code_point(rest).value_or(0); }

}  // namespace

std::string_view trim(std::string_view text) {
    std::size_t begin = text.size();
    std::size_t end = begin;
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t at = text.size() - rest.size();
        if (is_white_space(take(rest))) continue;
        begin = std::min(begin, at);
        end = text.size() - rest.size();
    }
    return text.substr(begin, end - begin);
}

TextFault check_text(std::string_view text, const TextRule& rule) {
    // The length first: who pasted too much shortens it, and often that mends the characters too.
    const std::size_t length = count_code_points(text);
    if (length < rule.code_points_min || length > rule.code_points_max) return TextFault::length;
    bool blank = true;
    while (!text.empty()) {
        const char32_t c = take(text);
        if (is_refused(c) && !(rule.has_lines && c == U'\n')) return TextFault::characters;
        blank = blank && !shows(c);
    }
    return blank && !rule.may_be_blank ? TextFault::blank : TextFault::none;
}

std::size_t count_beside_accents(std::string_view text) {
    std::size_t count = 0;
    while (!text.empty()) {
        if (!is_between(take(text), 0x300, 0x36F)) ++count;
    }
    return count;
}

std::string quoted(std::string_view text) {
    constexpr int max_code_points = 40;
    std::string shown = "\"";
    for (int i = 0; i < max_code_points && !text.empty(); ++i) {
        const std::string_view character = text;
        const bool refused = is_refused(take(text));
        shown += refused ? "\uFFFD" : character.substr(0, character.size() - text.size());
    }
    return shown + (text.empty() ? "\"" : "…\"");
}

}  // namespace app
