// Percent-encoding (RFC 3986, 2.1) and the form encoding of query strings that builds on it. Knows
// neither which parts a URI has nor what its text means. Pure functions: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace app {

// Appends `text` with every byte encoded but RFC 3986's unreserved characters and those of `kept`.
void append_percent_encoded(std::string& out, std::string_view text, std::string_view kept = {});

// A name or a value of a query string, where '+' is a space. None: a '%' without two digits.
std::optional<std::string> form_decoded(std::string_view text);

}  // namespace app
