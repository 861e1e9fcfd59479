// Hashing a body, and reading If-None-Match.
#include "etag.hpp"

#include <cstdio>
#include <functional>

namespace app {

std::string strong_etag(std::string_view body) {
    char tag[sizeof "\"0123456789abcdef\""];
    std::snprintf(tag, sizeof tag, "\"%016zx\"", std::hash<std::string_view>()(body));
    return tag;
}

bool if_none_match(std::string_view header, std::string_view etag) {
    const auto begin = header.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return false;
    const std::string_view listed = header.substr(begin, header.find_last_not_of(" \t") - begin + 1);
    // No tag has a quote inside, so this one, with its quotes, stands only where it is listed: alone, behind W/, between others.
    return listed == "*" || listed.find(etag) != std::string_view::npos;
}

}  // namespace app
