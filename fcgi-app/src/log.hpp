// The app's log: one JSON object a line, on a descriptor. Knows nothing of what is logged. Any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

namespace app {

// `name` is a literal: it is not escaped. A text may have any bytes; an empty one is left out.
struct LogField {
    std::string_view name;
    std::variant<std::string_view, std::int64_t> value;
};

// One line, newline included; `level` is "info", "warning" or "error".
std::string log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields);

class Log {
public:
    using Fields = std::initializer_list<LogField>;

    // Does not close `fd`. -1: nothing is written.
    explicit Log(int fd) : fd_(fd) {}

    // Writes lines, each with its newline, by one call, whole or not at all. A log that cannot be written (a full disk)
    // stops nobody.
    void write(std::string_view lines) noexcept;
    void info(std::string_view event, Fields fields) { write(log_line("info", event, fields)); }
    void warning(std::string_view event, Fields fields) { write(log_line("warning", event, fields)); }
    void error(std::string_view event, Fields fields) { write(log_line("error", event, fields)); }

private:
    const int fd_;
    std::mutex mutex_;
};

}  // namespace app
