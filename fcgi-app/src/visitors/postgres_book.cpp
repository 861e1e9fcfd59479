// Each call is one statement of sql/statements.sql.
#include "visitors/postgres_book.hpp"

#include "statements.hpp"

#include <algorithm>
#include <utility>

namespace app {
namespace {

using namespace statements;

class PostgresBook final : public Book {
public:
    PostgresBook(const PostgresSettings& settings, Hosts& hosts, Watchdog& watchdog)
        : connection_(settings, hosts, watchdog) {}

    bool is_open() const override { return connection_.is_open(); }
    void ping() override { connection_.ping(); }
    bool is_unchanged() override { return connection_.is_unchanged(); }
    void confirm() override { connection_.confirm(); }
    bool confirms() const override { return connection_.confirms(); }

    std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) override {
        const auto names = array(additions, [](const Addition& addition) { return addition.name; });
        const auto keys = array(additions, [](const Addition& addition) { return addition.key; });
        const bool keyed = std::ranges::any_of(additions, [](const auto& addition) { return !addition.key.empty(); });
        const auto send = [&] {
            if (!keyed) return added_by(connection_.call<add_batch>(batch_key, names), additions.size());
            return added_by(connection_.call<add_batch_with_keys>(batch_key, names, keys), additions.size());
        };
        try {
            return send();
        } catch (const IdTaken&) {
            connection_.call<skip_used_ids>();
        }
        return send();
    }

    Removed remove(const Removal& removal, bool matched) override {
        const auto seconds = std::chrono::seconds(taking_back_max).count();
        const auto found = connection_.call<remove_visitor>(removal.id, removal.key, seconds, matched);
        if (found.empty()) return Removed::absent;
        if (!found.single().flag(remove_visitor::allowed)) return Removed::forbidden;
        if (!matched) return Removed::unmatched;
        if (found.single().flag(remove_visitor::removed)) return Removed::done;
        if (!visitors({removal.id}).empty()) throw_odd("a visitor that was deleted is still there");
        return Removed::absent;
    }

    int purge_keys(int rows_max) override {
        const auto purged = connection_.call<purge_old_keys>(rows_max);
        return static_cast<int>(purged.single().number(purge_old_keys::rows));
    }

    std::vector<Page> pages(const std::vector<PageQuestion>& questions) override {
        const auto lasts = array(questions, [](const auto& question) { return std::to_string(last(question)); });
        const auto limits = array(questions, [](const auto& question) { return std::to_string(question.limit + 1); });
        std::vector<Page> pages(questions.size());
        for (const auto& row : connection_.call<pages_of_all>(lasts, limits)) {
            const std::int64_t number = row.number(pages_of_all::number);
            if (number < 1 || number > std::ssize(pages)) throw_odd("a page that was not asked for");
            const auto place = static_cast<std::size_t>(number) - 1;
            append_row(pages[place], row, questions[place].limit);
        }
        if (!std::ranges::all_of(pages, [](const Page& page) { return page.total.has_value(); })) throw_odd("no total");
        return pages;
    }

    Page search(const PageQuestion& question) override { return page_by<page_of_matches>(question); }

    Page search_frequent(const PageQuestion& question) override { return page_by<page_of_frequent>(question); }

    std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) override {
        const auto list = array(ids, [](std::int64_t id) { return std::to_string(id); });
        return connection_.call<some_visitors>(list).values<Visitor, visitor_fields>();
    }

    Stats stats(int days) override {
        Stats stats;
        for (const auto& row : connection_.call<count_days>(days)) {
            stats.total = row.number(count_days::total);
            stats.days.push_back({std::string(row.text(count_days::day)), row.number(count_days::count)});
        }
        if (std::ssize(stats.days) != days) throw_odd(std::to_string(stats.days.size()) + " days");
        return stats;
    }

    std::vector<Visitor> rows(std::int64_t after, int rows_max) override {
        return connection_.call<rows_above>(after, rows_max).values<Visitor, visitor_fields>();
    }

private:
    // The size was compared in the statement, too, where what is done can be undone.
    template <class Statement>
    static std::vector<Added> added_by(const Rows<Statement>& rows, std::size_t asked) {
        if (rows.size() != asked)
            throw DatabaseError(DatabaseFault::altered, "a trigger, a rule or a policy drops the batch");
        std::vector<Added> added;
        added.reserve(asked);
        for (const auto& row : rows) {
            added.push_back({row.template value<Visitor, visitor_fields>(),
                             row.optional_text(Statement::requested_name), row.flag(Statement::fresh)});
        }
        return added;
    }

    template <class Statement>
    Page page_by(const PageQuestion& question) {
        const std::string pattern = pattern_of(question.text);
        Page page;
        for (const auto& row : connection_.call<Statement>(last(question), question.limit + 1, pattern))
            append_row(page, row, question.limit);
        return page;
    }

    // The largest id that may be on the page.
    static std::int64_t last(const PageQuestion& question) { return question.before ? *question.before - 1 : id_max; }

    // A row is: a visitor or nulls, the total or null. One row more than the limit tells that there are more.
    template <class Statement>
    static void append_row(Page& page, const Row<Statement>& row, int limit) {
        if (!row.is_null(Statement::total)) page.total = row.number(Statement::total);
        if (row.is_null(Statement::id)) return;
        page.more = static_cast<int>(page.visitors.size()) == limit;
        if (!page.more) page.visitors.push_back(row.template value<Visitor, visitor_fields>());
    }

    PostgresConnection connection_;
};

}  // namespace

std::span<const Prepared> book_statements() { return statements::all; }

std::unique_ptr<Book> open_book(const PostgresSettings& settings, Hosts& hosts, Watchdog& watchdog) {
    return std::make_unique<PostgresBook>(settings, hosts, watchdog);
}

}  // namespace app
