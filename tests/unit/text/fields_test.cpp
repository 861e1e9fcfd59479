// Members said once: how a value is written as JSON and as CSV by them.
#include "text/fields.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace app {
namespace {

struct Item {
    std::int64_t id = 0;
    std::string text;
    Time at;
};
constexpr auto item_fields = fields(Field{"id", &Item::id}, Field{"text", &Item::text}, Field{"at", &Item::at});
constexpr auto short_fields = fields(Field{"text", &Item::text});

const Item item{7, "a \"b\", c", {"2026-11-24T03:33:00.123456Z"}};

BOOST_AUTO_TEST_SUITE(fields_test, *boost::unit_test::timeout(5))

BOOST_AUTO_TEST_CASE(json_has_the_members_in_their_order) {
    BOOST_TEST(json_of(item, item_fields) == R"({"id":7,"text":"a \"b\", c","at":"2026-11-24T03:33:00.123456Z"})");
    BOOST_TEST(json_of(item, short_fields) == R"({"text":"a \"b\", c"})");
}

BOOST_AUTO_TEST_CASE(an_array_has_each_value_and_none_is_one_too) {
    BOOST_TEST(json_array(std::vector<Item>{}, item_fields) == "[]");
    BOOST_TEST(json_array(std::vector<Item>{{1, "x", {}}}, short_fields) == R"([{"text":"x"}])");
    BOOST_TEST(json_array(std::vector<Item>{{1, "x", {}}, {2, "y", {}}}, short_fields) ==
               R"([{"text":"x"},{"text":"y"}])");
}

BOOST_AUTO_TEST_CASE(json_is_appended) {
    std::string json = "before ";
    append_json(json, item, short_fields);
    BOOST_TEST(json == R"(before {"text":"a \"b\", c"})");
}

BOOST_AUTO_TEST_CASE(csv_has_the_members_in_their_order) {
    std::string csv = csv_header(item_fields);
    append_csv(csv, item, item_fields);
    append_csv(csv, Item{-1, "plain", {"t"}}, item_fields);
    BOOST_TEST(csv == "id,text,at\r\n7,\"a \"\"b\"\", c\",2026-11-24T03:33:00.123456Z\r\n-1,plain,t\r\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
