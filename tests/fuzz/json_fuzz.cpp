// Any bytes as a body, and as a text to be written. Aborts where what is promised does not hold.
#include "base/encoding.hpp"
#include "base/json_text.hpp"
#include "base/text.hpp"
#include "http/problem.hpp"
#include "visitors/visitor.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

void check_problem(const app::Problem& problem) {
    require(problem.status == 400 || problem.status == 422);
    require(!problem.detail.empty() && problem.detail.size() < 600 && app::is_utf8(problem.detail));
}

// What is read is a name by the rule, and written it reads the same.
void check_name_read(const std::string& name) {
    require(app::is_utf8(name) && app::trim(name) == name);
    require(app::check_text(name, app::name_rule) == app::TextFault::none);
    std::string body = R"({"name":)";
    app::append_json_string(body, name);
    const auto again = app::parse_new_visitor(body + '}');
    require(again && *again == name);
}

// Whatever is written is JSON: not a visitor, but no 400.
void check_written(std::string_view text) {
    std::string body = "[";
    app::append_json_string(body, text);
    const auto array = app::parse_new_visitor(body + ']');
    require(!array && array.error().status == 422);
    const app::Problem problem{.status = 404, .detail = std::string(text)};
    require(app::parse_new_visitor(app::problem_json(problem, text, text)).error().status == 422);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), count);
    const auto visitor = app::parse_new_visitor(text);
    if (!visitor) check_problem(visitor.error());
    if (visitor && visitor->has_value()) check_name_read(**visitor);
    check_written(text);
    return 0;
}
