// Writing CSV.
#include "csv.hpp"

namespace app {
namespace {

void append_field(std::string& out, std::string_view text) {
    if (text.find_first_of("\",\r\n") == std::string_view::npos) {
        out += text;
        return;
    }
    out += '"';
    for (const char c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

}  // namespace

std::string_view csv_header() { return "id,name,created_at\r\n"; }

void append_csv(std::string& out, const Visitor& visitor) {
    out += std::to_string(visitor.id);
    out += ',';
    append_field(out, visitor.name);
    out += ',';
    append_field(out, visitor.created_at);
    out += "\r\n";
}

}  // namespace app
