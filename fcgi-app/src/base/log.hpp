// The app's log: one JSON object a line, on a descriptor whose reader may stall: what cannot be written at once is dropped and
// counted, and the log says how much it was. Knows nothing of what is logged. Any thread.
#pragma once

#include <climits>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

namespace app {

// What a pipe takes whole or not at all.
constexpr std::size_t log_line_max_bytes = PIPE_BUF;
// A text, escaped and with its name; what is longer is cut. No event has more than three.
constexpr std::size_t log_text_max_bytes = 1024;
static_assert(log_line_max_bytes >= 4 * log_text_max_bytes);

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

    // Does not close `fd`. A pipe or terminal is opened anew under that number where that is permitted, and then no write to it
    // waits any more, ours or a library's; processes that have it, too, notice nothing. -1: nothing is written.
    explicit Log(int fd);

    // Writes lines, each with its newline and of at most log_line_max_bytes: each whole, or it is dropped and counted. Never
    // waits (for a disk as long as the kernel does). A log that cannot be written stops no thread.
    void write(std::string_view lines);
    void info(std::string_view event, Fields fields) { write(log_line("info", event, fields)); }
    void warning(std::string_view event, Fields fields) { write(log_line("warning", event, fields)); }
    void error(std::string_view event, Fields fields) { write(log_line("error", event, fields)); }

    // Says how many lines were dropped, if any were and if it can be said now. So does write(), before its own lines.
    void report_dropped();

    // Goes on in the file `path`, made if it is absent, under the same descriptor: no line is lost or cut. If it cannot be
    // opened, the log says why and stays where it is.
    void reopen(const std::string& path);

private:
    bool catch_up();
    std::int64_t put(std::string_view lines);
    std::int64_t keep_whole_lines(std::string_view lines, std::size_t written);
    bool take_back(std::size_t bytes) const;
    std::size_t write_now(std::string_view piece) const;
    void look_at_kind();

    const int fd_;
    std::mutex mutex_;  // guards the rest
    bool is_file_ = false;
    bool is_socket_ = false;
    std::int64_t dropped_ = 0;
    std::string begun_;  // the rest of a line that a socket or terminal took in part
};

}  // namespace app
