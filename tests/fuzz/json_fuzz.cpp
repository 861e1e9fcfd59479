// Any bytes as a body with a name and a note, and as a text to be written. Aborts where what is promised does not hold.
#include "content/json_reader.hpp"
#include "http/problem.hpp"
#include "text/encoding.hpp"
#include "text/json_text.hpp"
#include "text/text.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr app::TextRule name_rule{.code_points_max = 50};
constexpr app::TextRule note_rule{
    .code_points_min = 0, .code_points_max = 90, .has_lines = true, .may_be_blank = true, .is_trimmed = false};
constexpr app::JsonMember members[] = {{.name = "name", .rule = name_rule, .may_be_null = true},
                                       {.name = "note", .rule = note_rule}};
constexpr app::JsonForm form{"An item", members, {"/problems/length", "/problems/characters"}};

void require(bool promise) {
    if (!promise) std::abort();
}

void check_problem(const app::Problem& problem) {
    require(problem.status == 400 || problem.status == 422);
    require(!problem.detail.empty() && problem.detail.size() < 600 && app::is_utf8(problem.detail));
}

// What is read is a text by its rule, and written it reads the same.
void check_text_read(const app::JsonMember& member, const std::string& text) {
    require(app::is_utf8(text) && (!member.rule.is_trimmed || app::trim(text) == text));
    require(app::check_text(text, member.rule) == app::TextFault::none);
    std::string body = "{\"" + std::string(member.name) + "\":";
    app::append_json_string(body, text);
    const auto again = app::read_json_members(body + '}', form);
    require(again && again->at(member.name == "name" ? 0 : 1) == text);
}

// Whatever is written is JSON: not an item, but no 400.
void check_written(std::string_view text) {
    std::string body = "[";
    app::append_json_string(body, text);
    const auto array = app::read_json_members(body + ']', form);
    require(!array && array.error().status == 422);
    const app::Problem problem{.status = 404, .detail = std::string(text)};
    require(app::read_json_members(app::problem_json(problem, text, text), form).error().status == 422);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), count);
    const auto read = app::read_json_members(text, form);
    if (!read) check_problem(read.error());
    for (std::size_t i = 0; read && i < read->size(); ++i) {
        if (read->at(i)) check_text_read(members[i], *read->at(i));
    }
    check_written(text);
    return 0;
}
