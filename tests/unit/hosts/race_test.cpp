// The race, against sockets that say what PostgreSQL's would, or nothing.
#include "hosts/race.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace {

using namespace app;
using namespace std::chrono_literals;
using Clock = Race::Clock;

// Takes connections, and says nothing.
class SilentHost {
public:
    SilentHost() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("no socket to listen on");
        port_ = ntohs(address.sin_port);
    }
    SilentHost(const SilentHost&) = delete;
    SilentHost& operator=(const SilentHost&) = delete;
    ~SilentHost() { ::close(listener_); }

    Host host() const {
        return {
            .name = std::to_string(port_),
            .conninfo = "host=127.0.0.1 sslmode=disable gssencmode=disable user=x port=" + std::to_string(port_) + ' '};
    }

protected:
    int listener_;

private:
    int port_ = 0;
};

// Lets the first one in: AuthenticationOk, BackendKeyData, ReadyForQuery.
class GoodHost : public SilentHost {
    std::jthread thread_{[this] {
        const int peer = ::accept(listener_, nullptr, nullptr);
        std::array<char, 512> startup;
        (void)!::recv(peer, startup.data(), startup.size(), 0);
        constexpr std::string_view answer("R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\x04\xd2\0\0\0\x01Z\0\0\0\x05I", 28);
        (void)!::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
        (void)!::recv(peer, startup.data(), startup.size(), 0);  // until it is closed
        ::close(peer);
    }};
};

Host nobody() {
    const SilentHost gone;
    return gone.host();  // its port is closed again
}

}  // namespace

BOOST_AUTO_TEST_SUITE(race_test, *boost::unit_test::timeout(20))

BOOST_AUTO_TEST_CASE(a_good_host_is_found_behind_silent_ones_after_their_head_starts) {
    const std::array<SilentHost, 3> silent;
    GoodHost good;
    const auto begun = Clock::now();
    Race race({silent[0].host(), silent[1].host(), silent[2].host(), good.host()}, "", begun + 15s);
    const auto arrival = race.next();
    BOOST_REQUIRE(arrival);
    BOOST_TEST(arrival->host.name == good.host().name);
    BOOST_TEST(PQbackendPID(arrival->connection.get()) == 1234);
    BOOST_TEST((Clock::now() - begun >= 3 * Race::head_start_ms));
    BOOST_TEST(race.reasons() == "");
}

BOOST_AUTO_TEST_CASE(who_refuses_costs_no_head_start) {
    constexpr int refusing = 50;
    GoodHost good;
    std::vector<Host> hosts(refusing, nobody());
    hosts.push_back(good.host());
    const auto begun = Clock::now();
    Race race(hosts, "", begun + refusing * Race::head_start_ms);
    BOOST_REQUIRE(race.next());
    BOOST_TEST((Clock::now() - begun < refusing * Race::head_start_ms / 2));
    BOOST_TEST(race.reasons().find("Connection refused") != std::string::npos);
    BOOST_TEST(std::ranges::count(race.reasons(), ';') == refusing - 1);
}

BOOST_AUTO_TEST_CASE(all_of_it_is_over_in_time_and_each_host_has_its_reason) {
    const std::array<SilentHost, 2> silent;
    const auto until = Clock::now() + 500ms;
    Race race({silent[0].host(), nobody(), silent[1].host()}, "", until);
    BOOST_TEST(!race.next());
    BOOST_TEST((Clock::now() >= until));
    for (const SilentHost& host : silent)
        BOOST_TEST(race.reasons().find(host.host().name + ": no connection in time") != std::string::npos);
    BOOST_TEST(race.reasons().find("refused") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(behind_a_host_that_is_refused_comes_the_next_one) {
    GoodHost first, second;
    Race race({first.host(), second.host()}, "", Clock::now() + 15s);
    const auto arrival = race.next();
    BOOST_REQUIRE(arrival);
    BOOST_TEST((race.share() < Clock::now() + 8s));
    race.refuse(arrival->host, "it is a standby\nand more");
    const auto other = race.next();
    BOOST_REQUIRE(other);
    BOOST_TEST(other->host.name == second.host().name);
    BOOST_TEST(race.reasons() == first.host().name + ": it is a standby");
    BOOST_TEST(!race.next());
}

BOOST_AUTO_TEST_SUITE_END()
