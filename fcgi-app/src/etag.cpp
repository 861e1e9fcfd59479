// Hashing a body, and reading If-None-Match.
#include "etag.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>

namespace app {
namespace {

constexpr std::string_view blanks = " \t";

void skip(std::string_view& rest, std::string_view skipped) {
    rest.remove_prefix(std::min(rest.find_first_not_of(skipped), rest.size()));
}

// Or one of the quotes around it.
bool is_tag_character(unsigned char c) { return c > ' ' && c != '\x7f'; }

}  // namespace

std::string strong_etag(std::string_view body) {
    char tag[sizeof "\"0123456789abcdef\""];
    std::snprintf(tag, sizeof tag, "\"%016zx\"", std::hash<std::string_view>()(body));
    return tag;
}

bool if_none_match(std::string_view header, std::string_view etag) {
    skip(header, blanks);
    if (header.starts_with('*')) return header.find_first_not_of(blanks, 1) == std::string_view::npos;
    bool found = false;
    for (;;) {
        skip(header, ", \t");  // a list may have empty elements: 5.6.1
        if (header.empty()) return found;
        if (header.starts_with("W/")) header.remove_prefix(2);  // case-sensitive: 8.8.3
        const auto end = header.find('"', 1);
        if (!header.starts_with('"') || end == std::string_view::npos) return false;
        const std::string_view tag = header.substr(0, end + 1);
        if (!std::ranges::all_of(tag, is_tag_character)) return false;
        found = found || tag == etag;
        header.remove_prefix(tag.size());
        skip(header, blanks);
        if (!header.empty() && !header.starts_with(',')) return false;
    }
}

}  // namespace app
