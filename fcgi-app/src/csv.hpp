// Visitors as CSV by RFC 4180: lines end in CRLF, a field is quoted only where it must be. Names are written as they are: a
// program that opens the file in a spreadsheet must import them as text. Knows nothing of HTTP. Pure functions: any thread.
#pragma once

#include "encoding.hpp"
#include "visitor.hpp"

#include <string>
#include <string_view>

namespace app {

inline std::string_view csv_header() { return "id,name,created_at\r\n"; }

// Appends the visitor's line. Only a name can need quotes: numbers and times have none of these characters.
inline void append_csv(std::string& out, const Visitor& visitor) {
    const bool needs_quotes = visitor.name.find_first_of("\",\r\n") != std::string::npos;
    out += std::to_string(visitor.id) + ',';
    out += needs_quotes ? '"' + escaped(visitor.name, "\"", '"') + '"' : visitor.name;
    out += ',' + visitor.created_at + "\r\n";
}

}  // namespace app
