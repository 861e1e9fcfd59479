// Not PQconnectdb(): nothing could end that before its time. (Only a name server that is silent still can hold this up.)
#include "hosts/race.hpp"

#include <poll.h>
#include <algorithm>
#include <string_view>
#include <utility>

namespace app {
namespace {

// libpq would print what a server says in passing between the lines of the log.
void say_nothing(void*, const PGresult*) {}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

}  // namespace

Race::Race(std::vector<Host> hosts, std::string settings, Clock::time_point until)
    : hosts_(std::move(hosts)), settings_(std::move(settings)), until_(until) {}

std::optional<Race::Arrival> Race::next() {
    while (true) {
        const auto now = Clock::now();
        if (now >= until_) {
            for (const Runner& late : running_) refuse(late.host, "no connection in time");
            running_.clear();
            return std::nullopt;
        }
        if (started_ < hosts_.size() && (running_.empty() || now >= start_at_)) {
            start_next();
            continue;
        }
        if (running_.empty()) return std::nullopt;
        wait();
        for (std::size_t i = running_.size(); i-- > 0;) {
            if (auto arrival = advance(i)) return arrival;
        }
    }
}

Race::Clock::time_point Race::share() const {
    const auto others = static_cast<int>(running_.size() + hosts_.size() - started_);
    return Clock::now() + (until_ - Clock::now()) / (others + 1);
}

void Race::refuse(const Host& host, const std::string& reason) {
    if (!reasons_.empty()) reasons_ += "; ";
    if (hosts_.size() > 1) reasons_ += host.name + ": ";
    reasons_ += first_line(reason);
    start_at_ = Clock::now();
}

void Race::start_next() {
    const Host& host = hosts_[started_++];
    start_at_ = Clock::now() + head_start_ms;
    MadeConnection connection(PQconnectStart((host.conninfo + settings_).c_str()), &PQfinish);
    if (!connection) return refuse(host, "no memory for a connection");
    if (PQstatus(connection.get()) == CONNECTION_BAD) return refuse(host, PQerrorMessage(connection.get()));
    PQsetNoticeReceiver(connection.get(), say_nothing, nullptr);
    running_.push_back({std::move(connection), host});
}

// Until one of them can go on, or it is time for the next one, or for the end.
void Race::wait() {
    std::vector<pollfd> sockets;
    for (const Runner& runner : running_) {
        const short events = runner.wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
        sockets.push_back({.fd = PQsocket(runner.connection.get()), .events = events, .revents = 0});
    }
    const auto end = started_ < hosts_.size() ? std::min(start_at_, until_) : until_;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    ::poll(sockets.data(), sockets.size(), static_cast<int>(std::max<long>(left, 0)));
}

// Takes it off those that run once it has arrived, or has failed.
std::optional<Race::Arrival> Race::advance(std::size_t index) {
    Runner& runner = running_[index];
    PGconn* connection = runner.connection.get();
    const short events = runner.wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
    pollfd ready{.fd = PQsocket(connection), .events = events, .revents = 0};
    if (::poll(&ready, 1, 0) == 0) return std::nullopt;
    runner.wants = PQconnectPoll(connection);
    if (runner.wants == PGRES_POLLING_READING || runner.wants == PGRES_POLLING_WRITING) return std::nullopt;
    Runner done = std::move(runner);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
    if (done.wants == PGRES_POLLING_OK) return Arrival{std::move(done.connection), std::move(done.host)};
    refuse(done.host, PQerrorMessage(connection));
    return std::nullopt;
}

}  // namespace app
