// Log lines as text, and the one place that writes them.
#include "log.hpp"

#include "json.hpp"

#include <unistd.h>
#include <ctime>

namespace app {
namespace {

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

}  // namespace

std::string log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
    std::string line = R"({"time":")" + utc_now() + '"' + json_member("level", level) + json_member("event", event);
    for (const LogField& field : fields) {
        std::visit([&](auto value) { line += json_member(field.name, value); }, field.value);
    }
    return line + "}\n";
}

void Log::write(std::string_view lines) noexcept {
    const std::lock_guard lock(mutex_);
    const ssize_t written = ::write(fd_, lines.data(), lines.size());
    if (written <= 0 || static_cast<std::size_t>(written) == lines.size()) return;
    // A disk that filled up in the middle of a line: take the part back. Fails on a pipe, which has no such case.
    const off_t end = ::lseek(fd_, 0, SEEK_END);
    if (end >= written && ::ftruncate(fd_, end - written) != 0) return;
}

}  // namespace app
