// Log lines: their shape, that what a client sent cannot break one, and that a reader who stalls holds nobody up: whatever the
// descriptor is, a line is written whole, or dropped and counted.
#include "base/log.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

// A reader at [0] and a writer at [1].
using Ends = std::array<int, 2>;

void close(const Ends& ends) {
    for (const int end : ends) ::close(end);
}

Ends make_pipe() {
    Ends ends{};
    BOOST_REQUIRE(::pipe(ends.data()) == 0);
    return ends;
}

Ends make_sockets() {
    Ends ends{};
    BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    return ends;
}

Ends make_terminal() {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    BOOST_REQUIRE((master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0));
    return {master, ::open(::ptsname(master), O_WRONLY | O_NOCTTY)};
}

struct Kind {
    const char* name;
    Ends (*make)();
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }
const std::vector<Kind> kinds{{"pipe", make_pipe}, {"socket", make_sockets}, {"terminal", make_terminal}};

// What lies there to be read, without waiting.
std::string read_all(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    std::string text;
    std::array<char, 4096> piece{};
    for (ssize_t count = 0; (count = ::read(fd, piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<std::size_t>(count));
    std::erase(text, '\r');  // a terminal's
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    BOOST_TEST((text.empty() || text.ends_with('\n')));
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::vector<std::string> read_lines(int fd) { return lines_of(read_all(fd)); }

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

struct Folder {
    Folder() { std::filesystem::create_directory(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path); }
    const std::string path = "/tmp/log_test." + std::to_string(::getpid());
};

// "1 xxxx…", "2 xxxx…", …: `count` lines of `bytes` each.
std::string numbered(int count, std::size_t bytes) {
    std::string lines;
    for (int i = 1; i <= count; ++i) {
        std::string line = std::to_string(i) + ' ';
        line.append(bytes - line.size() - 1, 'x');
        lines += line + '\n';
    }
    return lines;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(log_test, *boost::unit_test::timeout(10))

BOOST_AUTO_TEST_CASE(a_line_is_one_json_object_with_its_time_first) {
    const std::string line = app::log_line("info", "item_added", {{"request_id", "r"}, {"id", 7}, {"none", ""}});
    const std::size_t time_end = sizeof R"({"time":"2026-11-24T03:33:00.123456Z")" - 1;
    BOOST_TEST(line.substr(time_end) ==
               ",\"level\":\"info\",\"event\":\"item_added\",\"request_id\":\"r\",\"id\":7}\n");
    BOOST_TEST(line.starts_with("{\"time\":\"20"));
    BOOST_TEST(line.substr(time_end - 2, 2) == "Z\"");
}

BOOST_AUTO_TEST_CASE(a_value_cannot_end_its_line_or_its_string) {
    const std::string line = app::log_line("info", "e", {{"reason", "a\"b\\c\nd\x01\xff"}});
    BOOST_TEST(line.ends_with(",\"reason\":\"a\\\"b\\\\c\\u000ad\\u0001\xef\xbf\xbd\"}\n"));
}

BOOST_AUTO_TEST_CASE(a_long_text_is_cut_so_that_a_line_is_never_too_long) {
    const std::string long_text(200'000, '\x01');
    const std::string line = app::log_line(
        "warning", "refused", {{"request_id", long_text}, {"status", 500}, {"type", long_text}, {"detail", long_text}});
    BOOST_TEST(line.size() < app::log_line_max_bytes);
    BOOST_TEST(line.size() > app::log_text_max_bytes);
    BOOST_TEST(line.find("\",\"status\":500,\"type\":\"") != line.npos);
    BOOST_TEST(line.ends_with("\\u0001\"}\n"));
}

BOOST_AUTO_TEST_CASE(a_text_at_the_limit_is_not_cut) {
    const std::string text(app::log_text_max_bytes - std::string_view(R"(,"t":"")").size(), 'x');
    BOOST_TEST(app::log_line("info", "e", {{"t", text}}).find(text + '"') != std::string::npos);
    BOOST_TEST(app::log_line("info", "e", {{"t", text + 'x'}}).find(text + '"') == std::string::npos);
}

BOOST_DATA_TEST_CASE(lines_are_written_to_the_descriptor, boost::unit_test::data::make(kinds), kind) {
    const Ends ends = kind.make();
    app::Log log(ends[1]);
    log.write("one\ntwo\n");
    log.report_dropped();
    std::string text;
    while (text.size() < 8) text += read_all(ends[0]);
    BOOST_TEST(text == "one\ntwo\n");
    close(ends);
}

BOOST_DATA_TEST_CASE(a_reader_who_stalls_holds_nobody_up_and_learns_how_many_lines_it_missed,
                     boost::unit_test::data::make(kinds), kind) {
    const Ends ends = kind.make();
    app::Log log(ends[1]);
    constexpr int batches = 5000;  // of 250 bytes: more than each of them takes
    for (int i = 0; i < batches; ++i) log.write(numbered(2, 125));
    // A terminal has room again before its reader takes anything, so there may be several reports; and it gives in parts.
    std::string text;
    std::size_t written = 0;
    std::size_t dropped = 0;
    while (written + dropped < 2 * batches) {
        log.report_dropped();
        text += read_all(ends[0]);
        if (!text.ends_with('\n')) continue;
        written = dropped = 0;
        for (const std::string& line : lines_of(text)) {
            const bool reports = line.find(R"("level":"warning","event":"log_lines_dropped","count":)") != line.npos;
            BOOST_REQUIRE_MESSAGE(reports || line.size() == 124, line);
            written += !reports;
            if (reports) dropped += std::stoul(line.substr(line.rfind(':') + 1));
        }
    }
    BOOST_TEST(written > 10U);
    BOOST_TEST(dropped > 0U);
    BOOST_TEST(written + dropped == 2U * batches);
    log.write("again\n");
    while (!text.ends_with("}\nagain\n")) text += read_all(ends[0]);
    close(ends);
}

BOOST_AUTO_TEST_CASE(a_batch_that_a_pipe_does_not_take_by_one_write_is_written_in_whole_lines) {
    const Ends ends = make_pipe();
    app::Log log(ends[1]);
    log.write(numbered(20, 1000));
    BOOST_TEST(read_lines(ends[0]).size() == 20U);
    const std::string whole = numbered(1, app::log_line_max_bytes);
    log.write(whole + numbered(1, app::log_line_max_bytes + 1) + "behind\n");
    const std::vector<std::string> lines = read_lines(ends[0]);
    BOOST_REQUIRE(lines.size() == 2U);
    BOOST_TEST(lines[0] + '\n' == whole);
    BOOST_TEST(lines[1] == "behind");
    log.report_dropped();
    BOOST_TEST(read_lines(ends[0]).at(0).ends_with(R"("event":"log_lines_dropped","count":1})"));
    close(ends);
}

BOOST_AUTO_TEST_CASE(who_shares_the_pipe_does_not_notice) {
    const Ends ends = make_pipe();
    const int shared = ::dup(ends[1]);
    const app::Log log(ends[1]);
    BOOST_TEST((::fcntl(ends[1], F_GETFL) & O_NONBLOCK) != 0);
    BOOST_TEST((::fcntl(shared, F_GETFL) & O_NONBLOCK) == 0);
    ::close(shared);
    close(ends);
}

BOOST_AUTO_TEST_CASE(a_pipe_that_nobody_reads_any_more_stops_nobody) {
    std::signal(SIGPIPE, SIG_IGN);
    const Ends ends = make_pipe();
    app::Log log(ends[1]);
    ::close(ends[0]);
    log.write("nobody\n");
    log.report_dropped();
    ::close(ends[1]);
    std::signal(SIGPIPE, SIG_DFL);
}

BOOST_AUTO_TEST_CASE(a_file_that_can_grow_no_more_holds_whole_lines_and_says_so_once_it_can) {
    const Folder folder;
    const std::string path = folder.path + "/a.log";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    app::Log log(fd);
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{.rlim_cur = 250, .rlim_max = before.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
    log.write(numbered(5, 100));
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_DFL);
    BOOST_TEST(text_of(path) == numbered(2, 100));
    log.write("behind\n");
    const std::string text = text_of(path).substr(200);
    BOOST_TEST(text.find("\"log_lines_dropped\",\"count\":3}\nbehind\n") != text.npos);
    ::close(fd);
}

BOOST_AUTO_TEST_CASE(a_file_that_was_moved_away_is_opened_anew_and_no_line_is_lost_or_cut) {
    const Folder folder;
    const std::string path = folder.path + "/a.log";
    const int fd = ::open("/dev/null", O_WRONLY);
    app::Log log(fd);
    log.reopen(path);
    constexpr int lines = 2000;
    std::jthread writer([&log] {
        for (int i = 0; i < lines; ++i) log.info("line", {{"number", i}});
    });
    for (int i = 0; i < 20; ++i) {
        std::filesystem::rename(path, folder.path + "/" + std::to_string(i));
        log.reopen(path);
    }
    writer.join();
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator(folder.path)) {
        const std::string text = text_of(file.path());
        BOOST_TEST((text.empty() || (text.starts_with("{\"time\"") && text.ends_with("}\n"))));
        all += text;
    }
    BOOST_TEST(std::ranges::count(all, '\n') == lines);
    BOOST_TEST(static_cast<unsigned>(std::filesystem::status(path).permissions()) == 0640U);
    ::close(fd);
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_opened_is_named_and_the_log_stays_where_it_is) {
    const Ends ends = make_pipe();
    app::Log log(ends[1]);
    log.reopen("/nowhere/a.log");
    log.write("behind\n");
    const std::vector<std::string> lines = read_lines(ends[0]);
    BOOST_TEST(lines.at(0).ends_with(
        R"("level":"error","event":"log_not_opened","path":"/nowhere/a.log","reason":"No such file or directory"})"));
    BOOST_TEST(lines.at(1) == "behind");
    close(ends);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_written_stops_nobody) {
    app::Log log(-1);
    log.error("nobody_hears_it", {});
}

BOOST_AUTO_TEST_SUITE_END()
