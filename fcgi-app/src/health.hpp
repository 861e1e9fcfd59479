// GET /health: whether the database answers, asked at most once a second however many ask. On a lane and (in main) a
// socket of its own, so that it tells the truth also when the service is at its limits. Knows neither SQL nor sockets.
// answer() from any thread.
#pragma once

#include "http.hpp"
#include "lane.hpp"

#include <string>
#include <vector>

namespace app {

class Health {
public:
    // `connect` makes a connection whose calls end after a second at most.
    Health(const Connect& connect, DatabaseState& state);

    // Never waits.
    void answer(const ExchangePtr& exchange) { lane_.push({{exchange}}); }

    void close() { lane_.close(); }

private:
    struct Check : Job {
        void answer(int status, std::string body);
        void fail(const Problem& problem);
    };

    void check(Database& database, std::vector<Check>& checks);

    Clock::time_point good_until_{};  // only by the lane's thread
    Lane<Check> lane_;
};

}  // namespace app
