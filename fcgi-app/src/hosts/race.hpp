// Connecting to several hosts side by side: one that is silent costs the others a fraction of a second, and not a share of the
// time. Knows what libpq says of a connection and nothing of what is done with it. One thread.
#pragma once

#include "hosts/hosts.hpp"
#include "hosts/libpq.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace app {

using MadeConnection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

class Race {
public:
    using Clock = std::chrono::steady_clock;

    // How long one host is waited for before the next is tried beside it.
    static constexpr std::chrono::milliseconds head_start_ms{200};

    // `settings` are libpq's keywords for each of the hosts. All is over at `until`.
    Race(std::vector<Host> hosts, std::string settings, Clock::time_point until);

    struct Arrival {
        MadeConnection connection;
        Host host;
    };

    // The next host that lets us in; none: no other does in time. The others go on meanwhile.
    std::optional<Arrival> next();

    // By when an arrival must have been examined, so that some of the time is left for the other hosts.
    Clock::time_point share() const;

    // Why a host is not taken: then the next one is tried at once.
    void refuse(const Host& host, const std::string& reason);
    const std::string& reasons() const { return reasons_; }

private:
    struct Runner {
        MadeConnection connection;
        Host host;
        PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    };

    void start_next();
    void wait();
    std::optional<Arrival> advance(std::size_t index);

    const std::vector<Host> hosts_;
    const std::string settings_;
    const Clock::time_point until_;
    std::size_t started_ = 0;  // of hosts_
    Clock::time_point start_at_{};
    std::vector<Runner> running_;
    std::string reasons_;
};

}  // namespace app
