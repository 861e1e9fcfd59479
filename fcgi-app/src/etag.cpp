// Hashing a body, and reading If-None-Match.
#include "etag.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace app {
namespace {

// Multiplying by an odd number and xor-shifting can both be undone, so this loses nothing: bodies
// that differ in one word only never get the same tag, others by chance alone.
std::uint64_t stir(std::uint64_t state, std::uint64_t odd) {
    state *= odd;
    return state ^ state >> 32;
}

void append_hex(std::string& out, std::uint64_t number) {
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[number >> shift & 0xF];
}

void skip_blanks(std::string_view& rest) { rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size())); }

bool is_etag_character(char c) { return c == '!' || (c > '"' && c != '\x7f') || (c & 0x80) != 0; }

// Takes an entity tag off the front of `rest` and returns it without W/; empty: there is none.
std::string_view take_tag(std::string_view& rest) {
    if (rest.starts_with("W/")) rest.remove_prefix(2);  // case-sensitive: 8.8.3
    if (!rest.starts_with('"')) return {};
    const auto end = std::find_if_not(rest.begin() + 1, rest.end(), is_etag_character);
    if (end == rest.end() || *end != '"') return {};
    const std::string_view tag = rest.substr(0, static_cast<std::size_t>(end - rest.begin()) + 1);
    rest.remove_prefix(tag.size());
    return tag;
}

}  // namespace

std::string strong_etag(std::string_view body) {
    // Two chains of 64 bits that never meet, eight bytes a step; the length tells padding from
    // zeros.
    std::uint64_t left = body.size();
    std::uint64_t right = ~left;
    for (std::string_view rest = body; !rest.empty();) {
        std::uint64_t word = 0;
        const std::size_t bytes = std::min(rest.size(), sizeof word);
        std::memcpy(&word, rest.data(), bytes);
        left = stir(left ^ word, 0x9E3779B97F4A7C15);
        right = stir(right + word, 0xD6E8FEB86659FD93);
        rest.remove_prefix(bytes);
    }
    std::string tag = "\"";
    append_hex(tag, stir(left, 0xD6E8FEB86659FD93));
    append_hex(tag, stir(right, 0x9E3779B97F4A7C15));
    tag += '"';
    return tag;
}

bool if_none_match(std::string_view header, std::string_view etag) {
    if (etag.starts_with("W/")) etag.remove_prefix(2);
    skip_blanks(header);
    if (header.starts_with('*')) return header.find_first_not_of(" \t", 1) == std::string_view::npos;
    bool found = false;
    // A list may have empty elements (5.6.1), but between two tags there must be a comma.
    for (bool comma = true; !header.empty(); skip_blanks(header)) {
        if (header.starts_with(',')) {
            comma = true;
            header.remove_prefix(1);
            continue;
        }
        const std::string_view tag = comma ? take_tag(header) : std::string_view();
        if (tag.empty()) return false;
        found = found || tag == etag;
        comma = false;
    }
    return found;
}

}  // namespace app
