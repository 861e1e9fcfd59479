// What this service keeps, as values: their members said once, the rule of the text, the questions that can be asked, and how each is
// read from what a client sends. Knows neither SQL nor sockets. Plain values and pure functions: any thread.
#pragma once

#include "base/fields.hpp"
#include "base/text.hpp"
#include "http/http.hpp"

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace app {

// Trimmed; the table has the same length as a CHECK.
constexpr TextRule text_rule{.code_points_max = 200};

constexpr std::int64_t id_max = std::numeric_limits<std::int64_t>::max();

struct Entry {
    std::int64_t id = 0;  // 1 to id_max
    std::string text;     // valid UTF-8
    Time created_at;
};
// Each is a member of the JSON and, by its name and in this order, a column of the statements.
constexpr auto entry_fields =
    fields(Field{"id", &Entry::id}, Field{"text", &Entry::text}, Field{"created_at", &Entry::created_at});

// The largest `limit` of a page.
constexpr int page_max_entries = 100;

// Two questions that compare equal get the same answer.
struct PageQuestion {
    int limit = 20;                      // 1 to page_max_entries
    std::optional<std::int64_t> before;  // only smaller ids

    auto operator<=>(const PageQuestion&) const = default;
};
struct EntryQuestion {
    std::int64_t id = 0;

    auto operator<=>(const EntryQuestion&) const = default;
};
using Question = std::variant<PageQuestion, EntryQuestion>;

struct Page {
    std::vector<Entry> entries;  // newest first, at most the limit
    bool more = false;           // older ones exist
    std::int64_t total = 0;
};

// The text in the body of an addition.
Result<std::string> parse_text(std::string_view body);

// `query` is as sent, without the '?'.
Result<PageQuestion> parse_page_question(std::string_view query);

// The path of one.
std::string path_of(std::int64_t id);

// Where the page after `question`'s goes on, its last one being `last_id`.
std::string next_link(const PageQuestion& question, std::int64_t last_id);

std::string to_json(const Page& page, std::string_view next);  // `next` empty: null

}  // namespace app
