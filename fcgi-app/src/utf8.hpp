// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. Knows no
// Unicode properties: which characters a name may have is visitor.cpp's. Pure functions: any
// thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace app {

bool is_utf8(std::string_view text);

// How many bytes of `text`, which is not empty, its first character has; 0 if they are not UTF-8.
std::size_t character_bytes(std::string_view text);

// What follows takes valid UTF-8 only.
std::size_t count_code_points(std::string_view utf8);

// The first code point of `rest`, which is not empty and then begins behind it.
char32_t next_code_point(std::string_view& rest);

}  // namespace app
