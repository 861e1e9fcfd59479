// libpqxx, 6.4 to 7.10. Statements are prepared on the connection and run outside of a transaction block:
// each is its own transaction, one round trip, and is committed when it returns.
#include "postgres_database.hpp"

#include "encoding.hpp"
#include "secret.hpp"
#include "statements.hpp"

#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>  // Debian's place
#endif
#include <poll.h>
#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <pqxx/pqxx>
#include <string_view>
#include <utility>

namespace app {
namespace {

using Clock = std::chrono::steady_clock;

// The name of a statement; one that sql/statements.sql does not have does not compile.
class Statement {
public:
    consteval Statement(const char* given) : name(given) {
        const std::string_view wanted = given;
        if (std::ranges::none_of(statements, [&](const auto& statement) { return wanted == statement[0]; }))
            throw "sql/statements.sql has no such statement";
    }

    const char* name;
};

// Here stand the differences between libpqxx's versions.
#if PQXX_VERSION_MAJOR < 7
// A connection that libpq has made, and that is never made anew.
class Connection final : public pqxx::connection_base {
public:
    explicit Connection(PGconn* made) : pqxx::connection_base(policy_), policy_(made) { init(); }
    ~Connection() { close(); }

private:
    struct Policy final : pqxx::connectionpolicy {
        explicit Policy(PGconn* connection) : pqxx::connectionpolicy(std::string()), made(connection) {}
        handle do_startconnect(handle known) override {
            return known != nullptr ? known : std::exchange(made, nullptr);
        }
        handle do_completeconnect(handle known) override { return known; }

        PGconn* made;
    };
    Policy policy_;
};

Connection adopt(PGconn* made) { return Connection(made); }
#else
using Connection = pqxx::connection;

Connection adopt(PGconn* made) { return pqxx::connection::seize_raw_connection(made); }
#endif

// Before 7.0 libpqxx would prepare a statement at its first use only, and a connection to an incomplete schema would
// pass for a good one, to be lost and made anew at each question.
void prepare_statements(Connection& connection) {
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
    explicit NoNotices(Connection& connection) {
        connection.set_notice_handler([](auto) {});
    }
};
#else
using NoNotices = pqxx::quiet_errorhandler;
#endif

template <class Kind>
bool is(const std::exception& error) {
    return dynamic_cast<const Kind*>(&error) != nullptr;
}

// Of some errors libpqxx keeps the kind alone; of which, differs between its versions.
std::string sqlstate_of(const std::exception& error) {
    const auto* of_statement = dynamic_cast<const pqxx::sql_error*>(&error);
    if (of_statement != nullptr && !of_statement->sqlstate().empty()) return of_statement->sqlstate();
    if (is<pqxx::insufficient_privilege>(error)) return "42501";
    if (is<pqxx::statement_completion_unknown>(error)) return "40003";
    if (is<pqxx::transaction_rollback>(error)) return "40000";
    if (is<pqxx::too_many_connections>(error)) return "53300";
    if (is<pqxx::broken_connection>(error)) return "08000";
    return {};
}

template <class... Arguments>
pqxx::result run(pqxx::transaction_base& transaction, const char* statement, const Arguments&... arguments) {
#if PQXX_VERSION_MAJOR * 100 + PQXX_VERSION_MINOR >= 709
    return transaction.exec(pqxx::prepped{statement}, pqxx::params{arguments...});
#else
    return transaction.exec_prepared(statement, arguments...);
#endif
}

// An answer of another form than was asked for: a fault of the schema or of a row, of which the log tells.
DatabaseError odd(const std::string& what) {
    return {DatabaseFault::busy, "the database answers otherwise than asked: " + what};
}

std::int64_t number_of(const pqxx::field& field) {
    const std::string_view text = field.c_str();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
    if (error != std::errc() || end != text.end()) throw odd("a number is \"" + std::string(text) + '"');
    return number;
}

bool flag_of(const pqxx::field& field) { return std::string_view(field.c_str()) == "t"; }

pqxx::row single(const pqxx::result& rows) {
    if (rows.size() != 1) throw odd(std::to_string(rows.size()) + " rows instead of one");
    return rows[0];
}

bool has_form(std::string_view text, std::string_view form) {
    return std::ranges::equal(text, form,
                              [](char c, char wanted) { return wanted == '0' ? '0' <= c && c <= '9' : c == wanted; });
}

// PostgreSQL writes 2026-11-24 03:33:00.1234+00 (the connection's time zone is UTC), without zeros at the end.
std::string rfc3339(std::string_view timestamp) {
    std::string time(timestamp.substr(0, timestamp.find('+')));
    if (time.find('.') == std::string::npos) time += '.';
    time.append(std::max<std::size_t>(time.size(), 26) - time.size(), '0');
    if (!timestamp.ends_with("+00") || !has_form(time, "0000-00-00 00:00:00.000000"))
        throw odd("a time is \"" + std::string(timestamp) + '"');
    time[10] = 'T';
    return time + 'Z';
}

// Every statement that returns visitors begins its rows so.
Visitor visitor_of(const pqxx::row& row) { return {number_of(row[0]), row[1].c_str(), rfc3339(row[2].c_str())}; }

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

// By what the server said on a connection with which it goes on: unless it says so itself, nothing was done.
DatabaseFault fault_of(const std::string& sqlstate) {
    const std::string_view state_class = std::string_view(sqlstate).substr(0, 2);
    if (sqlstate == "40003" || sqlstate.starts_with("57P")) return DatabaseFault::lost;
    if (sqlstate == "V0001") return DatabaseFault::altered;
    if (sqlstate == "57014") return DatabaseFault::slow;
    // No fault of the name: an id that somebody inserted by hand (the next may be free), or no ids left.
    if (sqlstate == "23505" || sqlstate == "2200H") return DatabaseFault::busy;
    if (state_class == "22" || state_class == "23") return DatabaseFault::rejected;
    // No lock in time, deadlock, out of resources: a later try may succeed.
    if (sqlstate == "55P03" || state_class == "40" || state_class == "53") return DatabaseFault::busy;
    return DatabaseFault::refused;
}

// An id that was inserted by hand is met.
class IdTaken : public DatabaseError {
    using DatabaseError::DatabaseError;
};

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// A value in libpq's connection string.
std::string conninfo_value(const std::string& value) { return '\'' + escaped(value, "'\\", '\\') + '\''; }

// One of those that libpq's environment names.
struct Host {
    std::string name, address, port;
};

std::vector<std::string> split(const char* list) {
    std::string_view rest = list != nullptr ? list : "";
    std::vector<std::string> parts;
    for (auto comma = rest.find(','); comma != rest.npos; comma = rest.find(',')) {
        parts.emplace_back(rest.substr(0, comma));
        rest.remove_prefix(comma + 1);
    }
    parts.emplace_back(rest);
    return parts;
}

// libpq would try all of them at one go, for 2 s at least each.
std::vector<Host> hosts() {
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconndefaults(), &PQconninfoFree);
    const auto list_of = [&](std::string_view keyword) {
        const PQconninfoOption* option = options.get();
        while (option->keyword != nullptr && option->keyword != keyword) ++option;
        return split(option->keyword != nullptr ? option->val : nullptr);
    };
    if (!options) throw DatabaseError(DatabaseFault::refused, "no memory for libpq's settings");
    const auto names = list_of("host"), addresses = list_of("hostaddr"), ports = list_of("port");
    const std::size_t count = std::max(names.size(), addresses.size());
    const auto at = [&](const std::vector<std::string>& list, std::size_t i, bool one_for_all) {
        if (list.size() == count) return list[i];
        if (list.size() == 1 && (one_for_all || list[0].empty())) return list[0];
        throw DatabaseError(DatabaseFault::refused, "PGHOST, PGHOSTADDR and PGPORT do not have equally many entries");
    };
    std::vector<Host> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back({at(names, i, false), at(addresses, i, false), at(ports, i, true)});
    return all;
}

// What the statements rely on, whatever is set for the role, the database or the server. A space in a value needs a
// backslash.
constexpr const char* pinned_settings[] = {
    "search_path=public,pg_temp",
    "default_transaction_isolation=read\\ committed",
    "default_transaction_deferrable=off",
    "array_nulls=on",
    "standard_conforming_strings=on",
    "timezone=UTC",
    "datestyle=ISO",
    "intervalstyle=postgres",
    "row_security=on",
};

std::string connection_string(const PostgresSettings& settings, const Host& host) {
    // Keepalives and tcp_user_timeout find a host that is gone.
    std::string text =
        "application_name=visitors client_encoding=UTF8 "
        "keepalives_idle=10 keepalives_interval=3 keepalives_count=3 tcp_user_timeout=8000";
    text += " host=" + conninfo_value(host.name) + " hostaddr=" + conninfo_value(host.address);
    text += " port=" + conninfo_value(host.port);
    if (!settings.password_file.empty()) text += " password=" + conninfo_value(read_secret(settings.password_file));
    std::string options;
    for (const char* setting : pinned_settings) options += std::string("-c ") + setting + ' ';
    options += "-c statement_timeout=" + std::to_string(settings.statement_ms.count());
    options += " -c lock_timeout=" + std::to_string(settings.lock_ms.count());
    options += " -c plan_cache_mode=" + settings.plan_cache_mode;
    return text + " options=" + conninfo_value(options);
}

void wait_for(const PGconn* connection, PostgresPollingStatusType what, Clock::time_point until) {
    pollfd server{.fd = PQsocket(connection), .events = POLLIN, .revents = 0};
    if (what == PGRES_POLLING_WRITING) server.events = POLLOUT;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0 || ::poll(&server, 1, static_cast<int>(left)) == 0)
        throw DatabaseError(DatabaseFault::refused, "no connection in time to " + std::string(PQhost(connection)));
}

// Not PQconnectdb(): nothing could end that before its time.
Connection connect_until(const std::string& settings, Clock::time_point until) {
    std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectStart(settings.c_str()), &PQfinish);
    if (!connection) throw DatabaseError(DatabaseFault::refused, "no memory for a connection");
    // libpq would print what a server says at its end between the lines of the log.
    PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);
    auto what = PQstatus(connection.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (what == PGRES_POLLING_READING || what == PGRES_POLLING_WRITING) {
        wait_for(connection.get(), what, until);
        what = PQconnectPoll(connection.get());
    }
    if (what == PGRES_POLLING_FAILED)
        throw DatabaseError(DatabaseFault::refused, first_line(PQerrorMessage(connection.get())));
    return adopt(connection.release());
}

class PostgresDatabase final : public Database {
public:
    // All of it is done by then, or fails.
    PostgresDatabase(const PostgresSettings& settings, const Host& host, Clock::time_point until, Watchdog& watchdog)
        : watchdog_(watchdog),
          call_ms_(settings.call_ms),
          connection_(connect_until(connection_string(settings, host), until)) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        const Watchdog::Watch watch(watchdog_, connection_.sock(), left);
        prepare_statements(connection_);
        call("allow_writes");
        for (const Statement check : {Statement("check_server"), Statement("check_schema")}) {
            const pqxx::row fault = single(call(check));
            if (!fault[0].is_null()) throw DatabaseError(DatabaseFault::refused, fault[0].c_str());
        }
        if (settings.asks_for_privileges) check_privileges();
    }

    bool is_open() const override {
        pollfd server{.fd = connection_.sock(), .events = POLLRDHUP, .revents = 0};
        return connection_.is_open() && ::poll(&server, 1, 0) == 0;
    }

    std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) override {
        const auto names = array(additions, [](const Addition& addition) { return addition.name; });
        const auto keys = array(additions, [](const Addition& addition) { return addition.key; });
        const bool keyed = std::ranges::any_of(additions, [](const auto& addition) { return !addition.key.empty(); });
        const auto send = [&] {
            return keyed ? call("add_batch_with_keys", batch_key, names, keys) : call("add_batch", batch_key, names);
        };
        try {
            return added_by(send(), additions.size());
        } catch (const IdTaken&) {
            call("skip_used_ids");
        }
        return added_by(send(), additions.size());
    }

    Removed remove(const Removal& removal, bool matched) override {
        const auto seconds = std::chrono::seconds(taking_back_max).count();
        const pqxx::result found = call("remove_visitor", removal.id, removal.key, seconds, matched);
        if (found.empty()) return Removed::absent;
        if (!flag_of(single(found)[0])) return Removed::forbidden;
        if (!matched) return Removed::unmatched;
        if (flag_of(single(found)[1])) return Removed::done;
        if (!visitors({removal.id}).empty()) throw odd("a visitor that was deleted is still there");
        return Removed::absent;
    }

    int purge_keys(int rows_max) override {
        return static_cast<int>(number_of(single(call("purge_old_keys", rows_max))[0]));
    }

    std::vector<Page> pages(const std::vector<PageQuestion>& questions) override {
        const auto lasts = array(questions, [](const auto& question) { return std::to_string(last(question)); });
        const auto limits = array(questions, [](const auto& question) { return std::to_string(question.limit + 1); });
        std::vector<Page> pages(questions.size());
        for (const pqxx::row& row : call("pages_of_all", lasts, limits)) {
            const std::int64_t number = number_of(row[4]);
            if (number < 1 || number > std::ssize(pages)) throw odd("a page that was not asked for");
            const auto place = static_cast<std::size_t>(number) - 1;
            append_row(pages[place], row, questions[place].limit);
        }
        if (!std::ranges::all_of(pages, [](const Page& page) { return page.total.has_value(); })) throw odd("no total");
        return pages;
    }

    Page search(const PageQuestion& question) override { return page_by("page_of_matches", question); }

    Page search_frequent(const PageQuestion& question) override { return page_by("page_of_frequent", question); }

    std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) override {
        return visitors_of(call("some_visitors", array(ids, [](std::int64_t id) { return std::to_string(id); })));
    }

    Stats stats(int days) override {
        Stats stats;
        for (const pqxx::row& row : call("count_days", days)) {
            stats.total = number_of(row[0]);
            stats.days.push_back({row[1].c_str(), number_of(row[2])});
        }
        if (std::ssize(stats.days) != days) throw odd(std::to_string(stats.days.size()) + " days");
        return stats;
    }

    std::vector<Visitor> rows(std::int64_t after, int rows_max) override {
        return visitors_of(call("rows_above", after, rows_max));
    }

    bool is_unchanged() override {
        const std::string before = std::exchange(snapshot_, single(call("current_snapshot"))[0].c_str());
        return snapshot_ == before;
    }

    void ping() override { call("ping_server"); }

private:
    template <class... Arguments>
    pqxx::result call(Statement statement, const Arguments&... arguments) {
        const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
        try {
            pqxx::nontransaction transaction(connection_);
            return run(transaction, statement.name, arguments...);
        } catch (const std::exception& error) {
            fail(error);
        }
    }

    // A server that gives up may have committed before, whatever its code says; and where there is no code, it has
    // said nothing.
    [[noreturn]] void fail(const std::exception& error) const {
        const std::string what = first_line(error.what());
        const std::string sqlstate = sqlstate_of(error);
        const bool ended = !connection_.is_open() || what.starts_with("FATAL") || what.starts_with("PANIC");
        if (ended || sqlstate.empty()) throw DatabaseError(DatabaseFault::lost, "the connection was lost: " + what);
        if (sqlstate == "23505") throw IdTaken(DatabaseFault::busy, sqlstate + ' ' + what);
        throw DatabaseError(fault_of(sqlstate), sqlstate + ' ' + what);
    }

    // By EXPLAIN, which checks what the role may do and does nothing: a missing grant is known, by its name, before
    // anyone asks.
    void check_privileges() {
        // The general plan: one for these nulls would count when PostgreSQL later decides which kind is cheaper.
        std::string questions = "SET plan_cache_mode = force_generic_plan;";
        for (const auto& [name, text] : statements) {
            int parameters = 0;
            for (int next = 1; std::string_view(text).find('$' + std::to_string(next)) != std::string_view::npos;
                 ++next)
                parameters = next;
            std::string nulls;
            for (int i = 0; i < parameters; ++i) nulls += i == 0 ? "NULL" : ", NULL";
            questions += std::string("EXPLAIN EXECUTE ") + name + (nulls.empty() ? "" : '(' + nulls + ')') + ';';
        }
        try {
            pqxx::nontransaction(connection_).exec(questions + "RESET plan_cache_mode");
        } catch (const std::exception& error) {
            fail(error);
        }
    }

    // The size was compared in the statement, too, where what is done can be undone.
    static std::vector<Added> added_by(const pqxx::result& rows, std::size_t asked) {
        if (rows.size() != static_cast<pqxx::result::size_type>(asked))
            throw DatabaseError(DatabaseFault::altered, "a trigger, a rule or a policy drops the batch");
        std::vector<Added> added;
        for (const pqxx::row& row : rows)
            added.push_back({visitor_of(row), row[3].is_null() ? Name() : row[3].c_str(), flag_of(row[4])});
        return added;
    }

    Page page_by(Statement statement, const PageQuestion& question) {
        const std::string pattern = '%' + escaped(question.text, "%_\\", '\\') + '%';
        Page page;
        for (const pqxx::row& row : call(statement, last(question), question.limit + 1, pattern))
            append_row(page, row, question.limit);
        return page;
    }

    // The largest id that may be on the page.
    static std::int64_t last(const PageQuestion& question) { return question.before ? *question.before - 1 : id_max; }

    // A row is: a visitor or nulls, the total or null. One row more than the limit tells that there are more.
    static void append_row(Page& page, const pqxx::row& row, int limit) {
        if (!row[3].is_null()) page.total = number_of(row[3]);
        if (row[0].is_null()) return;
        page.more = static_cast<int>(page.visitors.size()) == limit;
        if (!page.more) page.visitors.push_back(visitor_of(row));
    }

    Watchdog& watchdog_;
    const std::chrono::milliseconds call_ms_;
    Connection connection_;
    const NoNotices no_notices_{connection_};
    std::string snapshot_;  // when is_unchanged() was asked last
};

}  // namespace

std::unique_ptr<Database> connect_postgres(const PostgresSettings& settings, Watchdog& watchdog) {
    const auto until = Clock::now() + settings.connect_ms;
    const std::vector<Host> all = hosts();
    std::string reasons;
    // Each has its share of the time that is left, so that the last one is reached however many are silent.
    for (auto host = all.begin(); host != all.end(); ++host) {
        const auto share = (until - Clock::now()) / (all.end() - host);
        try {
            return std::make_unique<PostgresDatabase>(settings, *host, Clock::now() + share, watchdog);
        } catch (const std::exception& error) {
            reasons += (reasons.empty() ? "" : "; ") + first_line(error.what());
        }
    }
    throw DatabaseError(DatabaseFault::refused, reasons);
}

}  // namespace app
