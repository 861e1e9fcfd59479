// A value that comes by its name as text, in a query string or in the environment: where it is kept, and what a person is told of
// one that is wrong. Knows nothing of which there are. Pure functions: any thread.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace app {

struct Parameter {
    std::string name;
    std::string rule;                                  // what a person is told, behind the name: "must be …"
    std::function<bool(std::string_view value)> keep;  // false: it is not what it must be
    bool seen = false;                                 // by the search for repeated ones
};

// A number as std::to_string would write it; none if it is not that, or not from `least` to `most`.
inline std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most) {
    std::int64_t number = 0;
    std::from_chars(text.begin(), text.end(), number);
    return std::to_string(number) == text && number >= least && number <= most ? std::optional(number) : std::nullopt;
}

// "open or done", "a, b or c".
inline std::string joined_by_or(std::span<const std::string_view> choices) {
    std::string words;
    for (const std::string_view& choice : choices)
        words.append(words.empty() ? "" : &choice == &choices.back() ? " or " : ", ").append(choice);
    return words;
}

// Kept in `kept`, which outlives it; a Number may be a duration.
template <class Number>
Parameter whole_number(std::string name, Number& kept, std::int64_t least, std::int64_t most) {
    return {std::move(name), "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most),
            [&kept, least, most](std::string_view text) {
                const auto number = parse_number(text, least, most);
                if (number) kept = static_cast<Number>(*number);
                return number.has_value();
            }};
}

// One of `choices`, of which there are two at least and which outlive it.
inline Parameter one_of(std::string name, std::string& kept, std::span<const std::string_view> choices) {
    return {std::move(name), "must be " + joined_by_or(choices), [&kept, choices](std::string_view text) {
                kept = text;
                return std::ranges::find(choices, text) != choices.end();
            }};
}

}  // namespace app
