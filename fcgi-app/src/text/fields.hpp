// The members of a resource, said once: JSON and CSV are written from this, and sql/statement.hpp reads rows by it.
// Knows no resource. Pure functions, all of it known when it is compiled: any thread.
#pragma once

#include "text/encoding.hpp"
#include "text/json_text.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>

namespace app {

// RFC 3339 in UTC with six fractional digits: 2026-11-24T03:33:00.123456Z. Made by the service: nothing in it needs an
// escape, neither in JSON nor in CSV.
struct Time {
    std::string text;

    auto operator<=>(const Time&) const = default;
};

// `name` is a literal that needs no escape. A member is text (std::string), a whole number or a Time.
template <class Value, class Member, std::size_t bytes>
class Field {
public:
    constexpr Field(const char (&literal)[bytes], Member Value::*its_member) : member(its_member) {
        json_[0] = ',';
        json_[1] = '"';
        for (std::size_t i = 0; i + 1 < bytes; ++i) json_[i + 2] = literal[i];
        json_[bytes + 1] = '"';
        json_[bytes + 2] = ':';
    }

    constexpr std::string_view name() const { return json_before().substr(2, bytes - 1); }
    // ,"name": as one text, made when this is compiled: pages have many members.
    constexpr std::string_view json_before() const { return {json_.data(), json_.size()}; }

    Member Value::*member;

private:
    std::array<char, bytes + 3> json_{};
};
// clang 14 finds this only where it is said.
template <class Value, class Member, std::size_t bytes>
Field(const char (&)[bytes], Member Value::*) -> Field<Value, Member, bytes>;

// fields(Field{"id", &Order::id}, Field{"text", &Order::text}, …)
template <class... Fields>
constexpr auto fields(Fields... each) {
    return std::tuple(each...);
}

inline void append_json_value(std::string& json, const std::string& text) { append_json_string(json, text); }
inline void append_json_value(std::string& json, const Time& time) {
    json += '"';
    json += time.text;
    json += '"';
}
inline void append_json_value(std::string& json, std::integral auto number) { json += std::to_string(number); }

// {"id":1,"name":"Ada",…} behind what is in `json`. Without temporaries: a page of rows is most of what a service writes.
template <class Value, class... Fields>
void append_json(std::string& json, const Value& value, const std::tuple<Fields...>& members) {
    const std::size_t begin = json.size();
    const auto append = [&](const auto& field) {
        json.append(field.json_before());
        append_json_value(json, value.*field.member);
    };
    std::apply([&](const auto&... field) { (append(field), ...); }, members);
    json[begin] = '{';  // in place of the first comma
    json += '}';
}

template <class Value, class Members>
std::string json_of(const Value& value, const Members& members) {
    std::string json;
    append_json(json, value, members);
    return json;
}

// `values` is anything that can be gone through.
template <class Values, class Members>
std::string json_array(const Values& values, const Members& members) {
    constexpr std::size_t usual_bytes = 100;  // of an element
    std::string json;
    json.reserve(usual_bytes * (std::size(values) + 1));
    for (const auto& value : values) {
        json += json.empty() ? '[' : ',';
        append_json(json, value, members);
    }
    if (json.empty()) json += '[';
    return json += ']';
}

// RFC 4180: a field is quoted only where it must be. Texts are written as they are: a program that opens the file in a
// spreadsheet must import them as text.
inline void append_csv_value(std::string& csv, const std::string& text) {
    const bool needs_quotes = text.find_first_of("\",\r\n") != std::string::npos;
    csv += needs_quotes ? '"' + escaped(text, "\"", '"') + '"' : text;
}
inline void append_csv_value(std::string& csv, const Time& time) { csv += time.text; }
inline void append_csv_value(std::string& csv, std::integral auto number) { csv += std::to_string(number); }

// The value's line, behind what is in `csv`.
template <class Value, class... Fields>
void append_csv(std::string& csv, const Value& value, const std::tuple<Fields...>& members) {
    const char* before = "";
    const auto append = [&](const auto& field) {
        csv += before;
        append_csv_value(csv, value.*field.member);
        before = ",";
    };
    std::apply([&](const auto&... field) { (append(field), ...); }, members);
    csv += "\r\n";
}

// The line of names.
template <class... Fields>
std::string csv_header(const std::tuple<Fields...>& members) {
    std::string csv;
    const auto append = [&](const auto& field) { csv.append(csv.empty() ? "" : ",").append(field.name()); };
    std::apply([&](const auto&... field) { (append(field), ...); }, members);
    return csv + "\r\n";
}

}  // namespace app
