// Hashing a body, and reading If-None-Match.
#include "etag.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>

namespace app {
namespace {

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
    char tag[sizeof "\"0123456789abcdef\""];
    std::snprintf(tag, sizeof tag, "\"%016zx\"", std::hash<std::string_view>()(body));
    return tag;
}

bool if_none_match(std::string_view header, std::string_view etag) {
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
