// GET /health: whether the database answers, asked at most once a second however many ask. On a lane and (in main) a
// socket of its own, so that it tells the truth also when the service is at its limits. Knows neither SQL nor sockets.
// Runs on the lane's thread; a check that is refused at once, on its asker's.
#pragma once

#include "http/http.hpp"
#include "http/router.hpp"
#include "lanes/lane.hpp"
#include "text/json_text.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace app {

constexpr std::chrono::seconds health_interval{1};
// A connection that ended is made anew within the check. Whatever is slow, the answer is there within 2 s, which is as
// long as a probe waits: a check older than this is not begun, nor begun again, and main gives the connection 1.3 s and
// the question 1 s.
constexpr std::chrono::milliseconds health_begin_ms{600};
constexpr LaneLimits health_limits{.queue_wait_ms = health_begin_ms, .retry_ms = health_begin_ms};

struct HealthCheck : Job {
    void answer(int status, std::string body) {
        Response response{.status = status,
                          .headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}};
        if (status == 503) response.headers.push_back({"Retry-After", "1"});
        response.set_body(std::move(body));
        std::exchange(exchange, nullptr)->respond(response);
    }
    void fail(const Problem& problem) {
        answer(503, R"({"status":"error")" + json_member("details", problem.detail) + '}');
    }
};

using HealthLane = Lane<HealthCheck, Connection>;

// What the lane does with a batch of checks.
inline HealthLane::Work check_health() {
    return [good_until = Clock::time_point()](Connection& database, std::vector<HealthCheck>& checks) mutable {
        if (Clock::now() >= good_until) {
            database.ping();
            good_until = Clock::now() + health_interval;
        }
        for (HealthCheck& check : checks) check.answer(200, R"({"status":"OK"})");
    };
}

// What the route of /health has.
struct HealthService {
    HealthLane& lane;
};

inline void push_check(const HealthService& service, const ExchangePtr& exchange, const PathValues&) {
    service.lane.push({{exchange}});
}

inline constexpr Route<HealthService> health_table[] = {{"GET", "/health", push_check}};
inline std::span<const Route<HealthService>> health_routes() { return health_table; }

}  // namespace app
