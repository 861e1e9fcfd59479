// The handlers through the router on a database in memory: which request gets which status, headers and body.
#include "visitors/handlers.hpp"
#include "fake_exchange.hpp"
#include "http/limits.hpp"
#include "http/router.hpp"
#include "version.hpp"
#include "visitors/fake_book.hpp"
#include "visitors/store.hpp"

#include <unistd.h>
#include <array>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>

namespace {

using namespace app;

const std::string token = "s3cret";

struct Service {
    explicit Service(int log_fd = -1)
        : log(log_fd),
          store({}, 256, {server.connect(), server.connect(), server.connect()}, lanes, log),
          service{store, token, visitor_index(version), log} {
        while (ask({.method = "POST", .path = "/api/visitors"}).status != 201) std::this_thread::yield();
        for (const char* query : {"", "before=9", "q=a"}) {
            while (ask({.method = "GET", .path = "/api/visitors", .query = query}).status != 200)
                std::this_thread::yield();
        }
    }
    Response ask(Request request) {
        const auto exchange = exchange_for(std::move(request));
        route(visitor_routes(), service, log, exchange);
        return exchange->response();
    }

    FakeBookServer server;
    Log log;
    Lanes lanes{log};
    Store store;
    VisitorService service;
};

struct Row {
    const char* title;
    Request request;
    int status;
    const char* header_name = nullptr;
    const char* header_value = nullptr;
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.title; }

Request post(std::string body, std::string content_type = "application/json") {
    return {.method = "POST",
            .path = "/api/visitors",
            .headers = {{"Content-Type", std::move(content_type)}},
            .body = std::move(body)};
}
Request with_key(std::string key) {
    Request request = post("{}");
    request.headers.emplace_back("Idempotency-Key", std::move(key));
    return request;
}
Request from_site(std::string site, std::string method = "POST", std::string path = "/api/visitors") {
    return {.method = std::move(method),
            .path = std::move(path),
            .headers = {{"Authorization", "Bearer " + token}, {"Sec-Fetch-Site", std::move(site)}}};
}
Request as_admin(std::string method, std::string path, std::string authorization) {
    return {
        .method = std::move(method), .path = std::move(path), .headers = {{"Authorization", std::move(authorization)}}};
}

// The fixture's own visitor, 1, was added without a key.
Request take_back(std::string path, std::string key, std::string authorization = {}) {
    return {.method = "DELETE",
            .path = std::move(path),
            .headers = {{"Idempotency-Key", std::move(key)}, {"Authorization", std::move(authorization)}}};
}

Request delete_if(std::string path, std::string if_match) {
    return {.method = "DELETE",
            .path = std::move(path),
            .headers = {{"If-Match", std::move(if_match)}, {"Authorization", "Bearer " + token}}};
}

const std::vector<Row> rows{
    {"the index", {.method = "GET", .path = "/api"}, 200, "Content-Type", "application/json"},
    {"the index takes no parameters", {.method = "GET", .path = "/api", .query = "a=b"}, 400},
    {"a page", {.method = "GET", .path = "/api/visitors"}, 200, "Cache-Control", "no-cache"},
    {"a page's HEAD", {.method = "HEAD", .path = "/api/visitors"}, 200, "Content-Type", "application/json"},
    {"a page with a wrong parameter", {.method = "GET", .path = "/api/visitors", .query = "limit=0"}, 400},
    {"one visitor", {.method = "GET", .path = "/api/visitors/1"}, 200},
    {"a visitor who is not there",
     {.method = "GET", .path = "/api/visitors/99"},
     404,
     "Content-Type",
     "application/problem+json"},
    {"an id that is no number", {.method = "GET", .path = "/api/visitors/one"}, 404},
    {"an id of nought", {.method = "GET", .path = "/api/visitors/0"}, 404},
    {"an id with a sign", {.method = "GET", .path = "/api/visitors/+1"}, 404},
    {"an id past 2^63", {.method = "GET", .path = "/api/visitors/9223372036854775808"}, 404},
    {"no id", {.method = "GET", .path = "/api/visitors/"}, 404},
    {"a path below a visitor", {.method = "GET", .path = "/api/visitors/1/name"}, 404},
    {"any other path", {.method = "GET", .path = "/api/nothing"}, 404},
    {"stats", {.method = "GET", .path = "/api/stats"}, 200},
    {"stats of too many days", {.method = "GET", .path = "/api/stats", .query = "days=367"}, 400},
    {"a wrong method", {.method = "PUT", .path = "/api/visitors"}, 405, "Allow", "GET, HEAD, POST, OPTIONS"},
    {"a wrong method on one visitor",
     {.method = "POST", .path = "/api/visitors/1"},
     405,
     "Allow",
     "GET, HEAD, DELETE, OPTIONS"},
    {"OPTIONS", {.method = "OPTIONS", .path = "/api/stats"}, 204, "Allow", "GET, HEAD, OPTIONS"},
    {"OPTIONS of no path", {.method = "OPTIONS", .path = "/api/nothing"}, 404},
    {"an addition without a body", {.method = "POST", .path = "/api/visitors"}, 201, "Location", "/api/visitors/2"},
    {"an addition with a name", post(R"({"name":"Ada"})"), 201, "Content-Type", "application/json"},
    {"an addition is not to be stored", post("{}"), 201, "Cache-Control", "no-store"},
    {"a media type with its charset", post("{}", "Application/JSON; charset=UTF-8"), 201},
    {"a quoted charset", post("{}", "application/json;charset=\"utf-8\""), 201},
    {"another charset", post("{}", "application/json; charset=latin1"), 415, "Accept-Post", "application/json"},
    {"another media type", post("{}", "text/plain"), 415},
    {"no media type", post("{}", ""), 415},
    {"a body that is not JSON", post("{"), 400},
    {"JSON that is no visitor", post("[]"), 422},
    {"a body of the largest size", post("{}" + std::string(visitor_body_max_bytes - 2, ' ')), 201},
    {"a body of one byte more", post("{}" + std::string(visitor_body_max_bytes - 1, ' ')), 413},
    {"a key of the largest size", with_key(std::string(idempotency_key_max_bytes, 'k')), 201},
    {"a key of one byte more", with_key(std::string(idempotency_key_max_bytes + 1, 'k')), 400},
    {"a key with a space", with_key("a b"), 400},
    {"a key beyond ASCII", with_key("k\xc3\xa9"), 400},
    {"a key with a control character", with_key("k\x7f"), 400},
    {"an addition with a parameter", {.method = "POST", .path = "/api/visitors", .query = "a=b"}, 400},
    {"a page of this site", from_site("same-origin"), 201},
    {"a person's own request", from_site("none"), 201},
    {"another site's page", from_site("cross-site"), 403},
    {"a sibling site's page", from_site("same-site"), 403},
    {"another site's deletion", from_site("cross-site", "DELETE", "/api/visitors/1"), 403},
    {"another site's reading", from_site("cross-site", "GET", "/api/visitors"), 200},
    {"a deletion without the token", as_admin("DELETE", "/api/visitors/1", ""), 401, "WWW-Authenticate", "Bearer"},
    {"a deletion with a wrong token", as_admin("DELETE", "/api/visitors/1", "Bearer s3creT"), 401},
    {"a token and more", as_admin("DELETE", "/api/visitors/1", "Bearer s3cret2"), 401},
    {"a part of the token", as_admin("DELETE", "/api/visitors/1", "Bearer s3cre"), 401},
    {"the token twice", as_admin("DELETE", "/api/visitors/1", "Bearer s3crets3cret"), 401},
    {"an empty token", as_admin("DELETE", "/api/visitors/1", "Bearer "), 401},
    {"another scheme", as_admin("DELETE", "/api/visitors/1", "Basic s3cret"), 401},
    {"the scheme in other letters", as_admin("DELETE", "/api/visitors/99", "bearer s3cret"), 404},
    {"a deletion", as_admin("DELETE", "/api/visitors/1", "Bearer s3cret"), 204},
    {"a page that has another tag",
     {.method = "GET", .path = "/api/visitors", .headers = {{"If-Match", "\"x\""}}},
     412},
    {"a page's HEAD that has another tag",
     {.method = "HEAD", .path = "/api/visitors", .headers = {{"If-Match", "\"x\""}}},
     412},
    {"stats that have another tag", {.method = "GET", .path = "/api/stats", .headers = {{"If-Match", "\"x\""}}}, 412},
    {"a visitor that has another tag",
     {.method = "GET", .path = "/api/visitors/1", .headers = {{"If-Match", "\"x\""}}},
     412},
    {"a visitor that has a tag", {.method = "GET", .path = "/api/visitors/1", .headers = {{"If-Match", "*"}}}, 200},
    {"a visitor who is not there has no tag",
     {.method = "GET", .path = "/api/visitors/99", .headers = {{"If-Match", "*"}}},
     404},
    {"a wrong parameter comes first",
     {.method = "GET", .path = "/api/stats", .query = "x", .headers = {{"If-Match", "\"x\""}}},
     400},
    {"a deletion of what has another tag", delete_if("/api/visitors/1", "\"x\""), 412},
    {"a deletion of what has a tag", delete_if("/api/visitors/1", "*"), 204},
    {"a deletion of what is not there", delete_if("/api/visitors/99", "\"x\""), 404},
    {"a deletion whatever key it has", take_back("/api/visitors/1", "a key", "Bearer s3cret"), 204},
    {"a wrong token whatever key it has", take_back("/api/visitors/1", "k", "Bearer s3creT"), 401},
    {"a key that did not add the visitor", take_back("/api/visitors/1", "k"), 403},
    {"a key and no visitor", take_back("/api/visitors/99", "k"), 404},
    {"a key and no number", take_back("/api/visitors/one", "k"), 404},
    {"a malformed key and no visitor", take_back("/api/visitors/99", "a key"), 400},
    {"the export takes no key",
     {.method = "GET", .path = "/api/visitors.csv", .headers = {{"Idempotency-Key", "k"}}},
     401},
    {"the export without the token", as_admin("GET", "/api/visitors.csv", ""), 401},
    {"the export's HEAD", as_admin("HEAD", "/api/visitors.csv", "Bearer s3cret"), 200, "Cache-Control", "no-store"},
    {"the export's HEAD without the token", as_admin("HEAD", "/api/visitors.csv", ""), 401},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(handlers_test, *boost::unit_test::timeout(20))

BOOST_DATA_TEST_CASE(statuses_and_headers, boost::unit_test::data::make(rows), row) {
    Service service;
    const Response response = service.ask(row.request);
    BOOST_TEST(response.status == row.status);
    if (row.header_name != nullptr) BOOST_TEST(header(response, row.header_name) == row.header_value);
    const bool problem = header(response, "Content-Type") == "application/problem+json";
    BOOST_TEST(problem == (row.status >= 400));
}

BOOST_AUTO_TEST_CASE(an_etag_that_still_stands_is_a_304_without_a_body) {
    Service service;
    const Response first = service.ask({.method = "GET", .path = "/api/visitors"});
    const std::string etag = header(first, "ETag");
    BOOST_TEST(!etag.empty());
    const Response again =
        service.ask({.method = "GET", .path = "/api/visitors", .headers = {{"If-None-Match", "W/" + etag}}});
    BOOST_TEST(again.status == 304);
    BOOST_TEST(header(again, "ETag") == etag);
    BOOST_TEST((again.body == nullptr));
    service.ask(post("{}"));
    BOOST_TEST(service.ask({.method = "GET", .path = "/api/visitors", .headers = {{"If-None-Match", etag}}}).status ==
               200);
}

BOOST_AUTO_TEST_CASE(if_match_comes_before_if_none_match) {
    Service service;
    const std::string etag = header(service.ask({.method = "GET", .path = "/api/visitors"}), "ETag");
    const auto status = [&service](std::string match, std::string none_match) {
        return service
            .ask({.method = "GET",
                  .path = "/api/visitors",
                  .headers = {{"If-Match", std::move(match)}, {"If-None-Match", std::move(none_match)}}})
            .status;
    };
    BOOST_TEST(status("W/" + etag, etag) == 304);
    BOOST_TEST(status(etag, "\"x\"") == 200);
    BOOST_TEST(status("\"x\"", etag) == 412);
}

BOOST_AUTO_TEST_CASE(a_deletion_compares_with_what_reading_the_visitor_gives) {
    Service service;
    const std::string etag = header(service.ask({.method = "GET", .path = "/api/visitors/1"}), "ETag");
    BOOST_TEST(service.ask(delete_if("/api/visitors/1", "\"x\"")).status == 412);
    BOOST_TEST(service.server.visitors().contains(1));
    BOOST_TEST(service.ask(delete_if("/api/visitors/1", "\"x\", " + etag)).status == 204);
    BOOST_TEST(service.ask(delete_if("/api/visitors/1", etag)).status == 404);
}

BOOST_AUTO_TEST_CASE(a_page_names_its_next_one_in_the_body_and_in_the_header) {
    Service service;
    service.ask(post("{}"));
    const Response page = service.ask({.method = "GET", .path = "/api/visitors", .query = "limit=1"});
    BOOST_TEST(header(page, "Link") == "</api/visitors?limit=1&before=2>; rel=\"next\"");
    BOOST_TEST(body(page).ends_with(R"("next":"/api/visitors?limit=1&before=2"})"));
    const Response last = service.ask({.method = "GET", .path = "/api/visitors", .query = "limit=1&before=2"});
    BOOST_TEST(header(last, "Link").empty());
    BOOST_TEST(body(last).ends_with(R"("next":null})"));
}

BOOST_AUTO_TEST_CASE(a_replay_says_that_it_is_one) {
    Service service;
    const Response first = service.ask(with_key("k"));
    const Response again = service.ask(with_key("k"));
    BOOST_TEST(header(first, "Idempotent-Replayed").empty());
    BOOST_TEST(header(again, "Idempotent-Replayed") == "true");
    BOOST_TEST(body(first) == body(again));
}

BOOST_AUTO_TEST_CASE(the_index_names_what_there_is) {
    Service service;
    BOOST_TEST(body(service.ask({.method = "GET", .path = "/api"})) ==
               R"({"name":"visitors","version":")" + std::string(version) +
                   R"(","links":{"visitors":"/api/visitors","stats":"/api/stats",)"
                   R"("health":"/health","openapi":"/openapi.json"}})");
}

BOOST_AUTO_TEST_CASE(without_a_configured_token_every_token_is_forbidden) {
    FakeBookServer server;
    Log log{-1};
    Lanes lanes{log};
    Store store({}, 256, {server.connect(), server.connect(), server.connect()}, lanes, log);
    const VisitorService without_token{store, {}, {}, log};
    for (const char* authorization : {"", "Bearer ", "Bearer x"}) {
        const auto exchange = exchange_for(as_admin("DELETE", "/api/visitors/1", authorization));
        route(visitor_routes(), without_token, log, exchange);
        BOOST_TEST(exchange->response().status == 403);
    }
}

BOOST_AUTO_TEST_CASE(without_a_configured_token_a_key_takes_back_what_it_added) {
    Service service;
    const VisitorService without_token{service.store, {}, {}, service.log};
    BOOST_REQUIRE(header(service.ask(with_key("k")), "Location") == "/api/visitors/2");
    const auto status = [&](const char* path, const char* key) {
        const auto exchange = exchange_for(take_back(path, key));
        route(visitor_routes(), without_token, service.log, exchange);
        return exchange->response().status;
    };
    BOOST_TEST(status("/api/visitors/2", "") == 403);
    BOOST_TEST(status("/api/visitors/2", "other") == 403);
    BOOST_TEST(status("/api/visitors/2", "k") == 204);
    BOOST_TEST(status("/api/visitors/2", "k") == 404);
}

BOOST_AUTO_TEST_CASE(the_export_has_every_row_in_order_however_many_chunks_it_takes) {
    Service service;
    for (int i = 0; i < 450; ++i) BOOST_REQUIRE(service.ask({.method = "POST", .path = "/api/visitors"}).status == 201);
    const auto exchange = exchange_for(as_admin("GET", "/api/visitors.csv", "Bearer s3cret"));
    route(visitor_routes(), service.service, service.log, exchange);
    const std::string csv = exchange->whole_stream();
    BOOST_TEST(exchange->streamed_head.status == 200);
    BOOST_TEST(std::ranges::count(csv, '\n') == 452);
    BOOST_TEST(csv.starts_with("id,name,created_at\r\n1,Visitor_1,"));
    BOOST_TEST(csv.find("\r\n451,Visitor_451,") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_export_that_is_cut_has_a_line_in_the_log) {
    std::array<int, 2> pipe{};
    BOOST_REQUIRE(::pipe(pipe.data()) == 0);
    Service service(pipe[1]);
    for (int i = 0; i < 250; ++i) BOOST_REQUIRE(service.ask({.method = "POST", .path = "/api/visitors"}).status == 201);
    Request request = as_admin("GET", "/api/visitors.csv", "Bearer s3cret");
    request.request_id = "of-the-export";
    service.server.let_next_pass();
    service.server.fail_next({DatabaseFault::busy});
    route(visitor_routes(), service.service, service.log, exchange_for(std::move(request)));
    const std::string expected = R"("event":"export_cut","request_id":"of-the-export","detail":"The database)";
    std::string lines;
    while (lines.find(expected) == std::string::npos) {  // without it the suite's time-out ends this
        std::array<char, 4096> text;
        const ssize_t bytes = ::read(pipe[0], text.data(), text.size());
        BOOST_REQUIRE(bytes > 0);
        lines.append(text.data(), static_cast<std::size_t>(bytes));
    }
    service.lanes.close();  // nobody writes to it any more
    for (const int end : pipe) ::close(end);
}

BOOST_AUTO_TEST_CASE(a_problem_carries_the_path_and_the_requests_id) {
    Service service;
    const Response response = service.ask({.method = "GET", .path = "/api/nothing", .request_id = "abc123"});
    BOOST_TEST(body(response).find(R"("instance":"/api/nothing","request_id":"abc123")") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
