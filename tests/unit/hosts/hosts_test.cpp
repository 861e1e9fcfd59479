// DATABASE_URL: what is taken of it, what is refused, and in which order hosts are tried.
#include "hosts/hosts.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <stdexcept>

namespace {

using namespace app;

std::vector<std::string> names(const Hosts& hosts) {
    std::vector<std::string> found;
    for (const Host& host : hosts.in_order()) found.push_back(host.name);
    return found;
}
using Names = std::vector<std::string>;

std::string complaint(const std::string& url) {
    try {
        const Hosts hosts(url);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hosts_test, *boost::unit_test::timeout(10))

BOOST_AUTO_TEST_CASE(a_url_and_keywords_say_the_same) {
    for (const char* text : {"postgresql://me@db1:5433,db2:5434/book?sslmode=verify-full",
                             "user=me host=db1,db2 port=5433,5434 dbname=book sslmode=verify-full"}) {
        const Hosts hosts(text);
        BOOST_TEST(hosts.are_several());
        BOOST_TEST(names(hosts) == (Names{"db1:5433", "db2:5434"}));
        BOOST_TEST(hosts.in_order()[1].conninfo ==
                   "dbname='book' sslmode='verify-full' user='me' host='db2' port='5434' ");
    }
}

BOOST_AUTO_TEST_CASE(one_port_is_every_hosts_and_addresses_need_no_name) {
    BOOST_TEST(names(Hosts("host=db1,db2,db3 port=6000")) == (Names{"db1:6000", "db2:6000", "db3:6000"}));
    BOOST_TEST(names(Hosts("hostaddr=::1,10.0.0.2 port=6000")) == (Names{"::1:6000", "10.0.0.2:6000"}));
    BOOST_TEST(names(Hosts("host=/run/socket port=6000")) == (Names{"/run/socket:6000"}));
    BOOST_TEST(!Hosts("host=db1 port=6000").are_several());
}

BOOST_AUTO_TEST_CASE(what_the_url_does_not_say_the_environment_does) {
    ::setenv("PGHOST", "from_environment", 1);
    ::setenv("PGPORT", "6001", 1);
    BOOST_TEST(names(Hosts("")) == (Names{"from_environment:6001"}));
    BOOST_TEST(names(Hosts("port=6002")) == (Names{"from_environment:6002"}));
    BOOST_TEST(names(Hosts("host=db1")) == (Names{"db1:6001"}));
    ::unsetenv("PGHOST");
    ::unsetenv("PGPORT");
}

BOOST_AUTO_TEST_CASE(a_value_is_quoted) {
    BOOST_TEST(Hosts("dbname='it\\'s \\\\' host=a port=1").in_order()[0].conninfo ==
               "dbname='it\\'s \\\\' host='a' port='1' ");
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_said) {
    BOOST_TEST(complaint("host=db1,db2 port=1,2,3") == "DATABASE_URL: hosts, addresses and ports are not equally many");
    BOOST_TEST(complaint("postgresql://me:secret@db1/book").find("DATABASE_PASSWORD_FILE") != std::string::npos);
    BOOST_TEST(complaint("postgresql://me:secret@db1/book").find("secret") == std::string::npos);
    for (const char* odd : {"no_such_keyword=1", "postgresql://db1/?nothing=1", "postgresql://[::1/x", "host"})
        BOOST_TEST(complaint(odd).starts_with("DATABASE_URL: "), odd << ": " << complaint(odd));
}

BOOST_AUTO_TEST_CASE(the_good_one_comes_first_and_the_suspected_one_last) {
    Hosts hosts("host=a,b,c port=1");
    hosts.prefer("b:1");
    BOOST_TEST(names(hosts) == (Names{"b:1", "a:1", "c:1"}));
    hosts.suspect("b:1", 7);
    BOOST_TEST(names(hosts) == (Names{"a:1", "c:1", "b:1"}));
    hosts.suspect("unknown:1", 7);
    hosts.prefer("unknown:1");
    BOOST_TEST(names(hosts) == (Names{"a:1", "c:1", "b:1"}));
}

BOOST_AUTO_TEST_CASE(backends_that_were_left_behind_are_known_until_they_were_ended) {
    Hosts hosts("host=a,b port=1");
    hosts.suspect("b:1", 7);
    const Host seen = hosts.in_order()[1];
    BOOST_TEST(seen.left_behind == std::vector<int>{7});
    hosts.suspect("b:1", 8);
    hosts.settle(seen);
    BOOST_TEST(hosts.in_order()[1].left_behind == std::vector<int>{8});
}

BOOST_AUTO_TEST_SUITE_END()
