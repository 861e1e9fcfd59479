// Writing JSON (RFC 8259) by hand, which is shorter and faster than a library for objects this plain. Knows nothing of what
// they say. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace app {

// Appends `text`, quoted and escaped; each byte that is not UTF-8 in it becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

std::string json_string(std::string_view text);

// A member behind another one, comma first; nothing where `text` is empty. `name` is a literal: it is not escaped.
std::string json_member(std::string_view name, std::string_view text);
std::string json_member(std::string_view name, std::int64_t number);

}  // namespace app
