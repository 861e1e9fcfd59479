// Settings: each limit at its bounds and beyond, and the names in the complaints.
#include "config.hpp"

#include <unistd.h>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <fstream>
#include <ostream>

namespace {

struct Bounds {
    const char* name;
    long least;
    long most;
};
std::ostream& operator<<(std::ostream& out, const Bounds& row) { return out << row.name; }

const std::vector<Bounds> numbers{
    {"APP_THREADS", 1, 64},
    {"APP_CONNECTIONS_MAX", 16, 4096},
    {"APP_QUEUE_MAX", 1, 65'536},
    {"APP_BATCH_MAX_ROWS", 1, 1000},
    {"APP_REQUEST_READ_MS", 50, 10'000},
    {"APP_QUEUE_WAIT_MS", 100, 10'000},
    {"APP_DATABASE_CALL_MS", 100, 15'000},
    {"APP_DRAIN_MS", 0, 14'000},
};

std::string complaint(const app::Environment& environment) {
    try {
        app::parse_config(environment);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(config_test, *boost::unit_test::timeout(10))

BOOST_DATA_TEST_CASE(each_number_is_taken_within_its_bounds_and_refused_by_name_beyond,
                     boost::unit_test::data::make(numbers), row) {
    for (const long good : {row.least, row.most}) BOOST_TEST(complaint({{row.name, std::to_string(good)}}) == "");
    for (const std::string& bad : {std::to_string(row.least - 1), std::to_string(row.most + 1), std::string("1x"),
                                   std::string(" 1"), std::string("1.5"), std::string("99999999999999999999")}) {
        BOOST_TEST(complaint({{row.name, bad}}) == std::string(row.name) + "=" + bad +
                                                       ": must be a whole number from " + std::to_string(row.least) +
                                                       " to " + std::to_string(row.most));
    }
}

BOOST_AUTO_TEST_CASE(what_is_on_or_off_is_nothing_else) {
    BOOST_TEST(app::parse_config({{"APP_REPLICATED", "on"}}).is_replicated);
    BOOST_TEST(!app::parse_config({{"APP_REPLICATED", "off"}}).is_replicated);
    for (const char* bad : {"yes", "ON", "1", "on "})
        BOOST_TEST(complaint({{"APP_REPLICATED", bad}}) ==
                   "APP_REPLICATED=" + std::string(bad) + ": must be on or off");
}

BOOST_AUTO_TEST_CASE(nothing_set_is_every_default) {
    const app::Config config = app::parse_config({});
    BOOST_TEST(config.server.threads == 2);
    BOOST_TEST(config.server.drain_max_ms.count() == 14'000);
    BOOST_TEST(config.listen == "127.0.0.1:9000");
    BOOST_TEST(config.admin_token.empty());
}

BOOST_AUTO_TEST_CASE(an_empty_value_is_none) {
    BOOST_TEST(app::parse_config({{"APP_THREADS", ""}}).server.threads == 2);
}

BOOST_AUTO_TEST_CASE(a_process_has_time_to_end_whatever_is_set) {
    app::Environment longest{
        {"APP_DRAIN_MS", "4000"}, {"APP_QUEUE_WAIT_MS", "2000"}, {"APP_DATABASE_CALL_MS", "12000"}};
    BOOST_TEST(app::parse_config(longest).server.drain_max_ms.count() == 4000);
    longest["APP_DRAIN_MS"] = "4001";
    BOOST_TEST(complaint(longest) ==
               "APP_DRAIN_MS, APP_QUEUE_WAIT_MS and APP_DATABASE_CALL_MS: must be 18000 together at most");
}

BOOST_AUTO_TEST_CASE(addresses_are_checked) {
    for (const char* good : {"0.0.0.0:9000", "app:65535", "unix:/run/app.sock"}) {
        BOOST_TEST(app::parse_config({{"APP_LISTEN", good}}).listen == good);
    }
    for (const char* bad : {"9000", ":9000", "host:", "host:0", "host:65536", "unix:", "unix:relative"}) {
        BOOST_TEST(complaint({{"APP_LISTEN", bad}}).starts_with("APP_LISTEN="));
    }
}

BOOST_AUTO_TEST_CASE(the_log_s_file_is_an_absolute_path) {
    BOOST_TEST(app::parse_config({}).log_file == "");
    BOOST_TEST(app::parse_config({{"APP_LOG_FILE", ""}}).log_file == "");
    BOOST_TEST(app::parse_config({{"APP_LOG_FILE", "/log/a b.log"}}).log_file == "/log/a b.log");
    BOOST_TEST(complaint({{"APP_LOG_FILE", "a.log"}}) == "APP_LOG_FILE=a.log: must be an absolute path");
}

BOOST_AUTO_TEST_CASE(every_fault_is_named_at_once) {
    BOOST_TEST(complaint({{"APP_THREADS", "0"}, {"APP_THREAD", "4"}, {"PATH", "/bin"}}) ==
               "APP_THREADS=0: must be a whole number from 1 to 64\nAPP_THREAD: there is no such setting");
}

BOOST_AUTO_TEST_CASE(the_admin_token_is_the_files_text_without_one_newline) {
    const std::string path = "/tmp/config_test." + std::to_string(::getpid());
    for (const char* good : {"!to.ken~", "!to.ken~\n"}) {
        std::ofstream(path) << good;
        BOOST_TEST(app::parse_config({{"ADMIN_TOKEN_FILE", path}}).admin_token == "!to.ken~");
    }
    for (const std::string& bad :
         {std::string("to ken"), std::string(" token"), std::string("token \n"), std::string("token\r\n"),
          std::string("token\n\n"), std::string("\n\n"), std::string("to\nken\n"), std::string("to\0ken", 6),
          std::string("token\x7f"), std::string("tok\xc3\xa9n")}) {
        std::ofstream(path) << bad;
        BOOST_TEST(complaint({{"ADMIN_TOKEN_FILE", path}}) ==
                   "ADMIN_TOKEN_FILE=" + path +
                       ": must hold a token of visible ASCII characters (! to ~) and at most one newline behind it");
    }
    std::ofstream(path, std::ios::trunc) << "\n";
    BOOST_TEST(complaint({{"ADMIN_TOKEN_FILE", path}}) == "ADMIN_TOKEN_FILE: " + path + " is empty");
    BOOST_TEST(complaint({{"ADMIN_TOKEN_FILE", "/"}}) == "ADMIN_TOKEN_FILE: / cannot be read");
    std::remove(path.c_str());
    BOOST_TEST(complaint({{"ADMIN_TOKEN_FILE", path}}) == "ADMIN_TOKEN_FILE: " + path + " cannot be read");
}

BOOST_AUTO_TEST_SUITE_END()
