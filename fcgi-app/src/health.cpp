// The check and its two answers.
#include "health.hpp"

#include "json.hpp"

#include <functional>
#include <utility>

namespace app {
namespace {

using namespace std::chrono_literals;

constexpr auto interval = 1s;

}  // namespace

// Nothing to retry: the next check asks anew.
Health::Health(const Connect& connect, DatabaseState& state)
    : lane_({.queue_wait_ms = interval, .retry_ms = 0ms}, LaneLimits{}.queue_max, connect, state,
            std::bind_front(&Health::check, this)) {}

void Health::Check::answer(int status, std::string body) {
    Response response{.status = status,
                      .headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}};
    if (status == 503) response.headers.push_back({"Retry-After", "1"});
    response.set_body(std::move(body));
    std::exchange(exchange, nullptr)->respond(response);
}

void Health::Check::fail(const Problem& problem) { answer(503, health_json(false, problem.detail)); }

void Health::check(Database& database, std::vector<Check>& checks) {
    if (Clock::now() >= good_until_) {
        database.ping();
        good_until_ = Clock::now() + interval;
    }
    for (Check& check : checks) check.answer(200, health_json(true, {}));
}

}  // namespace app
