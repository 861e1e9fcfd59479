// The database interface on PostgreSQL: one connection, its statements, and what each of PostgreSQL's errors means
// for whoever asked. Knows nothing of requests, or of who shares an answer. The only user of libpqxx, whose errors
// leave it as DatabaseError, as do rows of another form than the statements should give. One thread at a time
// (libpqxx: a connection and all that belongs to it is one thread's).
#pragma once

#include "database.hpp"
#include "watchdog.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace app {

struct PostgresSettings {
    std::string password_file;                     // read at each connection; empty: none
    std::chrono::milliseconds connect_ms{2000};    // to connect and check, whatever the number of hosts
    std::chrono::milliseconds call_ms{2500};       // a call that takes longer loses its connection
    std::chrono::milliseconds statement_ms{2200};  // PostgreSQL's statement_timeout, which keeps the connection
    std::chrono::milliseconds lock_ms{2000};       // PostgreSQL's lock_timeout
    std::string plan_cache_mode = "auto";          // PostgreSQL's
    bool asks_for_privileges = false;              // of each statement; takes as long as to plan all of them
};

// Connects by libpq's environment (PGHOST, PGPORT, PGUSER, PGDATABASE; several hosts are tried one after the other),
// and checks what the service's promise rests on: durable commits, UTF-8, the schema, the role's privileges. Throws
// DatabaseError.
std::unique_ptr<Database> connect_postgres(const PostgresSettings& settings, Watchdog& watchdog);

}  // namespace app
