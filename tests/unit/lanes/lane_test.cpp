// The lane: what becomes one batch and its bounds, and what the log says of an outage. The work is held by the test, never by
// time.
#include "lanes/lane.hpp"
#include "fake_exchange.hpp"
#include "lanes/fake_server.hpp"

#include <unistd.h>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <future>
#include <semaphore>

namespace {

using namespace app;
using namespace std::chrono_literals;

struct Numbered : Job {
    int number = 0;
    int* failed = nullptr;  // where the status goes with which it was refused

    void fail(const Problem& problem) {
        exchange = nullptr;
        if (failed != nullptr) *failed = problem.status;
    }
};

using Batches = std::vector<std::vector<int>>;

// A lane whose every batch is noted and then waits for go().
struct Held {
    explicit Held(const LaneLimits& limits = {.queue_wait_ms = 1min}, std::size_t batch_max = 256)
        : lane(limits, batch_max, server.connect(), lanes, [this](Connection&, std::vector<Numbered>& jobs) {
              {
                  const std::lock_guard lock(mutex);
                  std::vector<int>& batch = batches.emplace_back();
                  for (const Numbered& job : jobs) batch.push_back(job.number);
              }
              begun.release();
              going.acquire();
          }) {}
    void push(int number, int* failed = nullptr, Clock::duration age = 0s) {
        lane.push({{exchange_for(), Clock::now() - age}, number, failed});
    }
    void push_first() {
        push(1);
        begun.acquire();
    }
    void go(int times = 1) { going.release(times); }
    Batches seen() {
        const std::lock_guard lock(mutex);
        return batches;
    }

    FakeServer server;
    Log log{-1};
    Lanes lanes{log};
    std::mutex mutex;
    Batches batches;
    std::counting_semaphore<> begun{0};
    std::counting_semaphore<> going{0};
    Lane<Numbered, Connection> lane;
};

std::array<int, 2> made_pipe() {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::pipe(ends.data()) == 0);
    return ends;
}

// What a log writes, by way of a pipe.
struct LoggedState {
    ~LoggedState() {
        ::close(pipe[0]);
        ::close(pipe[1]);
    }
    // The events since the last call.
    std::vector<std::string> events() {
        log.info("end", {});
        std::string text;
        std::array<char, 4096> piece;
        while (text.find("\"end\"") == std::string::npos) {
            text.append(piece.data(), static_cast<std::size_t>(::read(pipe[0], piece.data(), piece.size())));
        }
        std::vector<std::string> found;
        for (const char* event : {"database_away", "database_connected"}) {
            for (auto at = text.find(event); at != std::string::npos; at = text.find(event, at + 1))
                found.push_back(event);
        }
        return found;
    }

    const std::array<int, 2> pipe = made_pipe();
    Log log{pipe[1]};
    Lanes lanes{log};
    const int first = 0, second = 0;  // their addresses stand for two lanes
};

using Events = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(lane_test, *boost::unit_test::timeout(10))

BOOST_AUTO_TEST_CASE(a_lone_job_is_begun_at_once) {
    Held held;
    held.push_first();
    BOOST_TEST((held.seen() == Batches{{1}}));
    held.go();
}

BOOST_AUTO_TEST_CASE(what_comes_during_a_batch_is_the_next_one) {
    Held held;
    held.push_first();
    for (const int job : {2, 3, 4}) held.push(job);
    held.go();
    held.begun.acquire();
    BOOST_TEST((held.seen() == Batches{{1}, {2, 3, 4}}));
    held.go();
}

BOOST_AUTO_TEST_CASE(a_batch_has_at_most_its_limit_and_the_rest_follows) {
    Held held({.queue_wait_ms = 1min}, 2);
    held.push_first();
    for (const int job : {2, 3, 4}) held.push(job);
    held.go(3);
    held.lane.close();
    BOOST_TEST((held.seen() == Batches{{1}, {2, 3}, {4}}));
}

BOOST_AUTO_TEST_CASE(a_job_that_is_too_old_is_refused_and_takes_nobodys_place) {
    Held held({.queue_wait_ms = 1min}, 2);
    held.push_first();
    int failed = 0;
    held.push(2, &failed, 1h);
    for (const int job : {3, 4, 5}) held.push(job);
    held.go(3);
    held.lane.close();
    BOOST_TEST((held.seen() == Batches{{1}, {3, 4}, {5}}));
    BOOST_TEST(failed == 503);
}

BOOST_AUTO_TEST_CASE(a_full_queue_takes_no_more) {
    Held held({.queue_max = 2, .queue_wait_ms = 1min});
    held.push_first();
    int failed = 0;
    for (const int job : {2, 3, 4}) held.push(job, &failed);
    BOOST_TEST(failed == 503);
    held.go(2);
    held.lane.close();
    BOOST_TEST((held.seen() == Batches{{1}, {2, 3}}));
}

BOOST_AUTO_TEST_CASE(what_came_before_it_was_known_that_there_is_no_database_is_refused_at_once_then) {
    struct Waiting : Job {
        std::promise<std::string_view>* type = nullptr;

        void fail(const Problem& problem) {
            exchange = nullptr;
            type->set_value(problem.type);
        }
    };
    std::counting_semaphore<> trying{0};
    const auto connect = [&]() -> std::unique_ptr<Connection> {
        trying.acquire();
        throw DatabaseError(DatabaseFault::refused, "nobody listens");
    };
    std::promise<std::string_view> refused;
    Log log{-1};
    Lanes lanes{log};
    Lane<Waiting, Connection> lane({}, 256, connect, lanes, [](Connection&, std::vector<Waiting>&) {});
    lane.push({{exchange_for()}, &refused});
    trying.release();  // once: a second try would wait
    BOOST_TEST(refused.get_future().get() == "/problems/database-away");
    trying.release(100);  // for the time until it is closed
}

BOOST_AUTO_TEST_CASE(whoever_comes_while_a_connection_that_ended_is_made_anew_is_answered) {
    FakeServer server;
    std::counting_semaphore<> trying{0};
    std::counting_semaphore<> going{1};
    std::counting_semaphore<> done{0};
    const auto connect = [&, make = server.connect()] {
        trying.release();
        going.acquire();
        return make();
    };
    Log log{-1};
    Lanes lanes{log};
    Lane<Numbered, Connection> lane(
        {.queue_wait_ms = 1min, .retry_ms = 1min}, 256, connect, lanes,
        [&](Connection&, std::vector<Numbered>& jobs) { done.release(static_cast<std::ptrdiff_t>(jobs.size())); });
    trying.acquire();
    lane.push({{exchange_for()}});
    done.acquire();
    int failed = 0;
    for (int outage = 0; outage < 2; ++outage) {
        server.close_connections();
        lane.push({{exchange_for()}, 1, &failed});
        trying.acquire();
        for (int i = 0; i < 5; ++i) lane.push({{exchange_for()}, 1, &failed});
        going.release();
        for (int i = 0; i < 6; ++i) done.acquire();
    }
    BOOST_TEST(failed == 0);
}

BOOST_AUTO_TEST_CASE(it_wakes_up_when_it_was_told_to_and_once) {
    FakeServer server;
    std::counting_semaphore<> woken{0};
    std::atomic<int> times = 0;
    Log log{-1};
    Lanes lanes{log};
    Lane<Numbered, Connection> lane({}, 256, server.connect(), lanes, [&](Connection&, std::vector<Numbered>& jobs) {
        BOOST_TEST(jobs.empty());
        ++times;
        woken.release();
    });
    lane.wake_at(Clock::now() + 1h);
    lane.wake_at(Clock::now() + 5ms);
    woken.acquire();
    lane.wake_at(Clock::now());
    woken.acquire();
    lane.wake_at(Clock::now() + 1h);
    lane.close();
    BOOST_TEST(times == 2);
}

BOOST_AUTO_TEST_CASE(each_try_for_a_connection_is_after_a_longer_pause) {
    std::vector<Clock::time_point> tries;
    std::counting_semaphore<> tried{0};
    const auto connect = [&]() -> std::unique_ptr<Connection> {
        tries.push_back(Clock::now());
        tried.release();
        throw DatabaseError(DatabaseFault::refused, "nobody listens");
    };
    Log log{-1};
    Lanes lanes{log};
    Lane<Numbered, Connection> lane({}, 256, connect, lanes, [](Connection&, std::vector<Numbered>&) {});
    for (int i = 0; i < 4; ++i) tried.acquire();
    lane.close();
    // Each grows by chance, by 50 ms at least; how long it is at most depends on the machine, too.
    for (int i = 1; i < 4; ++i) BOOST_TEST((tries[i] - tries[i - 1] >= i * 50ms));
}

BOOST_AUTO_TEST_CASE(closing_does_what_waits_and_takes_no_more) {
    Held held;
    held.push_first();
    held.push(2);
    held.go(2);
    held.lane.close();
    BOOST_TEST((held.seen() == Batches{{1}, {2}}));
    int failed = 0;
    held.push(3, &failed);
    BOOST_TEST(failed == 503);
}

BOOST_AUTO_TEST_CASE(an_outage_is_one_line_a_reason_and_one_for_its_end) {
    LoggedState it;
    it.lanes.connected(&it.first);
    it.lanes.connected(&it.second);
    BOOST_TEST((it.events() == Events{"database_connected"}));
    for (int i = 0; i < 3; ++i) {
        it.lanes.lost(&it.first, "restarting");
        it.lanes.lost(&it.second, "restarting");
    }
    it.lanes.lost(&it.second, "nobody listens");
    BOOST_TEST((it.events() == Events{"database_away", "database_away"}));
    it.lanes.connected(&it.second);
    BOOST_TEST((it.events() == Events{}));
    it.lanes.connected(&it.first);
    BOOST_TEST((it.events() == Events{"database_connected"}));
    it.lanes.lost(&it.first, "restarting");
    BOOST_TEST((it.events() == Events{"database_away"}));
}

BOOST_AUTO_TEST_SUITE_END()
