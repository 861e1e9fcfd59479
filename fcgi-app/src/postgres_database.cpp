// libpqxx, 6.4 to 7.10. Statements are prepared on the connection and run outside of a transaction block:
// each is its own transaction, one round trip, and is committed when it returns.
#include "postgres_database.hpp"

#include "encoding.hpp"
#include "secret.hpp"
#include "statements.hpp"

#include <poll.h>
#include <algorithm>
#include <pqxx/pqxx>
#include <string_view>
#include <utility>

namespace app {
namespace {

// Those of sql/statements.sql. Here stand the differences between libpqxx's versions: before 7.0 it would prepare a statement
// at its first use only, and a connection to an incomplete schema would pass for a good one, to be lost and made anew at each
// question.
void prepare_statements(pqxx::connection& connection) {
    for (const auto& [name, text] : statements) {
        connection.prepare(name, text);
#if PQXX_VERSION_MAJOR < 7
        connection.prepare_now(name);
#endif
    }
}

// A server that ends says so to whom it has not been asked by, and libpq would print that between the lines of the log.
#if PQXX_VERSION_MAJOR * 100 + PQXX_VERSION_MINOR >= 710
struct NoNotices {
    explicit NoNotices(pqxx::connection& connection) {
        connection.set_notice_handler([](auto) {});
    }
};
#else
using NoNotices = pqxx::quiet_errorhandler;
#endif

template <class... Arguments>
pqxx::result run(pqxx::transaction_base& transaction, const char* statement, const Arguments&... arguments) {
#if PQXX_VERSION_MAJOR * 100 + PQXX_VERSION_MINOR >= 709
    return transaction.exec(pqxx::prepped{statement}, pqxx::params{arguments...});
#else
    return transaction.exec_prepared(statement, arguments...);
#endif
}

// PostgreSQL writes 2026-11-24 03:33:00.1234+00 (the connection's time zone is UTC), without zeros at the end. Who wrote
// infinity by hand gets it back.
std::string rfc3339(std::string_view timestamp) {
    std::string time(timestamp.substr(0, timestamp.find('+')));
    const auto space = time.find(' ');
    if (space == std::string::npos) return time;
    time[space] = 'T';
    if (time.find('.') == std::string::npos) time += '.';
    return time.append(time.find('.') + 7 - time.size(), '0') + 'Z';
}

// Every statement that returns visitors begins its rows so.
Visitor visitor_of(const pqxx::row& row) {
    return {row[0].as<std::int64_t>(), row[1].c_str(), rfc3339(row[2].c_str())};
}

std::vector<Visitor> visitors_of(const pqxx::result& rows) {
    std::vector<Visitor> visitors;
    for (const pqxx::row& row : rows) visitors.push_back(visitor_of(row));
    return visitors;
}

// PostgreSQL's notation of an array; what `text_of` gives for an item is an element, or, if it is none, NULL.
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

DatabaseFault fault_of(const std::string& sqlstate) {
    const std::string_view state_class = std::string_view(sqlstate).substr(0, 2);
    if (sqlstate.empty() || sqlstate == "40003" || state_class == "08" || sqlstate.starts_with("57P"))
        return DatabaseFault::lost;
    // No fault of the name: an id that somebody inserted by hand (the next may be free), or no ids left.
    if (sqlstate == "23505" || sqlstate == "2200H") return DatabaseFault::busy;
    if (state_class == "22" || state_class == "23") return DatabaseFault::rejected;
    // Cancelled by a time-out, no lock in time, deadlock, out of resources: a later try may succeed.
    if (sqlstate == "57014" || sqlstate == "55P03" || state_class == "40" || state_class == "53") {
        return DatabaseFault::busy;
    }
    return DatabaseFault::refused;
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// A value in libpq's connection string.
std::string conninfo_value(const std::string& value) { return '\'' + escaped(value, "'\\", '\\') + '\''; }

std::string connection_string(const PostgresSettings& settings) {
    // Two seconds is the shortest that libpq takes. Keepalives and tcp_user_timeout find a host that is gone.
    std::string text =
        "application_name=visitors connect_timeout=2 target_session_attrs=read-write client_encoding=UTF8 "
        "keepalives_idle=10 keepalives_interval=3 keepalives_count=3 tcp_user_timeout=8000";
    if (!settings.password_file.empty()) text += " password=" + conninfo_value(read_secret(settings.password_file));
    std::string options = "-c timezone=UTC -c datestyle=ISO";
    if (settings.statement_ms.count() > 0) {
        options += " -c statement_timeout=" + std::to_string(settings.statement_ms.count());
    }
    return text + " options=" + conninfo_value(options);
}

class PostgresDatabase final : public Database {
public:
    PostgresDatabase(const PostgresSettings& settings, Watchdog& watchdog)
        : watchdog_(watchdog), call_ms_(settings.call_ms), connection_(connection_string(settings)) {
        const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
        prepare_statements(connection_);
        const pqxx::result fault = call("check_server");
        if (!fault[0][0].is_null()) throw DatabaseError(DatabaseFault::refused, fault[0][0].c_str());
    }

    bool is_open() const override {
        pollfd server{.fd = connection_.sock(), .events = POLLRDHUP, .revents = 0};
        return connection_.is_open() && ::poll(&server, 1, 0) == 0;
    }

    std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) override {
        const auto names = array(additions, [](const Addition& addition) { return addition.name; });
        const auto keys = array(additions, [](const Addition& addition) { return addition.key; });
        const bool keyed = std::ranges::any_of(additions, [](const auto& addition) { return !addition.key.empty(); });
        const pqxx::result rows =
            keyed ? call("add_batch_with_keys", batch_key, names, keys) : call("add_batch", batch_key, names);
        std::vector<Added> added;
        for (const pqxx::row& row : rows)
            added.push_back({visitor_of(row), row[3].is_null() ? Name() : row[3].c_str(), row[4].as<bool>()});
        return added;
    }

    Removed remove(const Removal& removal, bool matched) override {
        const auto seconds = std::chrono::seconds(taking_back_max).count();
        const pqxx::result found = call("remove_visitor", removal.id, removal.key, seconds, matched);
        if (found.empty()) return Removed::absent;
        if (!found[0][0].as<bool>()) return Removed::forbidden;
        if (!matched) return Removed::unmatched;
        return found[0][1].as<bool>() ? Removed::done : Removed::absent;
    }

    int purge_keys(int rows_max) override { return call("purge_old_keys", rows_max)[0][0].as<int>(); }

    std::vector<Page> pages(const std::vector<PageQuestion>& questions) override {
        const auto lasts = array(questions, [](const auto& question) { return std::to_string(last(question)); });
        const auto limits = array(questions, [](const auto& question) { return std::to_string(question.limit + 1); });
        std::vector<Page> pages(questions.size());
        for (const pqxx::row& row : call("pages_of_all", lasts, limits)) {
            const auto number = row[4].as<std::size_t>() - 1;
            append_row(pages[number], row, questions[number].limit);
        }
        return pages;
    }

    Page search(const PageQuestion& question) override {
        const std::string pattern = '%' + escaped(question.text, "%_\\", '\\') + '%';
        const auto page_by = [&](const char* statement) {
            Page page;
            for (const pqxx::row& row : call(statement, last(question), question.limit + 1, pattern))
                append_row(page, row, question.limit);
            return page;
        };
        try {
            return page_by("page_of_matches");
        } catch (const DatabaseError& error) {
            if (error.fault != DatabaseFault::busy) throw;
        }
        return page_by("page_of_frequent");  // without the total there may be time enough
    }

    std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) override {
        return visitors_of(call("some_visitors", array(ids, [](std::int64_t id) { return std::to_string(id); })));
    }

    Stats stats(int days) override {
        Stats stats;
        for (const pqxx::row& row : call("count_days", days)) {
            stats.total = row[0].as<std::int64_t>();
            stats.days.push_back({row[1].c_str(), row[2].as<std::int64_t>()});
        }
        return stats;
    }

    std::vector<Visitor> rows(std::int64_t after, int rows_max) override {
        return visitors_of(call("rows_above", after, rows_max));
    }

    bool is_unchanged() override {
        const std::string before = std::exchange(snapshot_, call("current_snapshot")[0][0].c_str());
        return snapshot_ == before;
    }

    void ping() override { call("ping_server"); }

private:
    template <class... Arguments>
    pqxx::result call(const char* statement, const Arguments&... arguments) {
        const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
        try {
            pqxx::nontransaction transaction(connection_);
            return run(transaction, statement, arguments...);
        } catch (const pqxx::sql_error& error) {
            // A server that gives up may have committed before, whatever its code says.
            const std::string_view what = error.what();
            const bool ended = !connection_.is_open() || what.starts_with("FATAL") || what.starts_with("PANIC");
            throw DatabaseError(ended ? DatabaseFault::lost : fault_of(error.sqlstate()),
                                error.sqlstate() + ' ' + first_line(error.what()));
        } catch (const std::exception& error) {
            // broken_connection, in_doubt_error; whatever else it may be, this connection is not used again.
            throw DatabaseError(DatabaseFault::lost, "the connection was lost: " + first_line(error.what()));
        }
    }

    // The largest id that may be on the page.
    static std::int64_t last(const PageQuestion& question) { return question.before ? *question.before - 1 : id_max; }

    // A row is: a visitor or nulls, the total or null. One row more than the limit tells that there are more.
    static void append_row(Page& page, const pqxx::row& row, int limit) {
        if (!row[3].is_null()) page.total = row[3].as<std::int64_t>();
        if (row[0].is_null()) return;
        page.more = static_cast<int>(page.visitors.size()) == limit;
        if (!page.more) page.visitors.push_back(visitor_of(row));
    }

    Watchdog& watchdog_;
    const std::chrono::milliseconds call_ms_;
    pqxx::connection connection_;
    const NoNotices no_notices_{connection_};
    std::string snapshot_;  // when is_unchanged() was asked last
};

}  // namespace

std::unique_ptr<Database> connect_postgres(const PostgresSettings& settings, Watchdog& watchdog) {
    try {
        return std::make_unique<PostgresDatabase>(settings, watchdog);
    } catch (const std::exception& error) {
        throw DatabaseError(DatabaseFault::refused, first_line(error.what()));
    }
}

}  // namespace app
