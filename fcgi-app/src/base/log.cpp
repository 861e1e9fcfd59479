// Log lines as text, and the one place that writes them. What keeps a write from waiting differs by kind: a pipe or terminal is
// opened anew, as O_NONBLOCK on what is shared would be everybody's; a socket is asked by each send; a file takes what it gets.
#include "base/log.hpp"

#include "text/json_text.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace app {
namespace {

constexpr mode_t file_mode = 0640;  // clients' words stand in it

std::string utc_now() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    char text[sizeof "2026-11-24T03:33:00"];
    std::strftime(text, sizeof text, "%FT%T", &parts);
    const std::string micros = std::to_string(1'000'000 + now.tv_nsec / 1000);
    return std::string(text) + '.' + micros.substr(1) + 'Z';
}

std::string member_of(std::string_view name, std::int64_t number) { return json_member(name, number); }

std::string member_of(std::string_view name, std::string_view text) {
    std::string member = json_member(name, text);
    while (member.size() > log_text_max_bytes) {
        text = text.substr(0, text.size() / 2);
        member = json_member(name, text);
    }
    return member;
}

std::int64_t count_lines(std::string_view lines) { return std::ranges::count(lines, '\n'); }

// The lines at the front that a pipe takes whole; empty: not even the first.
std::string_view first_piece(std::string_view lines) {
    if (lines.size() <= log_line_max_bytes) return lines;
    const auto end = lines.rfind('\n', log_line_max_bytes - 1);
    return lines.substr(0, end == lines.npos ? 0 : end + 1);
}

// Fails on what is neither pipe nor terminal, and on those of another user: then poll() alone says whether there is room.
void open_anew_without_waiting(int fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int own = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0) return;
    ::dup2(own, fd);
    ::close(own);
}

}  // namespace

std::string log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
    std::string line = R"({"time":")" + utc_now() + '"' + json_member("level", level) + json_member("event", event);
    for (const LogField& field : fields) {
        std::visit([&](auto value) { line += member_of(field.name, value); }, field.value);
    }
    return line + "}\n";
}

Log::Log(int fd) : fd_(fd) {
    look_at_kind();
    if (!is_file_ && !is_socket_) open_anew_without_waiting(fd_);
}

void Log::look_at_kind() {
    struct stat status {};
    const bool known = ::fstat(fd_, &status) == 0;
    is_file_ = known && S_ISREG(status.st_mode);
    is_socket_ = known && S_ISSOCK(status.st_mode);
}

void Log::write(std::string_view lines) {
    const std::lock_guard lock(mutex_);
    dropped_ += catch_up() ? put(lines) : count_lines(lines);
}

void Log::report_dropped() {
    const std::lock_guard lock(mutex_);
    catch_up();
}

void Log::reopen(const std::string& path) {
    const int opened =
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, file_mode);
    if (opened < 0)
        return error("log_not_opened",
                     {{"path", std::string_view(path)}, {"reason", std::string_view(std::strerror(errno))}});
    const std::lock_guard lock(mutex_);
    catch_up();
    ::dup2(opened, fd_);
    ::close(opened);
    begun_.clear();
    look_at_kind();
}

// What has to go first: the rest of a line that was begun, and how many were dropped. False: there is no room for it.
bool Log::catch_up() {
    if (!begun_.empty()) begun_.erase(0, write_now(begun_));
    if (begun_.empty() && dropped_ > 0 && put(log_line("warning", "log_lines_dropped", {{"count", dropped_}})) == 0)
        dropped_ = 0;
    return begun_.empty() && dropped_ == 0;
}

// Returns how many lines were not taken.
std::int64_t Log::put(std::string_view lines) {
    std::int64_t too_long = 0;
    while (!lines.empty()) {
        const std::string_view piece = is_file_ ? lines : first_piece(lines);
        if (piece.empty()) {
            lines.remove_prefix(std::min(lines.find('\n'), lines.size() - 1) + 1);
            ++too_long;
            continue;
        }
        const std::size_t written = write_now(piece);
        if (written < piece.size()) return too_long + keep_whole_lines(lines, written);
        lines.remove_prefix(written);
    }
    return too_long;
}

// Of `lines` only the first bytes were written. A part of a line is taken back or, where that cannot be, completed later; returns
// how many lines are lost.
std::int64_t Log::keep_whole_lines(std::string_view lines, std::size_t written) {
    const std::size_t whole = lines.substr(0, written).rfind('\n') + 1;  // 0 if there is none
    if (written == whole || take_back(written - whole)) return count_lines(lines.substr(whole));
    const std::size_t end = std::min(lines.find('\n', written), lines.size() - 1) + 1;
    begun_ = lines.substr(written, end - written);
    return count_lines(lines.substr(end));
}

// For a disk that filled up in the middle of a line. Fails on what is no file.
bool Log::take_back(std::size_t bytes) const {
    const off_t begin = ::lseek(fd_, 0, SEEK_END) - static_cast<off_t>(bytes);
    return begin >= 0 && ::ftruncate(fd_, begin) == 0;
}

// Returns how many bytes were.
std::size_t Log::write_now(std::string_view piece) const {
    ssize_t written = 0;
    pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (is_socket_) {
        written = ::send(fd_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (is_file_ || ::poll(&room, 1, 0) == 1) {
        written = ::write(fd_, piece.data(), piece.size());
    }
    return static_cast<std::size_t>(std::max<ssize_t>(written, 0));
}

}  // namespace app
