// Query strings: the bounds of each parameter, the forms of encoding, and what a fault is called.
#include "http/query.hpp"
#include "visitors/visitor.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;
using namespace std::string_literals;

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

struct Asked {
    std::string title;
    std::string query;
    PageQuestion question;
};
std::ostream& operator<<(std::ostream& out, const Asked& asked) { return out << asked.title; }

const std::vector<Asked> asked = {
    {"nothing", "", {20, std::nullopt, ""}},
    {"empty parts", "&&", {20, std::nullopt, ""}},
    {"empty parts around", "&limit=5&&before=7&", {5, 7, ""}},
    {"the least limit", "limit=1", {1, std::nullopt, ""}},
    {"the greatest limit", "limit=100", {100, std::nullopt, ""}},
    {"the first id", "before=1", {20, 1, ""}},
    {"the greatest id", "before=9223372036854775807", {20, 9223372036854775807, ""}},
    {"everything, in another order", "q=x&before=7&limit=3", {3, 7, "x"}},
    {"encoded digits", "limit=%31%30", {10, std::nullopt, ""}},
    {"an encoded name", "%6Cimi%74=5", {5, std::nullopt, ""}},
    {"one letter", "q=x", {20, std::nullopt, "x"}},
    {"50 letters", "q=" + repeated("x", 50), {20, std::nullopt, repeated("x", 50)}},
    {"50 emoji, in small digits", "q=" + repeated("%f0%9f%98%80", 50), {20, std::nullopt, repeated("😀", 50)}},
    {"a space, which is not trimmed", "q=+", {20, std::nullopt, " "}},
    {"spaces both ways", "q=+a%20b+", {20, std::nullopt, " a b "}},
    {"a plus", "q=1%2B1", {20, std::nullopt, "1+1"}},
    {"an equals sign", "q==", {20, std::nullopt, "="}},
    {"equals signs inside", "q=a=b=", {20, std::nullopt, "a=b="}},
    {"what separates, encoded", "q=%26%3D%23%3F%25", {20, std::nullopt, "&=#?%"}},
    {"what LIKE knows", "q=%25_%5C", {20, std::nullopt, "%_\\"}},
    {"UTF-8 as it is", "q=é😀", {20, std::nullopt, "é😀"}},
    {"a semicolon separates nothing", "q=a;limit=5", {20, std::nullopt, "a;limit=5"}},
    {"an accent on a space", "q=+%CC%81", {20, std::nullopt, " \u0301"}},
    {"an accent before a letter", "q=%CC%81e", {20, std::nullopt, "\u0301e"}},
    {"what stands beside the accents", "q=%CB%BF", {20, std::nullopt, "\u02FF"}},
    {"what stands on their other side", "q=%CD%B0", {20, std::nullopt, "\u0370"}},
    {"what no name may have", "q=%01%E2%80%AE%EF%BF%BF", {20, std::nullopt, "\x01\u202E\uFFFF"}},
};

struct Refused {
    std::string title;
    std::string query;
    std::string detail;
};
std::ostream& operator<<(std::ostream& out, const Refused& refused) { return out << refused.title; }

const std::string limit_rule = "limit must be a whole number from 1 to 100";
const std::string before_rule = "before must be a whole number from 1 to 9223372036854775807";
const std::string text_rule = "q must have 1 to 50 characters, none of them U+0000, not only accents";
const std::string text_encoding = "q is not percent-encoded UTF-8";
const std::string name_encoding = "A parameter's name is not percent-encoded UTF-8.";

const std::vector<Refused> refused = {
    {"limit 0", "limit=0", limit_rule},
    {"limit 101", "limit=101", limit_rule},
    {"a negative limit", "limit=-1", limit_rule},
    {"a limit with a plus", "limit=%2B5", limit_rule},
    {"a limit with a leading zero", "limit=05", limit_rule},
    {"a limit with a space before", "limit=+5", limit_rule},
    {"a limit with a space behind", "limit=5%20", limit_rule},
    {"a limit with a letter behind", "limit=5x", limit_rule},
    {"a limit with a fraction", "limit=5.0", limit_rule},
    {"a limit with an exponent", "limit=1e1", limit_rule},
    {"a limit in hexadecimal", "limit=0x10", limit_rule},
    {"a limit in other digits", "limit=%D9%A5", limit_rule},
    {"a limit with a NUL", "limit=5%00", limit_rule},
    {"a limit that is 1 in 32 bits", "limit=4294967297", limit_rule},
    {"a limit beyond 64 bits", "limit=18446744073709551621", limit_rule},
    {"a limit beyond every size", "limit=" + repeated("9", 400), limit_rule},
    {"an empty limit", "limit=", limit_rule},
    {"a limit without a value", "limit", limit_rule},
    {"before 0", "before=0", before_rule},
    {"before negative", "before=-1", before_rule},
    {"before with a leading zero", "before=007", before_rule},
    {"before beyond an id", "before=9223372036854775808", before_rule},
    {"before beyond every size", "before=" + repeated("9", 400), before_rule},
    {"an empty before", "before=", before_rule},
    {"an empty q", "q=", text_rule},
    {"a q without a value", "q", text_rule},
    {"51 letters", "q=" + repeated("x", 51), text_rule},
    {"51 emoji", "q=" + repeated("%F0%9F%98%80", 51), text_rule},
    {"an accent alone", "q=%CC%81", text_rule},
    {"the first and the last accent", "q=%CC%80%CD%AF", text_rule},
    {"50 accents", "q=" + repeated("%CC%88", 50), text_rule},
    {"a NUL", "q=a%00b", text_rule},
    {"a raw NUL", "q=a\0b"s, text_rule},
    {"a percent sign at the end", "q=a%", text_encoding},
    {"one digit behind a percent sign", "q=a%2", text_encoding},
    {"no digits behind a percent sign", "q=%zz", text_encoding},
    {"a letter as the second digit", "q=%4g", text_encoding},
    {"a percent sign twice", "q=%%41", text_encoding},
    {"a plus as a digit", "q=%+1", text_encoding},
    {"a minus as a digit", "q=%-1", text_encoding},
    {"0x as digits", "q=%0x41", text_encoding},
    {"an escape cut by the next parameter", "q=%4&limit=1", text_encoding},
    {"a byte that begins nothing", "q=%FF", text_encoding},
    {"a raw byte that begins nothing", "q=\xFF", text_encoding},
    {"a character that is cut", "q=%E2%82", text_encoding},
    {"overlong", "q=%C0%80", text_encoding},
    {"a surrogate", "q=%ED%A0%80", text_encoding},
    {"a broken escape in a number", "limit=%3", "limit is not percent-encoded UTF-8"},
    {"a broken escape in a name", "limi%7=5", name_encoding},
    {"invalid UTF-8 in a name", "%FF=5", name_encoding},
    {"limit twice", "limit=5&limit=5", "limit is there more than once"},
    {"before twice, apart", "before=5&q=a&before=6", "before is there more than once"},
    {"q twice, once encoded", "q=a&%71=b", "q is there more than once"},
    {"an unknown parameter", "x=1", R"(There is no parameter "x" here.)"},
    {"one without a value", "x", R"(There is no parameter "x" here.)"},
    {"one without a name", "=5", R"(There is no parameter "" here.)"},
    {"an equals sign alone", "limit=5&=", R"(There is no parameter "" here.)"},
    {"one beside a known one", "limit=5&offset=10", R"(There is no parameter "offset" here.)"},
    {"another path's", "days=30", R"(There is no parameter "days" here.)"},
    {"another case", "Limit=5", R"(There is no parameter "Limit" here.)"},
    {"a name that goes on", "limits=5", R"(There is no parameter "limits" here.)"},
    {"a name that goes on after a NUL", "limit%00=5", R"(There is no parameter "limit�" here.)"},
    {"a long name", repeated("x", 41), "There is no parameter \"" + repeated("x", 40) + "…\" here."},
    {"a question mark too many", "?limit=5", R"(There is no parameter "?limit" here.)"},
    {"the first fault of several", "limit=0&x=1&q=%", limit_rule},
};

BOOST_AUTO_TEST_SUITE(query_string_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(a_question_for_a_page_is_read, data::make(asked), sample) {
    const auto question = parse_page_question(sample.query);
    BOOST_REQUIRE(static_cast<bool>(question));
    BOOST_TEST(question->limit == sample.question.limit);
    BOOST_TEST(question->before.value_or(-1) == sample.question.before.value_or(-1));
    BOOST_TEST(question->text == sample.question.text);
}

BOOST_DATA_TEST_CASE(a_bad_question_for_a_page_is_a_400_that_says_why, data::make(refused), sample) {
    const auto question = parse_page_question(sample.query);
    BOOST_REQUIRE(!question);
    BOOST_TEST(question.error().status == 400);
    BOOST_TEST(question.error().type == "about:blank");
    BOOST_TEST(question.error().detail == sample.detail);
}

BOOST_AUTO_TEST_CASE(a_question_for_statistics_is_read) {
    BOOST_TEST(parse_stats_question("")->days == 30);
    BOOST_TEST(parse_stats_question("days=1")->days == 1);
    BOOST_TEST(parse_stats_question("days=366")->days == 366);
}

BOOST_AUTO_TEST_CASE(a_bad_question_for_statistics_is_a_400_that_says_why) {
    for (const char* query : {"days=0", "days=367", "days=-1", "days=", "days", "days=030", "days=1.5", "days=x",
                              "days=4294967297", "days=18446744073709551617"}) {
        const auto question = parse_stats_question(query);
        BOOST_REQUIRE(!question);
        BOOST_TEST(question.error().status == 400);
        BOOST_TEST(question.error().detail == "days must be a whole number from 1 to 366");
    }
    BOOST_TEST(parse_stats_question("days=1&days=1").error().detail == "days is there more than once");
    BOOST_TEST(parse_stats_question("limit=1").error().detail == R"(There is no parameter "limit" here.)");
}

BOOST_AUTO_TEST_CASE(a_path_without_parameters_refuses_all) {
    BOOST_TEST(!refuse_parameters(""));
    BOOST_TEST(!refuse_parameters("&"));
    const auto problem = refuse_parameters("limit=1");
    BOOST_REQUIRE(problem.has_value());
    BOOST_TEST(problem->status == 400);
    BOOST_TEST(problem->detail == R"(There is no parameter "limit" here.)");
}

BOOST_AUTO_TEST_CASE(the_next_link_keeps_limit_and_text) {
    BOOST_TEST(next_link({20, std::nullopt, ""}, 110) == "/api/visitors?limit=20&before=110");
    BOOST_TEST(next_link({1, 500, "a b"}, 9223372036854775807) ==
               "/api/visitors?limit=1&before=9223372036854775807&q=a%20b");
}

BOOST_DATA_TEST_CASE(the_next_link_asks_for_the_same_text, data::make(asked), sample) {
    const std::string link = next_link(sample.question, 42);
    const auto question = parse_page_question(std::string_view(link).substr(link.find('?') + 1));
    BOOST_REQUIRE(static_cast<bool>(question));
    BOOST_TEST(question->limit == sample.question.limit);
    BOOST_TEST(*question->before == 42);
    BOOST_TEST(question->text == sample.question.text);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
