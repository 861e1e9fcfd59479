// Strict UTF-8: every code point, and the ways to write none. Percent-encoding and escaping, there and back.
#include "text/encoding.hpp"

#include "encoded.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;
using namespace std::string_literals;

struct Text {
    std::string title;
    std::string text;
    std::size_t code_points = 0;
};
std::ostream& operator<<(std::ostream& out, const Text& text) { return out << text.title; }

const std::vector<Text> valid = {
    {"nothing", "", 0},
    {"ASCII", "Ada Lovelace", 12},
    {"NUL", "a\0b"s, 3},
    {"DEL", "\x7f", 1},
    {"U+0080, the first of two bytes", "\xC2\x80", 1},
    {"U+07FF, the last of two bytes", "\xDF\xBF", 1},
    {"U+0800, the first of three bytes", "\xE0\xA0\x80", 1},
    {"U+D7FF, before the surrogates", "\xED\x9F\xBF", 1},
    {"U+E000, after the surrogates", "\xEE\x80\x80", 1},
    {"U+FFFF, the last of three bytes", "\xEF\xBF\xBF", 1},
    {"U+10000, the first of four bytes", "\xF0\x90\x80\x80", 1},
    {"U+10FFFF, the last of all", "\xF4\x8F\xBF\xBF", 1},
    {"a byte order mark", "\xEF\xBB\xBF", 1},
    {"a letter and its accent", "e\xCC\x81", 2},
    {"a family of seven code points", "👨‍👩‍👧‍👦", 7},
    {"all lengths mixed", "aé€😀a", 5},
};

const std::vector<Text> invalid = {
    {"a continuation alone", "\x80"},
    {"the last continuation alone", "\xBF"},
    {"a continuation after ASCII", "abcdefgh\x80"},
    {"a continuation too many", "\xC2\x80\x80"},
    {"C0, overlong", "\xC0\x80"},
    {"C1, overlong", "\xC1\xBF"},
    {"three bytes for U+07FF", "\xE0\x9F\xBF"},
    {"four bytes for U+FFFF", "\xF0\x8F\xBF\xBF"},
    {"the first surrogate", "\xED\xA0\x80"},
    {"the last surrogate", "\xED\xBF\xBF"},
    {"a pair of surrogates", "\xED\xA0\xBD\xED\xB8\x80"},
    {"U+110000", "\xF4\x90\x80\x80"},
    {"U+1FFFFF", "\xF7\xBF\xBF\xBF"},
    {"five bytes", "\xF8\x88\x80\x80\x80"},
    {"six bytes", "\xFC\x84\x80\x80\x80\x80"},
    {"FE", "\xFE"},
    {"FF", "\xFF"},
    {"two bytes cut by the end", "a\xC3"},
    {"three bytes cut by the end", "\xE2\x82"},
    {"four bytes cut by the end", "\xF0\x9F\x98"},
    {"two bytes cut by a letter",
     "\xC3"
     "a"},
    {"three bytes cut by a letter",
     "\xE2\x82"
     "a"},
    {"four bytes cut by a letter",
     "\xF0\x9F\x98"
     "a"},
    {"three bytes cut by the next", "\xE2\x82\xC3\xA9"},
    {"Latin-1", "Jos\xE9"},
    {"a fault behind much that is right", "aé€😀 aé€😀 aé€😀\xFF"},
};

BOOST_AUTO_TEST_SUITE(encoding_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(valid_text_is_accepted_and_counted, data::make(valid), sample) {
    BOOST_TEST(is_utf8(sample.text));
    BOOST_TEST(count_code_points(sample.text) == sample.code_points);
}

BOOST_DATA_TEST_CASE(invalid_text_is_refused, data::make(invalid), sample) { BOOST_TEST(!is_utf8(sample.text)); }

BOOST_AUTO_TEST_CASE(every_code_point_but_the_surrogates_is_read_as_itself) {
    std::size_t wrong = 0;
    for (char32_t c = 0; c <= code_point_max; ++c) {
        const std::string text = encoded(c);
        if (is_utf8(text) == is_surrogate(c)) ++wrong;
        const std::string followed = text + "x";
        std::string_view rest = followed;
        const auto read = take_code_point(rest);
        if (read.has_value() == is_surrogate(c) || read.value_or(c) != c) ++wrong;
        if (followed.size() - rest.size() != (is_surrogate(c) ? 1 : text.size())) ++wrong;
    }
    BOOST_TEST(wrong == 0U);
}

// With the test above: these are the encodings of code points, and nothing else is accepted.
BOOST_AUTO_TEST_CASE(there_are_as_many_texts_of_one_character_as_code_points) {
    std::size_t ones = 0, twos = 0, threes = 0;
    for (unsigned first = 0; first < 0x100; ++first) {
        std::string text(1, static_cast<char>(first));
        ones += is_utf8(text);
        for (unsigned second = 0; second < 0x100 && first >= 0x80; ++second) {
            text = {static_cast<char>(first), static_cast<char>(second)};
            twos += is_utf8(text);
            for (unsigned third = 0; third < 0x100 && first >= 0xE0; ++third) {
                threes += is_utf8(text + static_cast<char>(third));
            }
        }
    }
    BOOST_TEST(ones == 0x80U);
    BOOST_TEST(twos == 0x800U - 0x80U);
    BOOST_TEST(threes == 0x10000U - 0x800U - 0x800U);  // all but those of two bytes and the surrogates
}

BOOST_AUTO_TEST_CASE(of_four_bytes_only_the_second_depends_on_the_first) {
    std::size_t fours = 0;
    for (unsigned first = 0xF0; first < 0x100; ++first) {
        for (unsigned second = 0; second < 0x100; ++second) {
            for (const char third : "\x7F\x80\xBF\xC0"s) {
                for (const char fourth : "\x7F\x80\xBF\xC0"s) {
                    const std::string text{static_cast<char>(first), static_cast<char>(second), third, fourth};
                    fours += is_utf8(text);
                }
            }
        }
    }
    BOOST_TEST(fours == (0x30U + 3 * 0x40U + 0x10U) * 2 * 2);
}

BOOST_AUTO_TEST_CASE(a_text_is_read_to_its_end) {
    std::string_view rest = "aé€😀";
    std::u32string read;
    while (!rest.empty()) read += take_code_point(rest).value();
    BOOST_TEST((read == U"aé€😀"));
}

BOOST_AUTO_TEST_CASE(one_byte_is_taken_of_what_is_not_utf8) {
    std::string_view rest =
        "\xE2\x82"
        "é";
    BOOST_TEST(!take_code_point(rest));
    BOOST_TEST(!take_code_point(rest));
    BOOST_TEST((take_code_point(rest) == U'é'));
    BOOST_TEST(rest.empty());
}

BOOST_AUTO_TEST_CASE(what_is_special_is_escaped) {
    BOOST_TEST(escaped("", "\"", '\\').empty());
    BOOST_TEST(escaped("a b", "\"", '\\') == "a b");
    BOOST_TEST(escaped("50%_\\é", "\\%_", '\\') == "50\\%\\_\\\\é");
    BOOST_TEST(escaped("\"a\"", "\"", '"') == "\"\"a\"\"");
    BOOST_TEST(escaped("a\0b"s, "\0"s, '!') == "a!\0b"s);
}

BOOST_AUTO_TEST_CASE(only_unreserved_characters_stay) {
    const std::string unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string stayed;
    for (int byte = 0; byte < 0x100; ++byte) {
        const std::string one(1, static_cast<char>(byte));
        if (percent_encoded(one) == one) stayed += one;
    }
    BOOST_TEST(percent_encoded(unreserved) == unreserved);
    BOOST_TEST(stayed.size() == unreserved.size());
}

BOOST_AUTO_TEST_CASE(bytes_are_encoded_in_capital_digits) {
    BOOST_TEST(percent_encoded(" \xC3\xA9\xFF%") == "%20%C3%A9%FF%25");
}

BOOST_AUTO_TEST_CASE(what_is_to_be_kept_is_kept) { BOOST_TEST(percent_encoded("/a?b", "/") == "/a%3Fb"); }

BOOST_AUTO_TEST_CASE(every_text_comes_back) {
    std::string all = "éЖ漢\U0001F600\U0010FFFF";
    for (int byte = 0; byte < 0x80; ++byte) all += static_cast<char>(byte);
    BOOST_TEST(form_decoded(percent_encoded(all)).value() == all);
}

BOOST_AUTO_TEST_CASE(what_is_no_utf8_once_decoded_is_refused) {
    for (const char* text : {"%FF", "a%C3", "%C3%28", "\xC3", "%ED%A0%80"}) BOOST_TEST(!form_decoded(text).has_value());
}

BOOST_AUTO_TEST_CASE(digits_of_both_cases_and_the_plus_are_decoded) {
    BOOST_TEST(form_decoded("%c3%A9+%2b+").value() == "é + ");
    BOOST_TEST(form_decoded("").value().empty());
}

BOOST_AUTO_TEST_CASE(a_percent_sign_without_two_digits_is_refused) {
    for (const char* text : {"%", "%4", "a%", "a%4", "%%41", "%4g", "%g4", "% 4", "%+4", "%-4", "%0x41", "%41%"}) {
        BOOST_TEST(!form_decoded(text).has_value());
    }
}

BOOST_AUTO_TEST_CASE(a_digit_behind_the_text_does_not_count) {
    const std::string_view whole = "%41%42";
    BOOST_TEST(!form_decoded(whole.substr(0, 1)).has_value());
    BOOST_TEST(!form_decoded(whole.substr(0, 2)).has_value());
    BOOST_TEST(!form_decoded(whole.substr(0, 5)).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
