// Log lines: their shape, and that what a client sent cannot break one.
#include "log.hpp"

#include <unistd.h>
#include <array>
#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(log_test, *boost::unit_test::timeout(10))

BOOST_AUTO_TEST_CASE(a_line_is_one_json_object_with_its_time_first) {
    const std::string line = app::log_line("info", "visitor_added", {{"request_id", "r"}, {"id", 7}, {"none", ""}});
    const std::size_t time_end = sizeof R"({"time":"2026-11-24T03:33:00.123456Z")" - 1;
    BOOST_TEST(line.substr(time_end) ==
               ",\"level\":\"info\",\"event\":\"visitor_added\",\"request_id\":\"r\",\"id\":7}\n");
    BOOST_TEST(line.starts_with("{\"time\":\"20"));
    BOOST_TEST(line.substr(time_end - 2, 2) == "Z\"");
}

BOOST_AUTO_TEST_CASE(a_value_cannot_end_its_line_or_its_string) {
    const std::string line = app::log_line("info", "e", {{"reason", "a\"b\\c\nd\x01\xff"}});
    BOOST_TEST(line.ends_with(",\"reason\":\"a\\\"b\\\\c\\u000ad\\u0001\xef\xbf\xbd\"}\n"));
}

BOOST_AUTO_TEST_CASE(lines_are_written_to_the_descriptor) {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::pipe(ends.data()) == 0);
    app::Log log(ends[1]);
    log.write("one\ntwo\n");
    std::array<char, 16> text{};
    BOOST_TEST(::read(ends[0], text.data(), text.size()) == 8);
    for (const int end : ends) ::close(end);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_written_stops_nobody) {
    app::Log log(-1);
    log.error("nobody_hears_it", {});
}

BOOST_AUTO_TEST_SUITE_END()
