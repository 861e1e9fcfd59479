// Entity tags (RFC 9110, 8.8.3): making one for a body, and finding it among a client's (13.1). Knows nothing of what a body
// says. Pure functions: any thread.
#pragma once

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace app {

// A strong tag, quoted: 64 bits of the standard library's hash, the same in all processes that are built alike. It guards
// against chance, not malice; that is enough, as no client chooses a whole body: its numbers and times are the service's.
inline std::string strong_etag(std::string_view body) {
    char tag[sizeof "\"0123456789abcdef\""];
    std::snprintf(tag, sizeof tag, "\"%016zx\"", std::hash<std::string_view>()(body));
    return tag;
}

// Whether If-None-Match lists `etag` or is `*`; compared weakly (13.1.2). No tag has a quote inside, so that nothing else in a list
// can look like one with both of its quotes.
inline bool if_none_match(std::string_view header, std::string_view etag) {
    if (header.find_first_not_of(" \t*") == header.npos) return std::ranges::count(header, '*') == 1;
    return header.find(etag) != header.npos;
}

// Whether If-Match lists `etag`, or is `*` or absent (13.1.1). Compared strongly but for W/: nginx weakens what it compresses.
// A list ends where it is malformed: what is not certain to be meant is not done.
inline bool if_match(std::string_view header, std::string_view etag) {
    if (header.empty() || header == "*") return true;
    constexpr std::string_view blanks = " \t";
    constexpr std::string_view gaps = " \t,";
    while (true) {
        header.remove_prefix(std::min(header.find_first_not_of(gaps), header.size()));
        if (header.starts_with("W/")) header.remove_prefix(2);
        const auto end = header.starts_with('"') ? header.find('"', 1) : header.npos;
        if (end == header.npos) return false;
        const std::string_view tag = header.substr(0, end + 1);
        header.remove_prefix(tag.size());
        header.remove_prefix(std::min(header.find_first_not_of(blanks), header.size()));
        if (!header.empty() && header.front() != ',') return false;
        if (tag == etag) return true;
    }
}

}  // namespace app
