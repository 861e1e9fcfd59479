// Text as bytes: UTF-8 by RFC 3629 (no overlong forms, no surrogates, nothing above U+10FFFF), the encodings of URIs, and
// escaping. Knows neither what a text means nor which characters a name may have. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace app {

// Takes the first character off `rest`, which is not empty. None, and one byte taken, where it is not UTF-8.
std::optional<char32_t> take_code_point(std::string_view& rest);

bool is_utf8(std::string_view text);
std::size_t count_code_points(std::string_view text);  // each byte that is not UTF-8 counts as one

// `text` with `escape` before each character that is one of `special`.
std::string escaped(std::string_view text, std::string_view special, char escape);

// `text` with every byte as %XX but RFC 3986's unreserved characters (2.3) and those of `kept`.
std::string percent_encoded(std::string_view text, std::string_view kept = {});

// A name or a value of a query string, where '+' is a space; any bytes. None: a '%' without two digits.
std::optional<std::string> form_decoded(std::string_view text);

}  // namespace app
