// One connection to PostgreSQL, the statements that are prepared on it, and what each of PostgreSQL's errors means for the
// one who asked. Knows no resource and no request. This and its .cpp are the only users of libpqxx, whose errors leave it as
// DatabaseError, as do rows of another form than the statements should give. One thread at a time (libpqxx: a connection and
// all that belongs to it is one thread's).
#pragma once

#include "base/watchdog.hpp"
#include "hosts/hosts.hpp"
#include "lanes/connection.hpp"
#include "sql/statement.hpp"

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace app {

struct PostgresSettings {
    std::string name;                              // the service's, for pg_stat_activity
    std::span<const Prepared> statements;          // the service's; check_schema among them is called at once
    std::string password_file;                     // read at each connection; empty: none
    bool is_replicated = false;                    // whether what is answered is confirmed by a standby
    std::chrono::milliseconds connect_ms{2000};    // to connect and check, whatever the number of hosts
    std::chrono::milliseconds call_ms{2500};       // a call that takes longer loses its connection
    std::chrono::milliseconds statement_ms{2200};  // PostgreSQL's statement_timeout, which keeps the connection
    std::chrono::milliseconds lock_ms{2000};       // PostgreSQL's lock_timeout
    std::string planner = "plan_cache_mode=auto";  // settings of PostgreSQL's planner, with spaces between
    bool asks_for_privileges = false;              // of each statement; takes as long as to plan all of them
};

class PostgresConnection final : public Connection {
public:
    // Connects to the first host that can do what is asked of it, and checks what a service's promise rests on: durable commits,
    // UTF-8, the schema, the role's privileges. `hosts` learns which one is good, and is told of the one that is lost.
    PostgresConnection(const PostgresSettings& settings, Hosts& hosts, Watchdog& watchdog);
    ~PostgresConnection() override;

    bool is_open() const override;
    void ping() override;
    bool is_unchanged() override;
    bool confirms() const override;
    void confirm() override;

    // One round trip; outside of transact() also a transaction of its own, committed when this returns.
    template <class Statement, class... Values>
    Rows<Statement> call(const Values&... values) {
        static_assert(sizeof...(Values) == Statement::parameters, "the statement has another number of parameters");
        return Rows<Statement>(execute(Statement::sql_name, {Argument(values)...}));
    }

    // The calls that `work` makes are one transaction, committed when this returns; undone if it throws.
    void transact(const std::function<void()>& work);

private:
    class Session;

    Cells execute(const char* statement, std::initializer_list<Argument> arguments);

    std::unique_ptr<Session> session_;
    std::string snapshot_;  // when is_unchanged() was asked last
};

// Makes connections of one kind.
inline Connect<PostgresConnection> connector(PostgresSettings settings, Hosts& hosts, Watchdog& watchdog) {
    return [settings = std::move(settings), &hosts, &watchdog] {
        return std::make_unique<PostgresConnection>(settings, hosts, watchdog);
    };
}

// A row that the database refused for an id that is there already, inserted by hand: the next may be free.
class IdTaken : public DatabaseError {
    using DatabaseError::DatabaseError;
};

}  // namespace app
