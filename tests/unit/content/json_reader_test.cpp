// Bodies with several members, each by its rule, in the order in which faults count.
#include "content/json_reader.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;

constexpr std::string_view colours[] = {"red", "green", "blue"};
constexpr JsonMember members[] = {
    {.name = "title", .rule = {.code_points_max = 5}, .is_required = true},
    {.name = "note",
     .rule = {.code_points_min = 0, .code_points_max = 8, .has_lines = true, .may_be_blank = true, .is_trimmed = false},
     .may_be_null = true},
    {.name = "colour", .rule = {}, .choices = colours},
};
constexpr JsonForm form{"An item", members, {"/problems/long", "/problems/odd"}};

struct Sample {
    std::string body;
    std::string texts;  // joined by '|', - for none; or what is wrong
    std::string type = "";
};
std::ostream& operator<<(std::ostream& out, const Sample& sample) { return out << sample.body; }

const std::vector<Sample> right = {
    {R"({"title":"a"})", "a|-|-"},
    {R"({"title":" a ","note":" b\n","colour":"red"})", "a| b\n|red"},
    {R"({"note":null,"title":"12345"})", "12345|-|-"},
    {R"({"title":"a","note":""})", "a||-"},
    {R"({"colour":"blue","title":"a","note":"12345678"})", "a|12345678|blue"},
};

const std::vector<Sample> wrong = {
    {"", "title is missing"},
    {"{}", "title is missing"},
    {R"({"title":null})", "title must not be null"},
    {R"({"title":""})", "title must have 1 to 5 characters", "/problems/long"},
    {R"({"title":"   "})", "title must have 1 to 5 characters", "/problems/long"},
    {R"({"title":"123456"})", "title must have 1 to 5 characters", "/problems/long"},
    {R"({"title":"\u200b"})", "title must have a character that shows", "/problems/odd"},
    {R"({"title":"a\nb"})",
     "title must not have control characters, line separators, changes of writing direction, lone surrogates or "
     "noncharacters",
     "/problems/odd"},
    {R"({"title":"a","note":"a\tb"})",
     "note must not have control characters but line feeds, line separators, changes of writing direction, lone "
     "surrogates or noncharacters",
     "/problems/odd"},
    {R"({"title":"a","note":"123456789"})", "note must have at most 8 characters", "/problems/long"},
    {R"({"title":"a","colour":"pink"})", "colour must be red, green or blue"},
    {R"({"title":"a","colour":null})", "colour must not be null"},
    {R"({"title":"a","colour":7})", "colour must be a string"},
    {R"({"title":"a","note":{"x":"y"}})", "note must be a string or null"},
    {R"({"title":1,"note":"a","note":"b"})", "note is there more than once"},
    {R"({"title":1,"other":2,"title":"a"})", "An item has no member \"other\"."},
    {R"(["title"])", "The body must be a JSON object."},
    {R"({"title":"a",})", "The body is not JSON."},
};

BOOST_AUTO_TEST_SUITE(json_reader_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(members_are_read_by_their_rules, data::make(right), sample) {
    const auto read = read_json_members(sample.body, form);
    BOOST_REQUIRE(static_cast<bool>(read));
    std::string joined;
    for (const JsonText& text : *read) joined += (&text == &read->front() ? "" : "|") + text.value_or("-");
    BOOST_TEST(joined == sample.texts);
}

BOOST_DATA_TEST_CASE(what_is_wrong_is_said_by_its_member, data::make(wrong), sample) {
    const auto read = read_json_members(sample.body, form);
    BOOST_REQUIRE(!read);
    BOOST_TEST(read.error().detail == sample.texts);
    BOOST_TEST(read.error().type == (sample.type.empty() ? "about:blank" : sample.type));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
