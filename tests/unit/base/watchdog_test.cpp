// The watchdog, on real sockets: a blocked read is the thing it is for.
#include "base/watchdog.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <boost/test/unit_test.hpp>

namespace {

using namespace std::chrono_literals;

struct SocketPair {
    SocketPair() { BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0); }
    ~SocketPair() {
        for (const int end : ends) ::close(end);
    }
    std::array<int, 2> ends{};
};

bool is_open(int fd) {
    char byte = 0;
    return ::recv(fd, &byte, 1, MSG_DONTWAIT) < 0;  // would block; 0 once it was shut down
}

}  // namespace

BOOST_AUTO_TEST_SUITE(watchdog_test, *boost::unit_test::timeout(10))

BOOST_AUTO_TEST_CASE(a_read_that_blocks_past_its_deadline_ends) {
    app::Watchdog watchdog;
    const SocketPair sockets;
    const app::Watchdog::Watch watch(watchdog, sockets.ends[0], 1ms);
    char byte = 0;
    BOOST_TEST(::recv(sockets.ends[0], &byte, 1, 0) == 0);
}

BOOST_AUTO_TEST_CASE(a_watch_that_ended_in_time_does_nothing) {
    app::Watchdog watchdog;
    const SocketPair ended;
    const SocketPair late;
    { const app::Watchdog::Watch watch(watchdog, ended.ends[0], 1ms); }
    // The second deadline lies behind the first: when it has acted, the first would have, too.
    const app::Watchdog::Watch watch(watchdog, late.ends[0], 2ms);
    char byte = 0;
    BOOST_TEST(::recv(late.ends[0], &byte, 1, 0) == 0);
    BOOST_TEST(is_open(ended.ends[0]));
}

BOOST_AUTO_TEST_CASE(several_are_watched_at_once_each_with_its_own_deadline) {
    app::Watchdog watchdog;
    const SocketPair soon;
    const SocketPair later;
    const app::Watchdog::Watch watch_later(watchdog, later.ends[0], 1h);
    const app::Watchdog::Watch watch_soon(watchdog, soon.ends[0], 1ms);
    char byte = 0;
    BOOST_TEST(::recv(soon.ends[0], &byte, 1, 0) == 0);
    BOOST_TEST(is_open(later.ends[0]));
}

BOOST_AUTO_TEST_CASE(it_works_again_after_a_quiet_time) {
    app::Watchdog watchdog;
    for (int i = 0; i < 3; ++i) {
        const SocketPair sockets;
        const app::Watchdog::Watch watch(watchdog, sockets.ends[0], 1ms);
        char byte = 0;
        BOOST_TEST(::recv(sockets.ends[0], &byte, 1, 0) == 0);
    }
}

BOOST_AUTO_TEST_SUITE_END()
