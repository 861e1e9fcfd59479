// The database interface on PostgreSQL: one connection, its statements, and what each of PostgreSQL's errors means for
// whoever asked. Knows nothing of requests, or of who shares an answer. The only user of libpqxx, whose errors leave it as
// DatabaseError; only rows of another form than the statements give would not, and would end the process. One thread at a
// time (libpqxx: a connection and all that belongs to it is one thread's).
#pragma once

#include "database.hpp"
#include "watchdog.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace app {

struct PostgresSettings {
    std::string password_file;                  // read at each connection; empty: none
    std::chrono::milliseconds call_ms{2500};    // a call that takes longer loses its connection; to connect is no call
    std::chrono::milliseconds statement_ms{0};  // PostgreSQL's statement_timeout; 0: the role's
};

// Connects by libpq's environment (PGHOST, PGPORT, PGUSER, PGDATABASE), for 2 s at most for each host, and checks what
// the service's promise rests on: durable commits, UTF-8, the schema. Throws DatabaseError.
std::unique_ptr<Database> connect_postgres(const PostgresSettings& settings, Watchdog& watchdog);

}  // namespace app
