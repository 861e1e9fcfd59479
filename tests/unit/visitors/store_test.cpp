// The store's promises on a database that fails as told: grouping, linearizable reads, exactly once, and an answer for
// everybody.
#include "visitors/store.hpp"
#include "fake_exchange.hpp"
#include "visitors/fake_book.hpp"

#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <semaphore>
#include <thread>

namespace {

using namespace app;
using namespace std::chrono_literals;

struct Fixture {
    explicit Fixture(LaneLimits limits = {}, int log_fd = -1, std::chrono::milliseconds purge_idle_ms = 10min,
                     int old_keys = 0)
        : server(old_keys),
          log(log_fd),
          store(limits, 256, {server.connect(), server.connect(), server.connect()}, lanes, log, purge_idle_ms) {
        BOOST_REQUIRE(settled(ask(StatsQuestion{}, 200)).status == 200);
    }

    // Answers with the status, and the body or the problem's type.
    std::shared_ptr<FakeExchange> ask(Question question, int = 0) {
        auto exchange = exchange_for();
        store.read(std::move(question), exchange, [](Exchange& asker, const Result<Document>& document) {
            Response response{.status = document ? 200 : document.error().status};
            response.set_body(document ? *document->body : std::string(document.error().type));
            asker.respond(response);
        });
        return exchange;
    }
    std::shared_ptr<FakeExchange> add(Name name, std::string key = {}) {
        auto exchange = exchange_for();
        store.add({std::move(name), std::move(key)}, exchange, [](Exchange& asker, const Result<Added>& added) {
            Response response{.status = added ? 201 : added.error().status};
            response.set_body(added ? std::to_string(added->visitor.id) + (added->fresh ? " fresh" : " replayed")
                                    : std::string(added.error().type));
            asker.respond(response);
        });
        return exchange;
    }
    std::shared_ptr<FakeExchange> remove(std::int64_t id, std::string key = {}, std::string if_match = {}) {
        auto exchange = exchange_for({.headers = {{"If-Match", std::move(if_match)}}});
        store.remove({id, std::move(key)}, exchange, [](Exchange& asker, const Result<std::monostate>& removed) {
            Response response{.status = removed ? 204 : removed.error().status};
            response.set_body(removed ? "" : std::string(removed.error().type));
            asker.respond(response);
        });
        return exchange;
    }
    // The lanes connect by themselves: the first question may come before they have.
    Response settled(std::shared_ptr<FakeExchange> exchange) {
        Response response = exchange->response();
        for (int tries = 0; response.status == 503 && tries < 200; ++tries) {
            std::this_thread::sleep_for(5ms);
            response = ask(StatsQuestion{})->response();
        }
        return response;
    }
    // Until the writer and the first page's lane are connected, too, and the writer is done with its first housekeeping.
    void wait_until_connected() {
        while (add({})->response().status != 201) std::this_thread::sleep_for(1ms);
        while (ask(PageQuestion{})->response().status != 200) std::this_thread::sleep_for(1ms);
        while (ask(PageQuestion{.text = "a"})->response().status != 200) std::this_thread::sleep_for(1ms);
        while (calls("purge_keys") == 0) std::this_thread::sleep_for(1ms);
    }
    std::size_t calls(const std::string& name) {
        const auto all = server.calls();
        return static_cast<std::size_t>(std::ranges::count(all, name));
    }

    FakeBookServer server;
    Log log;
    Lanes lanes{log};
    Store store;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(store_test, *boost::unit_test::timeout(20))

BOOST_AUTO_TEST_CASE(additions_that_come_during_a_commit_are_one_batch) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto first = it.add("first");
    it.server.wait_for_held_call();
    std::vector<std::shared_ptr<FakeExchange>> others;
    for (int i = 0; i < 5; ++i) others.push_back(it.add("other"));
    it.server.release();
    BOOST_TEST(first->response().status == 201);
    for (const auto& other : others) BOOST_TEST(other->response().status == 201);
    BOOST_TEST(it.calls("add 5") == 1);
}

BOOST_AUTO_TEST_CASE(a_read_that_comes_during_a_query_waits_for_the_next_one) {
    Fixture it;
    it.wait_until_connected();
    const PageQuestion older{.before = 9};
    const std::size_t before = it.calls("pages 1");
    it.server.hold();
    const auto first = it.ask(older);
    it.server.wait_for_held_call();
    const auto second = it.ask(older);
    const auto third = it.ask(older);
    it.server.release();
    for (const auto& read : {first, second, third}) BOOST_TEST(read->response().status == 200);
    BOOST_TEST(it.calls("pages 1") - before == 2);  // the second and the third share one
}

BOOST_AUTO_TEST_CASE(the_first_page_is_read_again_only_if_something_was_committed) {
    Fixture it;
    it.wait_until_connected();
    const auto page = [&] { return body(it.ask(PageQuestion{})->response()); };
    it.add({})->response();
    const std::string first = page();
    const std::size_t before = it.calls("pages 1");
    BOOST_TEST(page() == first);
    BOOST_TEST(it.calls("pages 1") == before);
    BOOST_TEST(body(it.ask(PageQuestion{.limit = 1})->response()) != first);  // kept beside the other
    BOOST_TEST(page() == first);
    BOOST_TEST(it.calls("pages 1") == before + 1);

    const std::int64_t added = std::stoll(body(it.add("Ada")->response()));
    BOOST_TEST(page().find("Ada") != std::string::npos);
    BOOST_TEST(it.remove(added)->response().status == 204);
    BOOST_TEST(page() == first);
    BOOST_TEST(it.calls("pages 1") == before + 3);
}

BOOST_AUTO_TEST_CASE(a_first_page_is_not_kept_beyond_its_connection) {
    Fixture it;
    it.wait_until_connected();
    const std::string first = body(it.ask(PageQuestion{})->response());
    const std::size_t before = it.calls("pages 1");
    it.server.close_connections();
    BOOST_TEST(body(it.ask(PageQuestion{})->response()) == first);
    BOOST_TEST(it.calls("pages 1") == before + 1);
}

BOOST_AUTO_TEST_CASE(a_first_page_that_cannot_be_read_is_not_kept) {
    Fixture it;
    it.wait_until_connected();
    it.add({})->response();
    it.server.let_next_pass();  // whether something was committed
    it.server.fail_next({DatabaseFault::busy});
    BOOST_TEST(it.ask(PageQuestion{})->response().status == 503);
    BOOST_TEST(it.ask(PageQuestion{})->response().status == 200);
}

BOOST_AUTO_TEST_CASE(the_largest_id_has_a_page_and_no_successor) {
    Fixture it;
    it.wait_until_connected();
    BOOST_TEST(it.ask(VisitorQuestion{std::numeric_limits<std::int64_t>::max()})->response().status == 404);
}

BOOST_AUTO_TEST_CASE(different_questions_get_different_answers) {
    Fixture it;
    it.wait_until_connected();
    BOOST_TEST(body(it.ask(VisitorQuestion{1})->response()).find("Visitor_1") != std::string::npos);
    BOOST_TEST(it.ask(VisitorQuestion{99})->response().status == 404);
}

BOOST_AUTO_TEST_CASE(a_key_that_stands_twice_in_a_batch_adds_once) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto blocker = it.add({});
    it.server.wait_for_held_call();
    const auto one = it.add("Ada", "k");
    const auto two = it.add("Ada", "k");
    const auto other = it.add("Bob", "k");
    it.server.release();
    const std::string added = body(one->response());
    const std::string again = body(two->response());
    BOOST_TEST(added.ends_with(" fresh"));
    BOOST_TEST(again.ends_with(" replayed"));
    BOOST_TEST(added.substr(0, added.find(' ')) == again.substr(0, again.find(' ')));
    BOOST_TEST(body(other->response()) == "/problems/key-reused");
    blocker->response();
}

BOOST_AUTO_TEST_CASE(a_replay_without_a_name_is_no_other_name) {
    Fixture it;
    it.wait_until_connected();
    it.add({}, "k")->response();
    BOOST_TEST(body(it.add({}, "k")->response()).ends_with(" replayed"));
    BOOST_TEST(it.add("Ada", "k")->response().status == 422);
}

BOOST_AUTO_TEST_CASE(a_commit_whose_answer_is_lost_adds_once_and_is_answered) {
    Fixture it;
    it.wait_until_connected();
    const std::size_t before = it.server.visitors().size();
    it.server.fail_next({DatabaseFault::lost, true});
    BOOST_TEST(body(it.add("Ada")->response()).ends_with(" fresh"));
    BOOST_TEST(it.server.visitors().size() == before + 1);
}

BOOST_AUTO_TEST_CASE(a_batch_that_is_sent_again_gives_each_client_its_own_visitor) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto blocker = it.add({});
    it.server.wait_for_held_call();
    std::vector<std::shared_ptr<FakeExchange>> adders;
    for (const char* name : {"Ada", "Bob", "Eve"}) adders.push_back(it.add(name));
    const auto keyed = it.add("Ida", "k");
    it.server.fail_next({DatabaseFault::lost, true});  // of the blocker
    it.server.fail_next({DatabaseFault::lost, false});
    it.server.fail_next({DatabaseFault::lost, true});
    const std::size_t before = it.server.visitors().size();
    it.server.release();
    blocker->response();
    for (std::size_t i = 0; i < adders.size(); ++i) {
        const std::string added = body(adders[i]->response());
        BOOST_TEST(added.ends_with(" fresh"));
        const std::string expected[] = {"Ada", "Bob", "Eve"};
        BOOST_TEST(it.server.visitors().at(std::stoll(added)) == expected[i]);
    }
    BOOST_TEST(body(keyed->response()).ends_with(" fresh"));
    BOOST_TEST(it.server.visitors().size() == before + 5);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_found_out_is_an_unknown_outcome) {
    Fixture it({.retry_ms = 100ms});
    it.wait_until_connected();
    it.server.set_away(true);
    it.server.fail_next({DatabaseFault::lost, true});
    BOOST_TEST(body(it.add("Ada")->response()) == "/problems/outcome-unknown");
}

BOOST_AUTO_TEST_CASE(what_finds_its_connection_closed_is_no_unknown_outcome) {
    Fixture it({.retry_ms = 100ms});
    it.wait_until_connected();
    it.server.close_connections();
    BOOST_TEST(it.add("Ada")->response().status == 201);
    BOOST_TEST(it.remove(1)->response().status == 204);
    it.server.set_away(true);
    it.server.close_connections();
    BOOST_TEST(body(it.add("Ada")->response()) == "/problems/database-away");
    BOOST_TEST(body(it.remove(1)->response()) == "/problems/database-away");
}

BOOST_AUTO_TEST_CASE(a_read_whose_connection_is_lost_is_asked_again) {
    Fixture it;
    it.wait_until_connected();
    it.server.fail_next({DatabaseFault::lost});
    BOOST_TEST(it.ask(PageQuestion{})->response().status == 200);
}

BOOST_AUTO_TEST_CASE(a_read_that_cannot_be_asked_again_is_no_unknown_outcome) {
    Fixture it({.retry_ms = 100ms});
    it.wait_until_connected();
    it.server.set_away(true);
    it.server.fail_next({DatabaseFault::lost});
    BOOST_TEST(body(it.ask(PageQuestion{})->response()) == "/problems/database-away");
}

BOOST_AUTO_TEST_CASE(a_deletion_whose_answer_is_lost_is_unknown_only_if_it_cannot_be_seen) {
    Fixture it;
    it.wait_until_connected();
    it.server.fail_next({DatabaseFault::lost, false});
    BOOST_TEST(it.remove(1)->response().status == 204);
    it.add("Ada")->response();
    const std::int64_t last = it.server.visitors().rbegin()->first;
    it.server.fail_next({DatabaseFault::lost, true});
    BOOST_TEST(body(it.remove(last)->response()) == "/problems/outcome-unknown");
    BOOST_TEST(it.remove(last)->response().status == 404);
}

BOOST_AUTO_TEST_CASE(a_key_takes_back_what_it_added_and_nothing_else) {
    Fixture it;
    it.wait_until_connected();
    it.add("Ada", "key")->response();
    const std::int64_t last = it.server.visitors().rbegin()->first;
    BOOST_TEST(it.remove(1, "key")->response().status == 403);
    BOOST_TEST(it.remove(last, "other")->response().status == 403);
    BOOST_TEST(it.remove(last + 1, "key")->response().status == 404);
    BOOST_TEST(it.remove(last, "key")->response().status == 204);
    BOOST_TEST(it.remove(last, "key")->response().status == 404);
}

BOOST_AUTO_TEST_CASE(a_condition_is_looked_at_last) {
    Fixture it;
    it.wait_until_connected();
    it.add("Ada", "key")->response();
    const std::int64_t last = it.server.visitors().rbegin()->first;
    BOOST_TEST(it.remove(last + 1, "key", "*")->response().status == 404);
    BOOST_TEST(it.remove(last, "other", "\"x\"")->response().status == 403);
    BOOST_TEST(it.remove(last, "key", "\"x\"")->response().status == 412);
    BOOST_TEST(it.server.visitors().contains(last));
    BOOST_TEST(it.remove(last, "key", "*")->response().status == 204);
}

BOOST_AUTO_TEST_CASE(taking_back_whose_answer_is_lost_is_unknown_unless_it_can_be_done_again) {
    Fixture it;
    it.wait_until_connected();
    it.add("Ada", "key")->response();
    const std::int64_t last = it.server.visitors().rbegin()->first;
    it.server.fail_next({DatabaseFault::lost, false});
    BOOST_TEST(body(it.remove(last, "other")->response()) == "/problems/outcome-unknown");
    it.server.fail_next({DatabaseFault::lost, true});
    BOOST_TEST(body(it.remove(last, "key")->response()) == "/problems/outcome-unknown");
    BOOST_TEST(it.remove(last, "key")->response().status == 404);
}

BOOST_AUTO_TEST_CASE(of_two_that_delete_the_same_one_does) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto blocker = it.add({});
    it.server.wait_for_held_call();
    const auto one = it.remove(1);
    const auto two = it.remove(1);
    it.server.release();
    BOOST_TEST(one->response().status == 204);
    BOOST_TEST(two->response().status == 404);
    blocker->response();
}

BOOST_AUTO_TEST_CASE(one_bad_row_fails_alone) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto blocker = it.add({});
    it.server.wait_for_held_call();
    const auto good = it.add("Ada");
    const auto bad = it.add("rejected");
    const auto dropped = it.add("altered");
    const auto also_good = it.add("Bob");
    it.server.release();
    BOOST_TEST(good->response().status == 201);
    BOOST_TEST(bad->response().status == 422);
    BOOST_TEST(body(dropped->response()) == "/problems/database-away");
    BOOST_TEST(also_good->response().status == 201);
    blocker->response();
}

BOOST_AUTO_TEST_CASE(without_a_database_everybody_is_answered_at_once) {
    Fixture it;
    it.wait_until_connected();
    it.server.set_away(true);
    it.server.fail_next({DatabaseFault::refused});
    BOOST_TEST(body(it.ask(PageQuestion{})->response()) == "/problems/database-away");
    BOOST_TEST(body(it.ask(PageQuestion{})->response()) == "/problems/database-away");
    it.server.set_away(false);
    it.wait_until_connected();
}

BOOST_AUTO_TEST_CASE(a_busy_database_refuses_one_question_and_stays_connected) {
    Fixture it;
    it.wait_until_connected();
    it.server.fail_next({DatabaseFault::busy});
    BOOST_TEST(it.ask(PageQuestion{})->response().status == 503);
    BOOST_TEST(it.ask(PageQuestion{})->response().status == 200);
    it.server.fail_next({DatabaseFault::busy});
    BOOST_TEST(it.add("Ada")->response().status == 503);
    BOOST_TEST(it.add("Ada")->response().status == 201);
}

BOOST_AUTO_TEST_CASE(the_log_says_why_a_statement_failed) {
    std::array<int, 2> pipe{};
    BOOST_REQUIRE(::pipe(pipe.data()) == 0);
    Fixture it({}, pipe[1]);
    it.wait_until_connected();
    const auto last_lines = [&] {
        std::array<char, 65'536> text;
        const ssize_t bytes = ::read(pipe[0], text.data(), text.size());
        return std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(bytes, 0)));
    };
    const std::string expected = R"("event":"statement_failed","reason":"made by the test")";
    BOOST_TEST(last_lines().find(expected) == std::string::npos);
    it.server.fail_next({DatabaseFault::busy});
    it.ask(PageQuestion{})->response();
    BOOST_TEST(last_lines().find(expected) != std::string::npos);
    it.server.fail_next({DatabaseFault::busy});
    it.add("Ada")->response();
    BOOST_TEST(last_lines().find(expected) != std::string::npos);
    it.lanes.close();  // nobody writes to it any more
    for (const int end : pipe) ::close(end);
}

BOOST_AUTO_TEST_CASE(a_full_queue_sheds_load) {
    Fixture it({.queue_max = 2});
    it.wait_until_connected();
    it.server.hold();
    const auto first = it.add({});
    it.server.wait_for_held_call();
    const auto second = it.add({});
    const auto third = it.add({});
    BOOST_TEST(body(it.add({})->response()) == "/problems/overloaded");
    it.server.release();
    for (const auto& addition : {first, second, third}) BOOST_TEST(addition->response().status == 201);
}

BOOST_AUTO_TEST_CASE(an_addition_that_waited_too_long_is_not_begun) {
    constexpr auto queue_wait = 20ms;
    Fixture it({.queue_wait_ms = queue_wait});
    it.server.hold();
    // On a busy machine the first ones may be too old themselves.
    std::vector<std::shared_ptr<FakeExchange>> first;
    while (!it.server.holds_a_call()) {
        first.push_back(it.add("first"));
        std::this_thread::yield();
    }
    const auto late = it.add("late");
    std::this_thread::sleep_for(2 * queue_wait);  // it is time itself that is tested
    it.server.release();
    BOOST_TEST(body(late->response()) == "/problems/overloaded");
    it.lanes.close();
    for (const auto& [id, name] : it.server.visitors()) BOOST_TEST(name != "late");
}

BOOST_AUTO_TEST_CASE(what_nobody_waits_for_is_not_done) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto first = it.add("first");
    it.server.wait_for_held_call();
    const auto gone = it.add("gone");
    gone->waits = false;
    const auto here = it.add("here");
    it.server.release();
    BOOST_TEST(here->response().status == 201);
    for (const auto& [id, name] : it.server.visitors()) BOOST_TEST(name != "gone");
    first->response();
}

BOOST_AUTO_TEST_CASE(as_long_as_there_are_many_old_keys_purging_goes_on) {
    Fixture it({}, -1, 10min, 1000);
    while (it.calls("purge_keys") < 2) std::this_thread::sleep_for(1ms);  // with few, it pauses for 10 minutes
}

BOOST_AUTO_TEST_CASE(old_keys_are_purged_also_where_nobody_adds) {
    Fixture it({}, -1, 10ms);
    while (it.calls("purge_keys") < 3) std::this_thread::sleep_for(1ms);
    BOOST_TEST(it.calls("add 1") == 0);
    it.server.fail_next({DatabaseFault::busy});
    it.server.fail_next({DatabaseFault::lost});
    for (int i = 0; i < 5; ++i) {
        it.server.close_connections();
        const std::size_t before = it.calls("purge_keys");
        while (it.calls("purge_keys") < before + 2) std::this_thread::sleep_for(1ms);
    }
    BOOST_TEST(it.add({})->response().status == 201);
}

BOOST_AUTO_TEST_CASE(searches_are_answered_in_the_order_in_which_they_came) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto blocker = it.ask(PageQuestion{.text = "blocker"});
    it.server.wait_for_held_call();
    std::vector<std::shared_ptr<FakeExchange>> searchers;
    for (const char* text : {"zoe", "mia", "ada", "zoe", "bob"})
        searchers.push_back(it.ask(PageQuestion{.text = text}));
    it.server.release();
    for (const auto& searcher : searchers) BOOST_TEST(searcher->response().status == 200);
    blocker->response();
    auto calls = it.server.calls();
    calls.erase(calls.begin(), std::ranges::find(calls, "search blocker") + 1);
    const std::vector<std::string> expected{"search zoe", "search mia", "search ada", "search bob"};
    BOOST_TEST(calls == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(other_reads_are_answered_in_the_order_in_which_they_came) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto blocker = it.ask(StatsQuestion{9});
    it.server.wait_for_held_call();
    std::vector<std::shared_ptr<FakeExchange>> readers;
    for (const Question& question : {Question(RowsQuestion{}), Question(StatsQuestion{8}), Question(StatsQuestion{7})})
        readers.push_back(it.ask(question));
    it.server.release();
    for (const auto& reader : readers) BOOST_TEST(reader->response().status == 200);
    blocker->response();
    auto calls = it.server.calls();
    calls.erase(calls.begin(), std::ranges::find(calls, "stats 9") + 1);
    const std::vector<std::string> expected{"rows", "stats 8", "stats 7"};
    BOOST_TEST(calls == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_counted_in_time_is_a_page_without_total) {
    Fixture it;
    it.wait_until_connected();
    it.server.fail_next({DatabaseFault::slow});
    BOOST_TEST(it.ask(PageQuestion{.text = "a"})->response().status == 200);
    BOOST_TEST(it.calls("search_frequent a") == 1);
}

BOOST_AUTO_TEST_CASE(a_search_that_takes_too_long_asks_for_a_retry_only_if_that_can_help) {
    Fixture it;
    it.wait_until_connected();
    const auto given_up = [&](const char* text, DatabaseFault second) {
        it.server.fail_next({DatabaseFault::slow});
        it.server.fail_next({second});
        return body(it.ask(PageQuestion{.text = text})->response());
    };
    for (const char* text : {"z", "zz", "é", "ée", "e\u0301e\u0301", "💡💡"})
        BOOST_TEST(given_up(text, DatabaseFault::slow) == "/problems/search-too-broad", text);
    for (const char* text : {"zzz", "éée", "e\u0301e\u0301e\u0301", "zoe zoe"})
        BOOST_TEST(given_up(text, DatabaseFault::slow) == "/problems/database-away", text);
    BOOST_TEST(given_up("zz", DatabaseFault::busy) == "/problems/database-away");
}

BOOST_AUTO_TEST_CASE(a_search_is_not_tried_a_second_time_while_others_wait) {
    Fixture it;
    it.wait_until_connected();
    for (const char* text : {"zz", "zoe"}) {
        it.server.hold();
        const auto slow = it.ask(PageQuestion{.text = text});
        it.server.wait_for_held_call();
        const auto other = it.ask(PageQuestion{.text = "other"});
        it.server.fail_next({DatabaseFault::slow});
        it.server.release();
        BOOST_TEST(body(slow->response()) == "/problems/overloaded");
        BOOST_TEST(other->response().status == 200);
        BOOST_TEST(it.calls("search_frequent " + std::string(text)) == 0);
    }
}

BOOST_AUTO_TEST_CASE(closing_tells_every_lane_before_it_waits_for_one) {
    std::counting_semaphore<> begun{0};
    std::counting_semaphore<> going{0};
    const auto connect = [&]() -> std::unique_ptr<Book> {
        begun.release();
        going.acquire();
        throw DatabaseError(DatabaseFault::refused, "away");
    };
    Log log{-1};
    Lanes lanes{log};
    Store store({.queue_max = std::numeric_limits<std::size_t>::max()}, 256, {connect, connect, connect}, lanes, log);
    for (int lane = 0; lane < 5; ++lane) begun.acquire();
    std::thread closing([&] { lanes.close(); });
    // Each still tries for its connection; who is told already refuses what is asked.
    const auto refuses = [&](const Question& question) {
        const auto refused = std::make_shared<std::atomic<bool>>(false);
        store.read(question, exchange_for(), [refused](Exchange&, const Result<Document>&) { *refused = true; });
        return refused->load();
    };
    for (const Question& question :
         {Question(PageQuestion{}), Question(StatsQuestion{}), Question(PageQuestion{.text = "a"})})
        while (!refuses(question)) std::this_thread::sleep_for(1ms);
    going.release(100);
    closing.join();
}

BOOST_AUTO_TEST_CASE(closing_answers_what_was_asked) {
    Fixture it;
    it.wait_until_connected();
    it.server.hold();
    const auto first = it.add({});
    it.server.wait_for_held_call();
    const auto second = it.add({});
    it.server.release();
    it.lanes.close();
    BOOST_TEST(first->response().status == 201);
    BOOST_TEST(second->response().status == 201);
}

BOOST_AUTO_TEST_CASE(every_read_is_answered_behind_a_confirmation_where_a_standby_may_take_over) {
    Fixture it;
    it.wait_until_connected();
    it.ask(PageQuestion{})->response();
    const std::size_t before = it.calls("confirm");
    it.server.is_replicated = true;
    const std::array<Question, 6> questions{PageQuestion{},     PageQuestion{.before = 9}, PageQuestion{.text = "a"},
                                            VisitorQuestion{1}, StatsQuestion{},           RowsQuestion{}};
    for (std::size_t i = 0; i < questions.size(); ++i) {
        BOOST_TEST(it.ask(questions[i])->response().status == 200);
        BOOST_TEST(it.calls("confirm") == before + i + 1);
        BOOST_TEST(it.server.calls().back() == "confirm");
    }
}

BOOST_AUTO_TEST_CASE(reads_that_came_together_share_a_confirmation) {
    Fixture it;
    it.wait_until_connected();
    it.server.is_replicated = true;
    it.server.hold();
    const auto first = it.ask(VisitorQuestion{1});
    it.server.wait_for_held_call();
    std::vector<std::shared_ptr<FakeExchange>> others;
    for (int i = 0; i < 5; ++i) others.push_back(it.ask(VisitorQuestion{i + 2}));
    it.server.release();
    first->response();
    for (const auto& other : others) other->response();
    BOOST_TEST(it.calls("confirm") == 2);
}

BOOST_AUTO_TEST_CASE(what_is_not_confirmed_is_not_answered) {
    Fixture it;
    it.wait_until_connected();
    it.server.is_replicated = true;
    it.server.let_next_pass();
    it.server.fail_next({DatabaseFault::busy});
    BOOST_TEST(it.ask(VisitorQuestion{1})->response().status == 503);

    const std::size_t before = it.calls("visitors 1");
    it.server.let_next_pass();
    it.server.fail_next({DatabaseFault::lost});
    BOOST_TEST(it.ask(VisitorQuestion{1})->response().status == 200);  // asked again on the next connection
    BOOST_TEST(it.calls("visitors 1") == before + 2);
}

BOOST_AUTO_TEST_CASE(a_removal_that_finds_nothing_is_confirmed_and_one_that_does_has_its_own_commit) {
    Fixture it;
    it.wait_until_connected();
    const std::int64_t id = std::stoll(body(it.add("Ada")->response()));
    it.server.is_replicated = true;
    BOOST_TEST(it.remove(id)->response().status == 204);
    BOOST_TEST(it.calls("confirm") == 0);
    BOOST_TEST(it.remove(id)->response().status == 404);
    BOOST_TEST(it.server.calls().back() == "confirm");
}

BOOST_AUTO_TEST_SUITE_END()
