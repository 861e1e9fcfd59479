// The batcher: what becomes one batch, and its bounds. The flush function is held by the test, never by time.
#include "batcher.hpp"

#include <boost/test/unit_test.hpp>
#include <future>
#include <semaphore>
#include <vector>

namespace {

using namespace std::chrono_literals;

// A batcher of numbers whose every flush with jobs reports its batch and then waits for go().
struct Held {
    explicit Held(std::size_t queue_max = 100, std::size_t batch_max = 100)
        : batcher(queue_max, batch_max, [this](std::vector<int>& batch) {
              if (batch.empty()) return 1min;
              {
                  const std::lock_guard lock(mutex);
                  batches.push_back(batch);
              }
              begun.release();
              going.acquire();
              return 1min;
          }) {}
    void wait_until_begun() { begun.acquire(); }
    void go(int times = 1) { going.release(times); }
    std::vector<std::vector<int>> seen() {
        const std::lock_guard lock(mutex);
        return batches;
    }

    std::mutex mutex;
    std::vector<std::vector<int>> batches;
    std::counting_semaphore<> begun{0};
    std::counting_semaphore<> going{0};
    app::Batcher<int> batcher;
};

using Batches = std::vector<std::vector<int>>;

}  // namespace

BOOST_AUTO_TEST_SUITE(batcher_test, *boost::unit_test::timeout(10))

BOOST_AUTO_TEST_CASE(a_lone_job_is_flushed_at_once) {
    Held held;
    BOOST_TEST(held.batcher.push(1));
    held.wait_until_begun();
    BOOST_TEST((held.seen() == Batches{{1}}));
    held.go();
}

BOOST_AUTO_TEST_CASE(what_comes_during_a_flush_is_the_next_batch) {
    Held held;
    BOOST_TEST(held.batcher.push(1));
    held.wait_until_begun();
    for (const int job : {2, 3, 4}) BOOST_TEST(held.batcher.push(int{job}));
    held.go();
    held.wait_until_begun();
    BOOST_TEST((held.seen() == Batches{{1}, {2, 3, 4}}));
    held.go();
}

BOOST_AUTO_TEST_CASE(a_batch_has_at_most_its_limit_and_the_rest_follows) {
    Held held(100, 2);
    BOOST_TEST(held.batcher.push(1));
    held.wait_until_begun();
    for (const int job : {2, 3, 4}) BOOST_TEST(held.batcher.push(int{job}));
    held.go(3);
    held.batcher.close();
    BOOST_TEST((held.seen() == Batches{{1}, {2, 3}, {4}}));
}

BOOST_AUTO_TEST_CASE(a_full_queue_takes_no_more_and_leaves_the_job_alone) {
    Held held(2);
    BOOST_TEST(held.batcher.push(1));
    held.wait_until_begun();
    BOOST_TEST(held.batcher.push(2));
    BOOST_TEST(held.batcher.push(3));
    BOOST_TEST(!held.batcher.push(4));
    held.go(2);
    held.batcher.close();
    BOOST_TEST((held.seen() == Batches{{1}, {2, 3}}));
}

BOOST_AUTO_TEST_CASE(closing_flushes_what_waits_and_takes_no_more) {
    Held held;
    BOOST_TEST(held.batcher.push(1));
    BOOST_TEST(held.batcher.push(2));
    held.go(2);
    held.batcher.close();
    std::vector<int> all;
    for (const auto& batch : held.seen()) all.insert(all.end(), batch.begin(), batch.end());
    BOOST_TEST((all == std::vector{1, 2}));
    BOOST_TEST(!held.batcher.push(3));
}

BOOST_AUTO_TEST_CASE(an_idle_batcher_is_called_again_after_the_pause_it_returned) {
    std::counting_semaphore<> calls{0};
    app::Batcher<int> batcher(1, 1, [&](std::vector<int>& batch) {
        if (batch.empty()) calls.release();
        return 1ms;
    });
    for (int i = 0; i < 3; ++i) calls.acquire();
}

BOOST_AUTO_TEST_SUITE_END()
