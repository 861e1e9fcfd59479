// The router: which path is of which form, what HTTP says of requests that have no route, and what a handler throws.
#include "http/router.hpp"

#include "fake_exchange.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;

struct Sample {
    std::string pattern;
    std::string path;
    bool matches;
    std::string values;  // joined by '|'
};
std::ostream& operator<<(std::ostream& out, const Sample& sample) {
    return out << sample.pattern << ' ' << sample.path;
}

const std::vector<Sample> samples = {
    {"/api", "/api", true, ""},
    {"/api", "/api/", false, ""},
    {"/api", "/ap", false, ""},
    {"/api", "/apis", false, ""},
    {"/api", "", false, ""},
    {"/api/items/{id}", "/api/items/7", true, "7"},
    {"/api/items/{id}", "/api/items/", false, ""},
    {"/api/items/{id}", "/api/items", false, ""},
    {"/api/items/{id}", "/api/items/7/", false, ""},
    {"/api/items/{id}", "/api/items/7/parts", false, ""},
    {"/api/items/{id}", "/api/items/{id}", true, "{id}"},
    {"/api/{a}/parts/{b}", "/api/x/parts/y.z", true, "x|y.z"},
    {"/api/{a}/parts/{b}", "/api//parts/y", false, ""},
    {"/api/{a}/parts/{b}", "/api/x/part/y", false, ""},
};

// What the routes of these tests have in common.
struct Service {
    Log& log;
};

void answer_with_values(const Service&, const ExchangePtr& exchange, const PathValues& values) {
    Response response;
    response.set_body(std::string(values.empty() ? "none" : values[0]));
    exchange->respond(response);
}

void fail(const Service&, const ExchangePtr&, const PathValues&) { throw std::runtime_error("secret"); }

Result<int> ask(const Service&, const Request& request, const PathValues&) {
    if (request.query.empty()) return 7;
    return Problem{.status = 400, .detail = "no"};
}

void act(const Service&, const ExchangePtr& exchange, int asked) { exchange->respond({.status = 200 + asked}); }

constexpr Route<Service> table[] = {
    {"GET", "/api/items/{id}", answer_with_values},
    {"DELETE", "/api/items/{id}", answer_with_values},
    {"GET", "/api/defect", fail},
    {"POST", "/api/items", ask_then_act<ask, act>},
};
constexpr std::span<const Route<Service>> routes = table;

Response answer_to(Request request) {
    Log log{-1};
    const auto exchange = exchange_for(std::move(request));
    route(routes, Service{log}, log, exchange);
    return exchange->response();
}

BOOST_AUTO_TEST_SUITE(router_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(a_path_is_of_a_form_or_not, data::make(samples), sample) {
    const auto values = match_path(sample.pattern, sample.path);
    BOOST_REQUIRE(values.has_value() == sample.matches);
    std::string joined;
    for (const auto value : values.value_or(PathValues())) joined.append(joined.empty() ? "" : "|").append(value);
    BOOST_TEST(joined == sample.values);
}

BOOST_AUTO_TEST_CASE(a_handler_gets_the_values_of_its_path) {
    BOOST_TEST(body(answer_to({.method = "GET", .path = "/api/items/12"})) == "12");
    BOOST_TEST(body(answer_to({.method = "HEAD", .path = "/api/items/12"})) == "12");
}

BOOST_AUTO_TEST_CASE(a_method_without_a_route_is_told_which_there_are) {
    const Response refused = answer_to({.method = "PUT", .path = "/api/items/12"});
    BOOST_TEST(refused.status == 405);
    BOOST_TEST(header(refused, "Allow") == "GET, HEAD, DELETE, OPTIONS");
    const Response options = answer_to({.method = "OPTIONS", .path = "/api/items/12"});
    BOOST_TEST(options.status == 204);
    BOOST_TEST(header(options, "Allow") == "GET, HEAD, DELETE, OPTIONS");
    BOOST_TEST(answer_to({.method = "OPTIONS", .path = "/api/none"}).status == 404);
    BOOST_TEST(answer_to({.method = "GET", .path = "/api/none"}).status == 404);
}

BOOST_AUTO_TEST_CASE(what_is_asked_is_done_or_refused) {
    BOOST_TEST(answer_to({.method = "POST", .path = "/api/items"}).status == 207);
    BOOST_TEST(answer_to({.method = "POST", .path = "/api/items", .query = "x"}).status == 400);
}

BOOST_AUTO_TEST_CASE(what_a_handler_throws_is_a_500_that_says_nothing_of_it) {
    const Response response = answer_to({.method = "GET", .path = "/api/defect"});
    BOOST_TEST(response.status == 500);
    BOOST_TEST(body(response).find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_list_has_a_line_for_each_route) {
    BOOST_TEST(list_of(routes) == "GET /api/items/{id}\nDELETE /api/items/{id}\nGET /api/defect\nPOST /api/items\n");
}

BOOST_AUTO_TEST_CASE(a_header_is_found_by_its_name) {
    const Request request{.headers = {{"IF_MATCH", "\"1\""}, {"CONTENT_TYPE", "text/plain"}}};
    BOOST_TEST(request.header("If-Match") == "\"1\"");
    BOOST_TEST(request.header("Content-Type") == "text/plain");
    BOOST_TEST(request.header("If-None-Match").empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
