// Statements as types: the build makes one of each PREPARE in a statements.sql (fcgi-app/statements), with its number of
// parameters and the names of its columns. A misspelt statement or column, or a parameter too few, does not compile. Knows
// what none of them does. Plain values: any thread.
#pragma once

#include "text/fields.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace app {

// One that is to be prepared at each connection; literals.
struct Prepared {
    const char* name;
    const char* sql;
    int parameters;
};

// A value for a parameter. A text is not copied, and outlives the call.
class Argument {
public:
    Argument(const std::string& text) : text_(text.c_str()) {}
    Argument(const std::optional<std::string>& text) : text_(text ? text->c_str() : nullptr) {}
    Argument(std::integral auto number) : own_(std::to_string(number)), text_(nullptr), is_own_(true) {}
    Argument(bool flag) : text_(flag ? "t" : "f") {}

    // Null for NULL.
    const char* text() const { return is_own_ ? own_.c_str() : text_; }

private:
    std::string own_;
    const char* text_;
    bool is_own_ = false;
};

// What a statement gave, whichever it was; cells are PostgreSQL's text, which lives as long as `result`, libpqxx's. Numbers
// from 0.
class Cells {
public:
    // `texts` row by row; null for NULL.
    Cells(std::shared_ptr<const void> result, std::vector<const char*> texts, std::size_t rows, std::size_t columns)
        : result_(std::move(result)), texts_(std::move(texts)), rows_(rows), columns_(columns) {}

    std::size_t rows() const { return rows_; }
    std::size_t columns() const { return columns_; }
    bool is_null(std::size_t row, std::size_t column) const { return texts_[row * columns_ + column] == nullptr; }
    // Empty where it is null.
    std::string_view text(std::size_t row, std::size_t column) const {
        const char* text = texts_[row * columns_ + column];
        return text != nullptr ? std::string_view(text) : std::string_view();
    }

private:
    std::shared_ptr<const void> result_;
    std::vector<const char*> texts_;
    std::size_t rows_;
    std::size_t columns_;
};

// These throw DatabaseError where the text has another form than a number, a flag or a time of PostgreSQL.
std::int64_t number_of(std::string_view text);
bool flag_of(std::string_view text);
Time time_of(std::string_view text);
// An answer of another form than was asked for: a fault of the schema or of a row.
[[noreturn]] void throw_odd(const std::string& what);
// A write that is not as it was asked for, by a trigger, a rule or a policy: the transaction that this is thrown in is undone.
[[noreturn]] void throw_altered();

template <class Statement>
class Row {
public:
    using Column = typename Statement::Column;

    Row(const Cells& cells, std::size_t row) : cells_(cells), row_(row) {}

    std::int64_t number(Column column) const { return number_of(text(column)); }
    bool flag(Column column) const { return flag_of(text(column)); }
    Time time(Column column) const { return time_of(text(column)); }
    std::string_view text(Column column) const { return cells_.text(row_, static_cast<std::size_t>(column)); }
    bool is_null(Column column) const { return cells_.is_null(row_, static_cast<std::size_t>(column)); }
    std::optional<std::string> optional_text(Column column) const {
        return is_null(column) ? std::nullopt : std::optional<std::string>(text(column));
    }

    // The value whose `members` are the statement's first columns.
    template <class Value, const auto& members>
    Value value() const {
        static_assert(begins_with_columns(members), "the statement's columns are others");
        Value value;
        std::size_t column = 0;
        const auto read = [&](const auto& field) { assign(value.*field.member, static_cast<Column>(column++)); };
        std::apply([&](const auto&... field) { (read(field), ...); }, members);
        return value;
    }

private:
    template <class... Fields>
    static constexpr bool begins_with_columns(const std::tuple<Fields...>& members) {
        std::size_t column = 0;
        bool same = sizeof...(Fields) <= Statement::columns.size();
        const auto compare = [&](std::string_view name) { same = same && name == Statement::columns[column++]; };
        std::apply([&](const auto&... field) { (compare(field.name()), ...); }, members);
        return same;
    }
    void assign(std::string& member, Column column) const { member = text(column); }
    void assign(Time& member, Column column) const { member = time(column); }
    template <std::integral Number>
    void assign(Number& member, Column column) const {
        member = static_cast<Number>(number(column));
    }

    const Cells& cells_;
    std::size_t row_;
};

// A part of a long list.
template <class Value>
struct PageOf {
    std::vector<Value> values;
    std::optional<std::int64_t> total;  // none: it was not counted
    bool has_more = false;
};

template <class Statement>
class Rows {
public:
    explicit Rows(Cells cells) : cells_(std::move(cells)) {
        if (cells_.columns() != Statement::columns.size()) throw_odd("it has other columns");
    }

    struct Iterator {
        const Cells* cells;
        std::size_t row;

        Row<Statement> operator*() const { return {*cells, row}; }
        Iterator& operator++() {
            ++row;
            return *this;
        }
        bool operator==(const Iterator&) const = default;
    };
    Iterator begin() const { return {&cells_, 0}; }
    Iterator end() const { return {&cells_, size()}; }
    std::size_t size() const { return cells_.rows(); }
    bool empty() const { return size() == 0; }

    Row<Statement> single() const {
        if (size() != 1) throw_odd(std::to_string(size()) + " rows instead of one");
        return {cells_, 0};
    }

    // The only one's value, if there is one.
    template <class Value, const auto& members>
    std::optional<Value> first() const {
        if (empty()) return std::nullopt;
        return single().template value<Value, members>();
    }

    // Of a statement that was asked for a row more than `limit`, with its `total` in each row; where there is no row for the
    // page, one of nulls has the total.
    template <class Value, const auto& members>
    PageOf<Value> page(int limit) const {
        PageOf<Value> page;
        for (const auto& row : *this) {
            if (!row.is_null(Statement::total)) page.total = row.number(Statement::total);
            if (row.is_null(typename Statement::Column{})) continue;
            page.has_more = std::ssize(page.values) == limit;
            if (!page.has_more) page.values.push_back(row.template value<Value, members>());
        }
        return page;
    }

    template <class Value, const auto& members>
    std::vector<Value> values() const {
        std::vector<Value> all;
        all.reserve(size());
        for (const auto& row : *this) all.push_back(row.template value<Value, members>());
        return all;
    }

private:
    Cells cells_;
};

// PostgreSQL's notation of an array; what `text_of` gives for an item (a text, or none for NULL) is an element.
template <class Items, class TextOf>
std::string array(const Items& items, TextOf text_of) {
    std::string text = "{";
    for (const auto& item : items) {
        const std::optional<std::string> element = text_of(item);
        if (text.size() > 1) text += ',';
        text += element ? '"' + escaped(*element, "\"\\", '\\') + '"' : "NULL";
    }
    return text + '}';
}
inline std::string array(const std::vector<std::string>& texts) {
    return array(texts, [](const std::string& text) { return text; });
}

// The pattern of LIKE for texts that contain `text`; empty for an empty one.
inline std::string pattern_of(std::string_view text) {
    return text.empty() ? std::string() : '%' + escaped(text, "%_\\", '\\') + '%';
}

}  // namespace app
