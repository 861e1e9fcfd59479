// The app's log: one JSON object a line, on a descriptor. Knows nothing of what is logged. Any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

namespace app {

struct LogField {
    std::string_view name;
    std::variant<std::string_view, std::int64_t> value;
};

// One line, newline included; `level` is "info", "warning" or "error". Fields that are empty are left out.
std::string log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields);

// Writes lines whole or not at all. A log that cannot be written (a full disk) stops nobody.
class Log {
public:
    explicit Log(int fd) : fd_(fd) {}

    void write(std::string_view lines) noexcept;
    void info(std::string_view event, std::initializer_list<LogField> fields);
    void warning(std::string_view event, std::initializer_list<LogField> fields);
    void error(std::string_view event, std::initializer_list<LogField> fields);

private:
    const int fd_;
    std::mutex mutex_;
};

}  // namespace app
