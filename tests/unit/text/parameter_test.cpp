// Numbers as text: which are taken, and where they are kept.
#include "text/parameter.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;
using namespace std::string_literals;

BOOST_AUTO_TEST_SUITE(parameter)

const std::vector<std::string> numbers = {"-9223372036854775808", "-1", "0", "1", "42", "9223372036854775807"};

BOOST_DATA_TEST_CASE(a_number_is_taken_as_it_would_be_written, data::make(numbers), text) {
    constexpr std::numeric_limits<std::int64_t> limits;
    BOOST_TEST(parse_number(text, limits.min(), limits.max()).value() == std::stoll(text));
}

const std::vector<std::string> others = {
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999",
    "",
    "00",
    "01",
    "-0",
    "-01",
    "+1",
    " 1",
    "1 ",
    "1x",
    "x",
    "-",
    "1.0",
    "0x1",
    "1e3",
    "1\0"s,
    "１",
    "%31",
};

BOOST_DATA_TEST_CASE(anything_else_is_none, data::make(others), text) {
    constexpr std::numeric_limits<std::int64_t> limits;
    BOOST_TEST(!parse_number(text, limits.min(), limits.max()));
}

BOOST_AUTO_TEST_CASE(a_number_beyond_its_bounds_is_not_taken) {
    BOOST_TEST(!parse_number("9", 10, 20));
    BOOST_TEST(parse_number("10", 10, 20).value() == 10);
    BOOST_TEST(parse_number("20", 10, 20).value() == 20);
    BOOST_TEST(!parse_number("21", 10, 20));
}

BOOST_AUTO_TEST_CASE(a_whole_number_is_kept_and_a_wrong_one_leaves_what_was_there) {
    std::chrono::milliseconds kept{7};
    const Parameter number = whole_number("wait", kept, 1, 100);
    BOOST_TEST(!number.keep("101"));
    BOOST_TEST(kept.count() == 7);
    BOOST_TEST(number.keep("100"));
    BOOST_TEST(kept.count() == 100);
    BOOST_TEST(number.rule == "must be a whole number from 1 to 100");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
