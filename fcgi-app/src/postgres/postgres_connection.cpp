// libpqxx, 6.4 to 7.10. Statements are prepared on the connection and, but for transact(), run outside of a transaction block:
// each is its own transaction, one round trip, and is committed when it returns.
#include "postgres/postgres_connection.hpp"

#include "base/secret.hpp"
#include "hosts/libpq.hpp"
#include "hosts/race.hpp"
#include "machinery_statements.hpp"
#include "text/encoding.hpp"

#include <poll.h>
#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <pqxx/pqxx>
#include <sstream>
#include <string_view>
#include <utility>

namespace app {
namespace {

using Clock = std::chrono::steady_clock;

// Here stand the differences between libpqxx's versions.
#if PQXX_VERSION_MAJOR < 7
// A connection that libpq has made, and that is never made anew.
class LibpqxxConnection final : public pqxx::connection_base {
public:
    explicit LibpqxxConnection(PGconn* made) : pqxx::connection_base(policy_), policy_(made) { init(); }
    ~LibpqxxConnection() { close(); }

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

LibpqxxConnection adopt(PGconn* made) { return LibpqxxConnection(made); }
#else
using LibpqxxConnection = pqxx::connection;

LibpqxxConnection adopt(PGconn* made) { return pqxx::connection::seize_raw_connection(made); }
#endif

// Before 7.0 libpqxx would prepare a statement at its first use only, and a connection to an incomplete schema would
// pass for a good one, to be lost and made anew at each question.
void prepare(LibpqxxConnection& connection, std::span<const Prepared> statements) {
    for (const Prepared& statement : statements) {
        connection.prepare(statement.name, statement.sql);
#if PQXX_VERSION_MAJOR < 7
        connection.prepare_now(statement.name);
#endif
    }
}

// A server that ends says so unasked, and libpq would print that between the lines of the log.
#if PQXX_VERSION_MAJOR * 100 + PQXX_VERSION_MINOR >= 710
struct NoNotices {
    explicit NoNotices(LibpqxxConnection& connection) {
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

// Of a null pointer it makes NULL.
pqxx::result run(pqxx::transaction_base& transaction, const char* statement, const std::vector<const char*>& texts) {
#if PQXX_VERSION_MAJOR * 100 + PQXX_VERSION_MINOR >= 709
    pqxx::params parameters;
    parameters.append_multi(texts);
    return transaction.exec(pqxx::prepped{statement}, parameters);
#else
    return transaction.exec_prepared(statement, pqxx::prepare::make_dynamic_params(texts));
#endif
}

// An answer of another form than was asked for: a fault of the schema or of a row, of which the log tells.
DatabaseError odd(const std::string& what) {
    return {DatabaseFault::busy, "the database answers otherwise than asked: " + what};
}

bool has_form(std::string_view text, std::string_view form) {
    return std::ranges::equal(text, form,
                              [](char c, char wanted) { return wanted == '0' ? '0' <= c && c <= '9' : c == wanted; });
}

// Gone through once: to find a cell by its numbers libpqxx makes a row and a field each time.
Cells cells_of(const pqxx::result& found) {
    auto result = std::make_shared<const pqxx::result>(found);
    std::vector<const char*> texts;
    texts.reserve(static_cast<std::size_t>(result->size()) * static_cast<std::size_t>(result->columns()));
    for (const auto& row : *result) {
        for (const auto& field : row) texts.push_back(field.is_null() ? nullptr : field.c_str());
    }
    const auto rows = static_cast<std::size_t>(result->size());
    const auto columns = static_cast<std::size_t>(result->columns());
    return {std::move(result), std::move(texts), rows, columns};
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

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// A value in libpq's connection string.
std::string conninfo_value(const std::string& value) { return '\'' + escaped(value, "'\\", '\\') + '\''; }

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
    "client_min_messages=warning",
    // Compiling a plan takes longer than any of these statements, and a table without statistics is enough to be thought worth it.
    "jit=off",
};

std::string password_of(const PostgresSettings& settings) {
    try {
        return read_secret(settings.password_file);
    } catch (const std::runtime_error& error) {
        throw DatabaseError(DatabaseFault::refused, error.what());
    }
}

// In libpq's keywords, behind those of the host, so that these count.
std::string conninfo_of(const PostgresSettings& settings) {
    // Keepalives and tcp_user_timeout find a host that is gone.
    std::string text =
        "client_encoding=UTF8 keepalives_idle=10 keepalives_interval=3 keepalives_count=3 tcp_user_timeout=8000";
    text += " application_name=" + conninfo_value(settings.name);
    if (!settings.password_file.empty()) text += " password=" + conninfo_value(password_of(settings));
    std::string options;
    for (const char* setting : pinned_settings) options += std::string("-c ") + setting + ' ';
    options += "-c statement_timeout=" + std::to_string(settings.statement_ms.count());
    options += " -c lock_timeout=" + std::to_string(settings.lock_ms.count());
    std::istringstream planner(settings.planner);
    for (std::string setting; planner >> setting;) options += " -c " + setting;
    return text + " options=" + conninfo_value(options);
}

// The server's warnings come in passing: the text of the last one is kept in the string that `kept` is.
void keep_warning(void* kept, const PGresult* notice) {
    const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char* text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != nullptr && text != nullptr && severity == std::string_view("WARNING"))
        *static_cast<std::string*>(kept) = text;
}

}  // namespace

std::int64_t number_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
    if (error != std::errc() || end != text.end()) throw odd("a number is \"" + std::string(text) + '"');
    return number;
}

bool flag_of(std::string_view text) { return text == "t"; }

// PostgreSQL writes 2026-11-24 03:33:00.1234+00 (the connection's time zone is UTC), without zeros at the end.
Time time_of(std::string_view timestamp) {
    std::string time(timestamp.substr(0, timestamp.find('+')));
    if (time.find('.') == std::string::npos) time += '.';
    time.append(std::max<std::size_t>(time.size(), 26) - time.size(), '0');
    if (!timestamp.ends_with("+00") || !has_form(time, "0000-00-00 00:00:00.000000"))
        throw odd("a time is \"" + std::string(timestamp) + '"');
    time[10] = 'T';
    return {time + 'Z'};
}

void throw_odd(const std::string& what) { throw odd(what); }

void throw_altered() {
    throw DatabaseError(DatabaseFault::altered, "a trigger, a rule or a policy writes otherwise than asked");
}

// What the connection's user does not see of libpqxx.
class PostgresConnection::Session {
public:
    // All of it is done by `until`, or fails.
    Session(const PostgresSettings& settings, Race::Arrival arrival, Clock::time_point until, Hosts& hosts,
            Watchdog& watchdog)
        : hosts_(hosts),
          watchdog_(watchdog),
          host_(std::move(arrival.host)),
          backend_(PQbackendPID(arrival.connection.get())),
          is_replicated_(settings.is_replicated),
          call_ms_(settings.call_ms),
          connection_(adopt(with_warnings(std::move(arrival.connection)))) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        const Watchdog::Watch watch(watchdog_, connection_.sock(), left);
        prepare(connection_, machinery::all);
        for (const int backend : host_.left_behind)
            execute(machinery::end_backend::sql_name, {std::to_string(backend).c_str()});
        hosts_.settle(host_);
        prepare(connection_, settings.statements);
        execute(machinery::allow_writes::sql_name, {});
        check(machinery::check_server::sql_name);
        if (is_replicated_) {
            check(machinery::check_replication::sql_name);
            confirm();
        }
        if (std::ranges::any_of(settings.statements,
                                [](const Prepared& statement) { return statement.name == schema; }))
            check(schema.data());
        if (settings.asks_for_privileges) {
            check_privileges(machinery::all);
            check_privileges(settings.statements);
            check(machinery::check_sequences::sql_name);
        }
        hosts_.prefer(host_.name);
    }

    bool confirms() const { return is_replicated_; }

    void confirm() { execute(machinery::confirm_primary::sql_name, {}); }

    bool is_open() const {
        pollfd server{.fd = connection_.sock(), .events = POLLRDHUP, .revents = 0};
        return connection_.is_open() && ::poll(&server, 1, 0) == 0;
    }

    pqxx::result execute(const char* statement, const std::vector<const char*>& arguments) {
        const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
        warning_.clear();
        try {
            if (transaction_) return run(*transaction_, statement, arguments);
            pqxx::nontransaction alone(connection_);
            pqxx::result result = run(alone, statement, arguments);
            refuse_warned_commit();
            lock_timeouts_ = 0;
            return result;
        } catch (const DatabaseError&) {
            throw;
        } catch (const std::exception& error) {
            fail(error);
        }
    }

    void transact(const std::function<void()>& work) {
        try {
            {
                const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
                transaction_.emplace(connection_);
            }
            work();
            const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
            warning_.clear();
            transaction_->commit();
            transaction_.reset();
            refuse_warned_commit();
            lock_timeouts_ = 0;
        } catch (const DatabaseError&) {
            undo();
            throw;
        } catch (const std::exception& error) {
            undo();
            fail(error);
        }
    }

private:
    static constexpr std::string_view schema = "check_schema";
    // So many in a row, and another host may have none: a commit that waits for a standby has its locks for ever.
    static constexpr int lock_timeouts_max = 3;

    PGconn* with_warnings(MadeConnection made) {
        PQsetNoticeReceiver(made.get(), keep_warning, &warning_);
        return made.release();
    }

    // A commit whose wait for a standby was cancelled is there, and PostgreSQL warns that no other host may have it.
    void refuse_warned_commit() {
        if (is_replicated_ && !warning_.empty()) throw lost("not confirmed: " + warning_);
    }

    DatabaseError lost(const std::string& reason) const {
        hosts_.suspect(host_.name, backend_);
        return {DatabaseFault::lost, reason};
    }

    void undo() {
        const Watchdog::Watch watch(watchdog_, connection_.sock(), call_ms_);
        transaction_.reset();
    }

    // A statement that gives what is wrong, or null.
    void check(const char* statement) {
        const pqxx::result found = execute(statement, {});
        if (found.size() != 1) throw odd("nothing was checked");
        if (!found[0][0].is_null()) throw DatabaseError(DatabaseFault::refused, found[0][0].c_str());
    }

    // By EXPLAIN, which checks what the role may do and does nothing: a missing grant is known, by its name, before
    // anyone asks.
    void check_privileges(std::span<const Prepared> statements) {
        // The general plan: one for these nulls would count when PostgreSQL later decides which kind is cheaper.
        std::string questions = "SET plan_cache_mode = force_generic_plan;";
        for (const auto& [name, sql, parameters] : statements) {
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

    // A server that gives up may have committed before, whatever its code says; and where there is no code, it has
    // said nothing.
    [[noreturn]] void fail(const std::exception& error) {
        const std::string what = first_line(error.what());
        const std::string sqlstate = sqlstate_of(error);
        const bool ended = !connection_.is_open() || what.starts_with("FATAL") || what.starts_with("PANIC");
        if (ended || sqlstate.empty()) throw lost("the connection was lost: " + what);
        const DatabaseFault fault = fault_of(sqlstate);
        if (fault == DatabaseFault::lost) throw lost(sqlstate + ' ' + what);
        if (sqlstate == "23505") throw IdTaken(DatabaseFault::busy, sqlstate + ' ' + what);
        lock_timeouts_ = sqlstate == "55P03" ? lock_timeouts_ + 1 : 0;
        if (lock_timeouts_ < lock_timeouts_max || !hosts_.are_several())
            throw DatabaseError(fault, sqlstate + ' ' + what);
        hosts_.suspect(host_.name, backend_);
        throw DatabaseError(DatabaseFault::refused, sqlstate + ' ' + what);
    }

    Hosts& hosts_;
    Watchdog& watchdog_;
    const Host host_;
    const int backend_;  // the server's process
    const bool is_replicated_;
    const std::chrono::milliseconds call_ms_;
    int lock_timeouts_ = 0;  // in a row
    std::string warning_;    // of the latest call
    LibpqxxConnection connection_;
    const NoNotices no_notices_{connection_};
    std::optional<pqxx::work> transaction_;
};

PostgresConnection::PostgresConnection(const PostgresSettings& settings, Hosts& hosts, Watchdog& watchdog) {
    Race race(hosts.in_order(), conninfo_of(settings), Clock::now() + settings.connect_ms);
    while (auto arrival = race.next()) {
        const Host host = arrival->host;
        try {
            session_ = std::make_unique<Session>(settings, std::move(*arrival), race.share(), hosts, watchdog);
            return;
        } catch (const std::exception& error) {
            race.refuse(host, error.what());
        }
    }
    throw DatabaseError(DatabaseFault::refused, race.reasons());
}

PostgresConnection::~PostgresConnection() = default;

bool PostgresConnection::is_open() const { return session_->is_open(); }

bool PostgresConnection::confirms() const { return session_->confirms(); }

void PostgresConnection::confirm() {
    if (session_->confirms()) session_->confirm();
}

void PostgresConnection::ping() {
    if (session_->confirms()) return session_->confirm();
    call<machinery::ping_server>();
}

bool PostgresConnection::is_unchanged() {
    const auto now = call<machinery::current_snapshot>();
    const std::string before = std::exchange(snapshot_, now.single().text(machinery::current_snapshot::snapshot));
    return snapshot_ == before;
}

void PostgresConnection::transact(const std::function<void()>& work) { session_->transact(work); }

Cells PostgresConnection::execute(const char* statement, std::initializer_list<Argument> arguments) {
    std::vector<const char*> texts;
    texts.reserve(arguments.size());
    for (const Argument& argument : arguments) texts.push_back(argument.text());
    return cells_of(session_->execute(statement, texts));
}

}  // namespace app
