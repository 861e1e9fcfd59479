// Visitors as CSV by RFC 4180: lines end in CRLF, a field is quoted only where it must be. Names
// are written as they are: a program that opens the file in a spreadsheet must import them as text.
// Pure functions: any thread.
#pragma once

#include "visitor.hpp"

#include <string>
#include <string_view>

namespace app {

std::string_view csv_header();
void append_csv(std::string& out, const Visitor& visitor);

}  // namespace app
