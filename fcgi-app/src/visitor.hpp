// Visitors as values, the questions that can be asked about them, and the rule for a name. Knows neither HTTP nor SQL nor
// JSON. Plain values and pure functions: any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace app {

// Counted in code points after trimming; the table has the same rule as a CHECK.
constexpr std::size_t name_max_code_points = 50;

constexpr std::int64_t id_max = std::numeric_limits<std::int64_t>::max();

struct Visitor {
    std::int64_t id = 0;     // 1 to id_max
    std::string name;        // valid UTF-8
    std::string created_at;  // RFC 3339 in UTC with six fractional digits: 2026-11-24T03:33:00.123456Z
};

// What a client asks for, trimmed and checked. None: the visitor is called Visitor_{id}.
using Name = std::optional<std::string>;

enum class NameFault {
    none,
    length,
    characters,  // one that no name may have
    blank,       // none that shows
};

// `text` without the Unicode white space at both ends.
std::string_view trim(std::string_view text);

// Whether `trimmed` may be a name; what is not UTF-8 is a fault of its characters.
NameFault check_name(std::string_view trimmed);

// A client's word to be shown in a sentence: in quotes, cut after 40 characters, U+FFFD for what no name may have.
std::string quoted(std::string_view text);

// Two questions that compare equal get the same answer.
struct PageQuestion {
    int limit = 20;                      // 1 to 100
    std::optional<std::int64_t> before;  // only smaller ids
    std::string text;                    // only names that contain it; empty: all

    auto operator<=>(const PageQuestion&) const = default;
};
struct VisitorQuestion {
    std::int64_t id = 0;

    auto operator<=>(const VisitorQuestion&) const = default;
};
struct StatsQuestion {
    int days = 30;  // 1 to 366

    auto operator<=>(const StatsQuestion&) const = default;
};

struct Page {
    std::vector<Visitor> visitors;      // newest first, at most the limit
    bool more = false;                  // older ones exist
    std::optional<std::int64_t> total;  // of all, or of the matches; none where counting takes too long
};

struct DayCount {
    std::string day;  // 2026-11-24, UTC
    std::int64_t count = 0;
};
struct Stats {
    std::int64_t total = 0;
    std::vector<DayCount> days;  // newest first, the first is today
};

}  // namespace app
