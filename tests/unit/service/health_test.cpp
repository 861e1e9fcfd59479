// Health: the truth, and one question to the database however many ask.
#include "service/health.hpp"
#include "fake_exchange.hpp"
#include "lanes/fake_server.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <thread>

namespace {

using namespace app;

struct Fixture {
    Response ask() {
        const auto exchange = exchange_for({.method = "GET", .path = "/health"});
        health.push({{exchange}});
        return exchange->response();
    }
    void wait_until(int status) {
        while (ask().status != status) std::this_thread::yield();
    }

    FakeServer server;
    Log log{-1};
    Lanes lanes{log};
    HealthLane health{health_limits, health_limits.queue_max, server.connect(), lanes, check_health()};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(health_test, *boost::unit_test::timeout(20))

BOOST_AUTO_TEST_CASE(a_database_that_answers_is_ok) {
    Fixture it;
    it.wait_until(200);
    const Response response = it.ask();
    BOOST_TEST(body(response) == R"({"status":"OK"})");
    BOOST_TEST(header(response, "Cache-Control") == "no-store");
}

BOOST_AUTO_TEST_CASE(many_who_ask_cost_one_question_a_second) {
    Fixture it;
    it.wait_until(200);
    for (int i = 0; i < 500; ++i) it.ask();
    const auto calls = it.server.calls();
    BOOST_TEST(std::ranges::count(calls, "ping") < 10);
}

BOOST_AUTO_TEST_CASE(a_connection_that_ended_is_made_anew_within_the_check) {
    Fixture it;
    it.wait_until(200);
    for (int i = 0; i < 3; ++i) {
        it.server.close_connections();
        BOOST_TEST(it.ask().status == 200);
    }
    it.server.fail_next({DatabaseFault::lost});
    const auto pings = [&] {
        const auto calls = it.server.calls();
        return std::ranges::count(calls, "ping");
    };
    const auto before = pings();
    while (pings() == before) BOOST_TEST(it.ask().status == 200);
    BOOST_TEST(it.ask().status == 200);
}

BOOST_AUTO_TEST_CASE(a_database_that_is_away_is_a_503_that_says_so_and_comes_back) {
    Fixture it;
    it.wait_until(200);
    it.server.set_away(true);
    it.server.fail_next({DatabaseFault::lost});
    it.wait_until(503);
    const Response response = it.ask();
    BOOST_TEST(body(response).starts_with(R"({"status":"error","details":")"));
    BOOST_TEST(header(response, "Retry-After") == "1");
    it.server.set_away(false);
    it.wait_until(200);
}

BOOST_AUTO_TEST_SUITE_END()
