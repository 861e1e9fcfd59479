// What stands between values and PostgreSQL's text: arguments, arrays, patterns, numbers, flags and times.
#include "sql/statement.hpp"

#include "lanes/connection.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;

struct Stamp {
    std::string timestamp;
    std::string time;  // empty: it is refused
};
std::ostream& operator<<(std::ostream& out, const Stamp& stamp) { return out << stamp.timestamp; }

const std::vector<Stamp> stamps = {
    {"2026-11-24 03:33:00.123456+00", "2026-11-24T03:33:00.123456Z"},
    {"2026-11-24 03:33:00.1234+00", "2026-11-24T03:33:00.123400Z"},
    {"2026-11-24 03:33:00+00", "2026-11-24T03:33:00.000000Z"},
    {"0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000000Z"},
    {"9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"},
    {"10000-01-01 00:00:00+00", ""},
    {"0044-03-15 00:00:00+00 BC", ""},
    {"infinity", ""},
    {"-infinity", ""},
    {"2026-11-24 03:33:00+01", ""},
    {"2026-11-24 03:33:00", ""},
    {"", ""},
};

struct Number {
    std::string text;
    bool is_number;
};
std::ostream& operator<<(std::ostream& out, const Number& number) { return out << '"' << number.text << '"'; }

const std::vector<Number> numbers = {{"0", true},
                                     {"-7", true},
                                     {"9223372036854775807", true},
                                     {"9223372036854775808", false},
                                     {"1.5", false},
                                     {"1 ", false},
                                     {"", false},
                                     {"t", false}};

BOOST_AUTO_TEST_SUITE(statement_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(a_time_is_written_by_rfc_3339_or_refused, data::make(stamps), stamp) {
    if (stamp.time.empty()) {
        BOOST_CHECK_THROW(time_of(stamp.timestamp), DatabaseError);
    } else {
        BOOST_TEST(time_of(stamp.timestamp).text == stamp.time);
    }
}

BOOST_DATA_TEST_CASE(a_number_is_one_or_refused, data::make(numbers), number) {
    if (number.is_number) {
        BOOST_TEST(std::to_string(number_of(number.text)) == number.text);
    } else {
        BOOST_CHECK_THROW(number_of(number.text), DatabaseError);
    }
}

BOOST_AUTO_TEST_CASE(a_flag_is_true_where_postgresql_says_so) {
    BOOST_TEST(flag_of("t"));
    BOOST_TEST(!flag_of("f"));
    BOOST_TEST(!flag_of(""));
}

BOOST_AUTO_TEST_CASE(an_argument_is_its_text_or_null) {
    const std::string text = "a";
    const std::optional<std::string> none;
    const std::optional<std::string> some = "b";
    BOOST_TEST(std::string(Argument(text).text()) == "a");
    BOOST_TEST(Argument(none).text() == nullptr);
    BOOST_TEST(std::string(Argument(some).text()) == "b");
    BOOST_TEST(std::string(Argument(std::numeric_limits<std::int64_t>::min()).text()) == "-9223372036854775808");
    BOOST_TEST(std::string(Argument(true).text()) == "t");
    BOOST_TEST(std::string(Argument(false).text()) == "f");
}

BOOST_AUTO_TEST_CASE(an_array_quotes_each_element_but_null) {
    BOOST_TEST(array(std::vector<std::string>{}) == "{}");
    BOOST_TEST(array(std::vector<std::string>{"", "a,b", "NULL", "\"\\"}) == R"({"","a,b","NULL","\"\\"})");
    const std::vector<int> numbers_to_7 = {1, 7};
    BOOST_TEST(array(numbers_to_7, [](int n) { return n == 7 ? std::optional<std::string>() : std::to_string(n); }) ==
               R"({"1",NULL})");
}

BOOST_AUTO_TEST_CASE(a_pattern_takes_what_like_knows_as_it_is) {
    BOOST_TEST(pattern_of("").empty());
    BOOST_TEST(pattern_of("a%_\\b") == R"(%a\%\_\\b%)");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
