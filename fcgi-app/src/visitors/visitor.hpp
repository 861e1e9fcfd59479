// Visitors as values, their members said once, the questions that can be asked about them, and how each is read from what a
// client sends. Knows neither SQL nor sockets. Plain values and pure functions: any thread.
#pragma once

#include "http/http.hpp"
#include "http/limits.hpp"
#include "text/fields.hpp"
#include "text/text.hpp"

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace app {

// Trimmed; the table has the same rule as a CHECK.
constexpr TextRule name_rule{.code_points_max = 50};

constexpr std::int64_t id_max = std::numeric_limits<std::int64_t>::max();

struct Visitor {
    std::int64_t id = 0;  // 1 to id_max
    std::string name;     // valid UTF-8
    Time created_at;
};
constexpr auto visitor_fields =
    fields(Field{"id", &Visitor::id}, Field{"name", &Visitor::name}, Field{"created_at", &Visitor::created_at});

// What a client asks for, trimmed and checked. None: the visitor is called Visitor_{id}.
using Name = std::optional<std::string>;

// Of a request to add one. nginx (clients.conf) has the same, as tests/lint looks.
constexpr std::size_t visitor_body_max_bytes = 4096;
static_assert(visitor_body_max_bytes <= body_max_bytes);

// The largest `limit` of a page.
constexpr int page_max_visitors = 100;

// Two questions that compare equal get the same answer.
struct PageQuestion {
    int limit = 20;                      // 1 to page_max_visitors
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
// For the next rows of the CSV export, as many as are read and sent at once.
struct RowsQuestion {
    std::int64_t after = 0;  // ids above this

    auto operator<=>(const RowsQuestion&) const = default;
};
using Question = std::variant<PageQuestion, VisitorQuestion, StatsQuestion, RowsQuestion>;

struct Page {
    std::vector<Visitor> visitors;      // newest first, at most the limit
    bool more = false;                  // older ones exist
    std::optional<std::int64_t> total;  // of all, or of the matches; none where counting takes too long
};

struct DayCount {
    std::string day;  // 2026-11-24, UTC
    std::int64_t count = 0;
};
constexpr auto day_fields = fields(Field{"day", &DayCount::day}, Field{"count", &DayCount::count});

struct Stats {
    std::int64_t total = 0;
    std::vector<DayCount> days;  // newest first, the first is today
};

// The name of the visitor that `body` asks for; an empty body asks for none. What read_json_members() refuses, then a bad name,
// a 422.
Result<Name> parse_new_visitor(std::string_view body);

// `query` is as sent, without the '?'.
Result<PageQuestion> parse_page_question(std::string_view query);
Result<StatsQuestion> parse_stats_question(std::string_view query);

// Where the page after `question`'s goes on, its last visitor being `last_id`; ASCII, safe in a header.
std::string next_link(const PageQuestion& question, std::int64_t last_id);

std::string to_json(const Page& page, std::string_view next);  // `next` empty: null
std::string to_json(const Stats& stats);

}  // namespace app
