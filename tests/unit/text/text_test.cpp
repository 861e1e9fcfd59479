// Text: trimming, and the rule with its length and characters.
#include "text/text.hpp"

#include "encoded.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace app {

std::ostream& operator<<(std::ostream& out, TextFault fault) {
    constexpr const char* names[] = {"none", "length", "characters", "blank"};
    return out << names[static_cast<int>(fault)];
}

namespace {

namespace data = boost::unit_test::data;
constexpr TextRule rule{.code_points_max = 50};
using namespace std::string_literals;

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

struct Trimmed {
    std::string title;
    std::string text;
    std::string trimmed;
};
std::ostream& operator<<(std::ostream& out, const Trimmed& sample) { return out << sample.title; }

const std::vector<Trimmed> trimmed = {
    {"nothing", "", ""},
    {"a space alone", " ", ""},
    {"white space alone, of each length", " \u0085\u3000\n", ""},
    {"nothing to trim", "Ada", "Ada"},
    {"one letter", "A", "A"},
    {"one emoji", "😀", "😀"},
    {"before", "  Ada", "Ada"},
    {"after", "Ada\t\r\n", "Ada"},
    {"both", "\u00A0Ada\u2003", "Ada"},
    {"inside it stays", " Ada  Lovelace ", "Ada  Lovelace"},
    {"letters of two, three and four bytes at the ends", " é€😀 ", "é€😀"},
    {"a zero-width space is no white space", "\u200BAda\u200B", "\u200BAda\u200B"},
    {"a byte order mark is none", "\uFEFFAda", "\uFEFFAda"},
    {"a NUL is none", "\0Ada"s, "\0Ada"s},
    {"the Mongolian vowel separator is none since Unicode 6.3", "\u180EAda", "\u180EAda"},
    {"word joiner and Braille blank are none", "\u2060Ada\u2800", "\u2060Ada\u2800"},
};

struct Checked {
    std::string title;
    std::string name;
    TextFault fault = TextFault::none;
};
std::ostream& operator<<(std::ostream& out, const Checked& sample) { return out << sample.title; }

const std::vector<Checked> checked = {
    {"nothing", "", TextFault::length},
    {"one letter", "A", TextFault::none},
    {"50 letters", repeated("x", 50), TextFault::none},
    {"51 letters", repeated("x", 51), TextFault::length},
    {"50 emoji", repeated("😀", 50), TextFault::none},
    {"51 emoji", repeated("😀", 51), TextFault::length},
    {"25 letters with their accents apart", repeated("e\u0301", 25), TextFault::none},
    {"26 letters with their accents apart", repeated("e\u0301", 26), TextFault::length},
    {"a thousand letters", repeated("x", 1000), TextFault::length},
    {"NUL", "a\0b"s, TextFault::characters},
    {"a control character at the start",
     "\x01"
     "Ada",
     TextFault::characters},
    {"a control character at the end of 50", repeated("x", 49) + "\x1F", TextFault::characters},
    {"too long counts before a bad character", repeated("x", 50) + "\x1F", TextFault::length},
    {"an override", "a\u202Eb", TextFault::characters},
    {"an isolate", "a\u2067b", TextFault::characters},
    {"a line separator", "a\u2028b", TextFault::characters},
    {"a noncharacter of the first plane", "\uFFFF", TextFault::characters},
    {"a noncharacter of the last plane", "\U0010FFFE", TextFault::characters},
    {"joiners, for emoji and scripts that need them", "👨‍👩‍👧 نام‌ها", TextFault::none},
    {"marks of direction, which reach no further", "\u200EAda\u200F", TextFault::none},
    {"the replacement character", "\uFFFD", TextFault::none},
    {"private use", "\uE000", TextFault::none},
    {"markup", "<b>\"'&\\", TextFault::none},
    {"a byte that is not UTF-8", "a\xFF", TextFault::characters},
    {"a zero-width space alone", "\u200B", TextFault::blank},
    {"fifty of them", repeated("\u200B", 50), TextFault::blank},
    {"white space between them", "\u200B \u3000\u2060", TextFault::blank},
    {"Braille blanks and spaces", "\u2800 \u2800", TextFault::blank},
    {"a filler", "\u3164", TextFault::blank},
    {"a tag", "\U000E0041", TextFault::blank},
    {"one that shows at the end", "\u200B\u2800\u3164A", TextFault::none},
    {"one that shows at the start", "A\u200B", TextFault::none},
    {"a Braille letter", "\u2801", TextFault::none},
    {"an accent alone", "\u0301", TextFault::none},
    {"a hyphen", "-", TextFault::none},
    {"an emoji with its variation selector", "\u2764\uFE0F", TextFault::none},
    {"too long counts before blank", repeated("\u200B", 51), TextFault::length},
    {"an override counts before blank", "\u200B\u202E", TextFault::characters},
};

BOOST_AUTO_TEST_SUITE(text_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(white_space_at_both_ends_is_trimmed, data::make(trimmed), sample) {
    BOOST_TEST(trim(sample.text) == sample.trimmed);
}

BOOST_AUTO_TEST_CASE(white_space_is_what_unicode_says) {
    std::u32string found;
    for (char32_t c = 0; c <= code_point_max; ++c) {
        if (!is_surrogate(c) && trim(encoded(c)).empty()) found += c;
    }
    const std::u32string expected =
        U"\t\n\v\f\r "
        U"\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A"
        U"\u2028\u2029\u202F\u205F\u3000";
    BOOST_TEST((found == expected));
}

BOOST_DATA_TEST_CASE(a_name_is_checked, data::make(checked), sample) {
    BOOST_TEST(check_text(sample.name, rule) == sample.fault);
}

struct Range {
    std::string title;
    char32_t first, last;
    bool refused;
};
std::ostream& operator<<(std::ostream& out, const Range& range) { return out << range.title; }

// With their neighbours, for the bounds.
const std::vector<Range> ranges = {
    {"C0", 0x00, 0x1F, true},
    {"ASCII", 0x20, 0x7E, false},
    {"DEL and C1", 0x7F, 0x9F, true},
    {"all the rest of the two bytes", 0xA0, 0x7FF, false},
    {"up to the separators", 0x800, 0x2027, false},
    {"separators, embeddings and overrides", 0x2028, 0x202E, true},
    {"between overrides and isolates", 0x202F, 0x2065, false},
    {"isolates", 0x2066, 0x2069, true},
    {"up to the surrogates", 0x206A, 0xD7FF, false},
    {"from the surrogates on", 0xE000, 0xFDCF, false},
    {"noncharacters in the middle", 0xFDD0, 0xFDEF, true},
    {"from there to the plane's end", 0xFDF0, 0xFFFD, false},
    {"the first plane's last two", 0xFFFE, 0xFFFF, true},
    {"the second plane", 0x10000, 0x1FFFD, false},
    {"its last two", 0x1FFFE, 0x1FFFF, true},
    {"the last plane", 0x100000, 0x10FFFD, false},
    {"its last two", 0x10FFFE, 0x10FFFF, true},
};

BOOST_DATA_TEST_CASE(a_range_of_characters_is_refused_or_not, data::make(ranges), sample) {
    const auto expected = sample.refused ? TextFault::characters : TextFault::none;
    std::size_t wrong = 0;
    for (char32_t c = sample.first; c <= sample.last; ++c) wrong += check_text('a' + encoded(c), rule) != expected;
    BOOST_TEST(wrong == 0U);
}

// Unicode's Default_Ignorable_Code_Point and White_Space, less what is refused anyway, and the Braille blank.
BOOST_AUTO_TEST_CASE(what_does_not_show_is_what_unicode_says) {
    std::u32string found;
    for (char32_t c = 0; c < 0xE0000; ++c) {
        if (!is_surrogate(c) && check_text(encoded(c), rule) == TextFault::blank) found += c;
    }
    const std::u32string expected =
        U" \u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B\u180C\u180D\u180E\u180F"
        U"\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u200B\u200C\u200D\u200E\u200F"
        U"\u202F\u205F\u2060\u2061\u2062\u2063\u2064\u2065\u206A\u206B\u206C\u206D\u206E\u206F\u2800\u3000\u3164"
        U"\uFE00\uFE01\uFE02\uFE03\uFE04\uFE05\uFE06\uFE07\uFE08\uFE09\uFE0A\uFE0B\uFE0C\uFE0D\uFE0E\uFE0F"
        U"\uFEFF\uFFA0\uFFF0\uFFF1\uFFF2\uFFF3\uFFF4\uFFF5\uFFF6\uFFF7\uFFF8"
        U"\U0001BCA0\U0001BCA1\U0001BCA2\U0001BCA3"
        U"\U0001D173\U0001D174\U0001D175\U0001D176\U0001D177\U0001D178\U0001D179\U0001D17A";
    BOOST_TEST((found == expected));
    std::size_t tags = 0;
    for (char32_t c = 0xE0000; c <= code_point_max; ++c) tags += check_text(encoded(c), rule) == TextFault::blank;
    BOOST_TEST(tags == 0x1000U);
    BOOST_TEST(check_text(encoded(0xE0FFF), rule) == TextFault::blank);
}

BOOST_AUTO_TEST_CASE(a_noncharacter_is_one_in_every_plane) {
    std::size_t refused = 0;
    for (char32_t c = 0x10000; c <= code_point_max; ++c) {
        refused += check_text(encoded(c), rule) == TextFault::characters;
    }
    BOOST_TEST(refused == 2 * 16U);
}

BOOST_AUTO_TEST_CASE(a_clients_word_is_quoted_shortened_and_made_visible) {
    BOOST_TEST(quoted("") == R"("")");
    BOOST_TEST(quoted("a\"b") == R"("a"b")");
    BOOST_TEST(quoted("\0\x7F\u2028\U0010FFFF"s) == R"("����")");
    BOOST_TEST(quoted(repeated("😀", 40)) == '"' + repeated("😀", 40) + '"');
    BOOST_TEST(quoted(repeated("😀", 41)) == '"' + repeated("😀", 40) + "…\"");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
