// GET /health: whether the database answers, asked at most once a second however many ask. On a lane and (in main) a
// socket of its own, so that it tells the truth also when the service is at its limits. Knows neither SQL nor sockets.
// answer() from any thread.
#pragma once

#include "http.hpp"
#include "json.hpp"
#include "lane.hpp"

#include <string>
#include <utility>
#include <vector>

namespace app {

class Health {
public:
    // `connect` makes a connection whose calls end after a second at most.
    Health(const Connect& connect, DatabaseState& state)
        : lane_(limits, limits.queue_max, connect, state,
                [this](Database& database, std::vector<Check>& checks) { check(database, checks); }) {}

    // Never waits.
    void answer(const ExchangePtr& exchange) { lane_.push({{exchange}}); }

    void close() { lane_.close(); }

private:
    struct Check : Job {
        void answer(int status, std::string body) {
            Response response{.status = status,
                              .headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}};
            if (status == 503) response.headers.push_back({"Retry-After", "1"});
            response.set_body(std::move(body));
            std::exchange(exchange, nullptr)->respond(response);
        }
        void fail(const Problem& problem) { answer(503, health_json(false, problem.detail)); }
    };

    void check(Database& database, std::vector<Check>& checks) {
        if (Clock::now() >= good_until_) {
            database.ping();
            good_until_ = Clock::now() + interval;
        }
        for (Check& check : checks) check.answer(200, health_json(true, {}));
    }

    static constexpr std::chrono::seconds interval{1};
    // Nothing to retry: the next check asks anew.
    static constexpr LaneLimits limits{.queue_wait_ms = interval, .retry_ms = std::chrono::milliseconds{0}};

    Clock::time_point good_until_{};  // only by the lane's thread
    Lane<Check> lane_;
};

}  // namespace app
