// Entity tags: their form, that they tell bodies apart, and If-Match and If-None-Match by RFC 9110.
#include "http/etag.hpp"

#include <algorithm>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;

struct Condition {
    std::string title;
    std::string header;
    bool matches = false;
};
std::ostream& operator<<(std::ostream& out, const Condition& condition) { return out << condition.title; }

const std::string etag = R"("abc")";

const std::vector<Condition> conditions = {
    {"no header", "", false},
    {"the tag", R"("abc")", true},
    {"the tag, weak", R"(W/"abc")", true},
    {"another tag", R"("abd")", false},
    {"another tag, weak", R"(W/"abd")", false},
    {"an empty tag", R"("")", false},
    {"a tag that goes on", R"("abcd")", false},
    {"a tag that ends before", R"("ab")", false},
    {"other case", R"("ABC")", false},
    {"an asterisk", "*", true},
    {"an asterisk between blanks", " \t* ", true},
    {"a quoted asterisk", R"("*")", false},
    {"two asterisks", "**", false},
    {"an asterisk in a list", R"("x", *)", false},
    {"first of a list", R"("abc", "x")", true},
    {"last of a list", R"("x", W/"y","abc")", true},
    {"in a list without blanks", R"("x","abc","y")", true},
    {"in a list with many blanks", "\"x\" \t , \t\"abc\" ", true},
    {"not in a list", R"("x", "y")", false},
    {"empty elements", R"(, ,"x",, "abc",)", true},
    {"empty elements only", ", ,", false},
    {"blanks only", "  ", false},
    {"a tag with a comma in it", R"("x,y", "abc")", true},
    {"bytes of other scripts in a tag", "\"é\", \"abc\"", true},
    {"no quotes", "abc", false},
    {"a quote missing at the end", R"("abc)", false},
    {"a quote missing at the start", R"(abc")", false},
    {"a quote alone", "\"", false},
    {"single quotes", "'abc'", false},
    {"W/ alone", "W/", false},
};

// What If-Match judges otherwise: the absent, and what is no list.
const std::vector<Condition> matches = {
    {"no header", "", true},
    {"the tag", R"("abc")", true},
    {"the tag, weak", R"(W/"abc")", true},
    {"another tag", R"("abd")", false},
    {"another tag, weak", R"(W/"abd")", false},
    {"an empty tag", R"("")", false},
    {"a tag that goes on", R"("abcd")", false},
    {"a tag that ends before", R"("ab")", false},
    {"other case", R"("ABC")", false},
    {"an asterisk", "*", true},
    {"a quoted asterisk", R"("*")", false},
    {"two asterisks", "**", false},
    {"an asterisk in a list", R"("x", *)", false},
    {"an asterisk before a list", R"(*, "abc")", false},
    {"first of a list", R"("abc", "x")", true},
    {"last of a list", R"("x", W/"y","abc")", true},
    {"in a list without blanks", R"("x","abc","y")", true},
    {"in a list with many blanks", "\"x\" \t , \t\"abc\" ", true},
    {"not in a list", R"("x", "y")", false},
    {"empty elements", R"(, ,"x",, "abc",)", true},
    {"empty elements only", ", ,", false},
    {"blanks only", "  ", false},
    {"a tag with a comma in it", R"("x,y", "abc")", true},
    {"a tag with a blank in it", R"("x y", "abc")", true},
    {"bytes of other scripts in a tag", "\"é\", \"abc\"", true},
    {"no quotes", "abc", false},
    {"a quote missing at the end", R"("abc)", false},
    {"a quote missing at the start", R"(abc")", false},
    {"a quote alone", "\"", false},
    {"single quotes", "'abc'", false},
    {"W/ alone", "W/", false},
    {"W/ twice", R"(W/W/"abc")", false},
    {"W/ and a blank", R"(W/ "abc")", false},
    {"a lower-case w", R"(w/"abc")", false},
    {"run together with a tag before", R"("x""abc")", false},
    {"run together with a tag behind", R"("abc""x")", false},
    {"run together with a word", R"("abc"x)", false},
    {"behind a word", R"(x "abc")", false},
    {"between the quotes of others", R"("x,"abc",y")", false},
    {"before what is no tag", R"("abc", x)", true},
};

BOOST_AUTO_TEST_SUITE(etag_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(a_condition_is_compared, data::make(conditions), sample) {
    BOOST_TEST(if_none_match(sample.header, etag) == sample.matches);
}

BOOST_DATA_TEST_CASE(a_precondition_is_compared, data::make(matches), sample) {
    BOOST_TEST(if_match(sample.header, etag) == sample.matches);
}

BOOST_AUTO_TEST_CASE(a_tag_matches_itself) {
    for (const char* body : {"", "a", "{\"items\":[]}"}) {
        BOOST_TEST(if_none_match(strong_etag(body), strong_etag(body)));
        BOOST_TEST(if_match(strong_etag(body), strong_etag(body)));
    }
}

BOOST_AUTO_TEST_CASE(a_tag_is_16_hexadecimal_digits_in_quotes) {
    for (const char* body : {"", "a", "a body of more than eight bytes"}) {
        const std::string tag = strong_etag(body);
        BOOST_REQUIRE(tag.size() == 18U);
        BOOST_TEST((tag.front() == '"' && tag.back() == '"'));
        BOOST_TEST(tag.find_first_not_of("0123456789abcdef", 1) == 17U);
    }
}

BOOST_AUTO_TEST_CASE(bodies_that_differ_a_little_have_different_tags) {
    const std::string body =
        R"({"items":[{"id":129,"name":"Ada","created_at":"2026-11-24T03:33:00.123456Z"}],"total":1,"next":null})";
    std::set<std::string> tags{strong_etag(body)};
    std::size_t bodies = 1;
    for (std::size_t at = 0; at < body.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string other = body;
            other[at] = static_cast<char>(other[at] ^ 1 << bit);
            tags.insert(strong_etag(other));
            ++bodies;
        }
        tags.insert(strong_etag(body.substr(0, at)));
        ++bodies;
    }
    BOOST_TEST(tags.size() == bodies);
}

BOOST_AUTO_TEST_CASE(zeros_at_the_end_and_words_in_another_order_are_told_apart) {
    std::set<std::string> tags;
    for (std::size_t zeros = 0; zeros <= 64; ++zeros) tags.insert(strong_etag(std::string(zeros, '\0')));
    std::string words = "aaaaaaaabbbbbbbbccccccccdddddddd";
    BOOST_TEST(tags.size() == 65U);
    tags.clear();
    do {
        tags.insert(strong_etag(words));
    } while (std::next_permutation(words.begin(), words.begin() + 12));
    BOOST_TEST(tags.size() == 495U);  // of 12 letters, 8 equal and 4 equal
}

// Counting, as totals and ids do, is what bodies do most.
BOOST_AUTO_TEST_CASE(a_hundred_thousand_totals_have_different_tags) {
    std::set<std::string> tags;
    for (int total = 0; total < 100'000; ++total) {
        tags.insert(strong_etag(R"({"items":[],"total":)" + std::to_string(total) + '}'));
    }
    BOOST_TEST(tags.size() == 100'000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
