// Text that people write and read: what of it can be shown, the rule that a member of a resource has for it, and how a
// client's own words are put into an answer. Knows nothing of HTTP or JSON. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace app {

// Bounds are in code points.
struct TextRule {
    std::size_t code_points_min = 1;
    std::size_t code_points_max = 0;
    bool has_lines = false;     // U+000A may be in it
    bool may_be_blank = false;  // it need not have a character that shows
    bool is_trimmed = true;     // white space at its ends does not belong to it
};

enum class TextFault {
    none,
    length,
    characters,  // one that no text may have
    blank,       // none that shows
};

// `text` without the Unicode white space at both ends.
std::string_view trim(std::string_view text);

// What is wrong with `text`, the length first; what is not UTF-8 is a fault of its characters.
TextFault check_text(std::string_view text, const TextRule& rule);

// Of `text`, what is left where accents are looked away from (U+0300 to U+036F), in code points.
std::size_t count_beside_accents(std::string_view text);

// A client's word to be shown in a sentence: in quotes, cut after 40 characters, U+FFFD for what no text may have.
std::string quoted(std::string_view text);

}  // namespace app
