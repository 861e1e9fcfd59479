// The gate, byte by byte: what is a whole request, what may become one, what never will.
#include "fastcgi/gate.hpp"
#include "http/limits.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace {

using app::Framing;

std::string record(int type, const std::string& content, int id = 1, int padding = 0, int version = 1) {
    const auto octet = [](std::size_t value) { return static_cast<char>(value & 0xff); };
    const auto number = static_cast<std::size_t>(id);
    std::string header{static_cast<char>(version), static_cast<char>(type), octet(number >> 8),         octet(number),
                       octet(content.size() >> 8), octet(content.size()),   static_cast<char>(padding), 0};
    return header + content + std::string(static_cast<std::size_t>(padding), '\0');
}

std::string begin(int role = 1) { return record(1, std::string{0, static_cast<char>(role), 1, 0, 0, 0, 0, 0}); }

std::string pair(const std::string& name, const std::string& value) {
    return std::string{static_cast<char>(name.size()), static_cast<char>(value.size())} + name + value;
}

std::string request(const std::string& params, const std::string& body) {
    return begin() + record(4, params) + record(4, "") + (body.empty() ? "" : record(5, body)) + record(5, "");
}

const std::string get = request(pair("REQUEST_METHOD", "GET") + pair("CONTENT_LENGTH", ""), "");
const std::string post = request(pair("CONTENT_LENGTH", "2"), "{}");

struct Case {
    const char* title;
    std::string bytes;
    Framing verdict;
};
std::ostream& operator<<(std::ostream& out, const Case& row) { return out << row.title; }

const std::string long_length{"\x80\x00\x00\x0e\x03REQUEST_METHODGET", 22};

const std::vector<Case> cases{
    {"a request without a body", get, Framing::whole},
    {"a request with a body", post, Framing::whole},
    {"padding is no content", begin() + record(4, pair("A", "b"), 1, 7) + record(4, "") + record(5, "", 1, 8),
     Framing::whole},
    {"parameters in two records",
     begin() + record(4, pair("A", "bc").substr(0, 3)) + record(4, pair("A", "bc").substr(3)) + record(4, "") +
         record(5, ""),
     Framing::whole},
    {"a body in two records",
     begin() + record(4, pair("CONTENT_LENGTH", "4")) + record(4, "") + record(5, "ab") + record(5, "cd") +
         record(5, ""),
     Framing::whole},
    {"a length of four octets", request(long_length, ""), Framing::whole},
    {"no parameters at all", begin() + record(4, "") + record(5, ""), Framing::whole},
    {"nothing yet", "", Framing::incomplete},
    {"half a header", begin().substr(0, 4), Framing::incomplete},
    {"a request without its last byte", post.substr(0, post.size() - 1), Framing::incomplete},
    {"another version", record(1, std::string{0, 1, 1, 0, 0, 0, 0, 0}, 1, 0, 2), Framing::malformed},
    {"a wrong version seen in one byte", "\x02", Framing::malformed},
    {"an unknown type seen in two bytes", "\x01\x0c", Framing::malformed},
    {"a role that is not the responder's", begin(2) + record(4, "") + record(5, ""), Framing::malformed},
    {"an id of nought", record(1, std::string{0, 1, 1, 0, 0, 0, 0, 0}, 0), Framing::malformed},
    {"an id that changes", begin() + record(4, "", 2), Framing::malformed},
    {"a management record (GET_VALUES)", record(9, pair("FCGI_MAX_CONNS", ""), 0), Framing::malformed},
    {"an abort", begin() + record(2, ""), Framing::malformed},
    {"a body before the parameters end", begin() + record(5, ""), Framing::malformed},
    {"parameters after the body began", begin() + record(4, "") + record(5, "a") + record(4, ""), Framing::malformed},
    {"a second request behind the first", get + begin(), Framing::malformed},
    {"one byte behind the request", get + '\0', Framing::malformed},
    {"a body shorter than its declared length", request(pair("CONTENT_LENGTH", "3"), "{}"), Framing::malformed},
    {"a body longer than its declared length", request(pair("CONTENT_LENGTH", "1"), "{}"), Framing::malformed},
    {"a body of which no length was declared", request(pair("A", "b"), "{}"), Framing::malformed},
    {"two lengths, the first wrong", request(pair("CONTENT_LENGTH", "9") + pair("CONTENT_LENGTH", "2"), "{}"),
     Framing::malformed},
    {"two lengths, the second wrong", request(pair("CONTENT_LENGTH", "2") + pair("CONTENT_LENGTH", "9"), "{}"),
     Framing::malformed},
    {"a length that is no number", request(pair("CONTENT_LENGTH", "2x"), "{}"), Framing::malformed},
    {"a negative length", request(pair("CONTENT_LENGTH", "-2"), "{}"), Framing::malformed},
    {"a name longer than the parameters",
     request(std::string("\x7f\x01"
                         "A",
                         3),
             ""),
     Framing::malformed},
    {"lengths that overflow when added",
     request(std::string("\xff\xff\xff\xff\xff\xff\xff\xff"
                         "A",
                         9),
             ""),
     Framing::malformed},
    {"a length cut in the middle", request(std::string("\x80\x00", 2), ""), Framing::malformed},
    {"a name without a length of its value", request(std::string("\x01", 1), ""), Framing::malformed},
    {"a parameter without a name", request(pair("", "b"), ""), Framing::malformed},
    {"a NUL in a name", request(pair(std::string("A\0B", 3), "c"), ""), Framing::malformed},
    {"a NUL in a value", request(pair("A", std::string("b\0c", 3)), ""), Framing::malformed},
};

// A well-formed request of this many bytes, most of them one long parameter in records of at most 60,000.
std::string of_size(std::size_t bytes) {
    const std::size_t records = bytes / 60'000 + 1;
    const std::size_t frame = begin().size() + (records + 2) * 8;
    const std::string value(bytes - frame - 9, 'x');  // 9: the lengths and the name
    const auto octet = [&](int shift) { return static_cast<char>(value.size() >> shift & 0xff); };
    const std::string length{'\x80', octet(16), octet(8), octet(0)};  // below 16 MiB
    const std::string params = std::string{4} + length + "NAME" + value;
    std::string all = begin();
    for (std::size_t i = 0; i < records; ++i)
        all += record(4, params.substr(i * params.size() / records,
                                       (i + 1) * params.size() / records - i * params.size() / records));
    return all + record(4, "") + record(5, "");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gate_test, *boost::unit_test::timeout(10))

BOOST_DATA_TEST_CASE(verdicts, boost::unit_test::data::make(cases), row) {
    BOOST_TEST((app::inspect(row.bytes) == row.verdict));
}

BOOST_AUTO_TEST_CASE(every_beginning_of_a_request_is_incomplete) {
    for (std::size_t length = 0; length < post.size(); ++length) {
        BOOST_TEST((app::inspect(post.substr(0, length)) == Framing::incomplete), "at " << length);
    }
}

BOOST_AUTO_TEST_CASE(a_request_may_be_as_large_as_the_limit_and_no_larger) {
    BOOST_TEST(of_size(app::request_max_bytes).size() == app::request_max_bytes);
    BOOST_TEST((app::inspect(of_size(app::request_max_bytes)) == Framing::whole));
    BOOST_TEST((app::inspect(of_size(app::request_max_bytes + 1)) == Framing::oversized));
    // What fills the limit and is not whole never will be.
    BOOST_TEST(
        (app::inspect(of_size(app::request_max_bytes + 1).substr(0, app::request_max_bytes)) == Framing::oversized));
}

BOOST_AUTO_TEST_CASE(the_largest_body_in_single_bytes_fits_beside_the_largest_parameters) {
    const std::string length = pair("CONTENT_LENGTH", std::to_string(app::body_max_bytes));
    std::string params = length;
    while (params.size() + 250 < app::parameters_max_bytes) params += pair("HTTP_X", std::string(100, 'x'));
    std::string bytes = begin() + record(4, params) + record(4, "");
    for (std::size_t i = 0; i < app::body_max_bytes; ++i) bytes += record(5, "x", 1, 7);
    BOOST_TEST((app::inspect(bytes) == Framing::incomplete));
    BOOST_TEST((app::inspect(bytes + record(5, "")) == Framing::whole));
}

BOOST_AUTO_TEST_CASE(the_id_of_a_request_is_found_in_what_has_come_of_it) {
    const std::string params = pair("A", "b") + pair("REQUEST_ID", "4711") + pair("C", "d");
    BOOST_TEST(app::request_id_in(begin() + record(4, params)) == "4711");
    BOOST_TEST(app::request_id_in(begin() + record(4, params.substr(0, 9)) + record(4, params.substr(9))) == "4711");
    BOOST_TEST(app::request_id_in(begin() + record(4, pair("REQUEST_ID", std::string(100, 'x')))).size() == 64U);
    for (const std::string& none : {std::string(), begin(), begin() + record(4, params).substr(0, 20), get,
                                    std::string("GET / HTTP/1.1\r\n\r\n"), begin() + record(4, "\xff")}) {
        BOOST_TEST(app::request_id_in(none).empty());
    }
}

BOOST_AUTO_TEST_CASE(random_changes_of_a_request_are_survived) {
    std::mt19937 random(1);  // NOLINT: the same each time, on purpose
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes = post;
        for (int change = 0; change < 3; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
        app::inspect(bytes);
    }
}

BOOST_AUTO_TEST_SUITE_END()
