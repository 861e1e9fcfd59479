// Percent-encoding, there and back.
#include "percent.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

namespace app {
namespace {

std::string encoded(std::string_view text, std::string_view kept = {}) {
    std::string out;
    append_percent_encoded(out, text, kept);
    return out;
}

BOOST_AUTO_TEST_SUITE(percent_test, *boost::unit_test::timeout(5))

BOOST_AUTO_TEST_CASE(only_unreserved_characters_stay) {
    const std::string unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string stayed;
    for (int byte = 0; byte < 0x100; ++byte) {
        const std::string one(1, static_cast<char>(byte));
        if (encoded(one) == one) stayed += one;
    }
    BOOST_TEST(encoded(unreserved) == unreserved);
    BOOST_TEST(stayed.size() == unreserved.size());
}

BOOST_AUTO_TEST_CASE(bytes_are_encoded_in_capital_digits) {
    BOOST_TEST(encoded(" \xC3\xA9\xFF%") == "%20%C3%A9%FF%25");
}

BOOST_AUTO_TEST_CASE(what_is_to_be_kept_is_kept) { BOOST_TEST(encoded("/a?b", "/") == "/a%3Fb"); }

BOOST_AUTO_TEST_CASE(it_is_appended) {
    std::string out = "q=";
    append_percent_encoded(out, "a b");
    BOOST_TEST(out == "q=a%20b");
}

BOOST_AUTO_TEST_CASE(every_byte_comes_back) {
    std::string all;
    for (int byte = 0; byte < 0x100; ++byte) all += static_cast<char>(byte);
    BOOST_TEST(form_decoded(encoded(all)).value() == all);
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
