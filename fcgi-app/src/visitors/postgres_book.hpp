// The book in PostgreSQL: which statement each call is, and how its rows become values. Knows nothing of requests, or of who
// shares an answer. One thread at a time.
#pragma once

#include "postgres/postgres_connection.hpp"
#include "visitors/book.hpp"

#include <memory>
#include <span>

namespace app {

// The statements of sql/statements.sql, for PostgresSettings.
std::span<const Prepared> book_statements();

// Throws DatabaseError.
std::unique_ptr<Book> open_book(const PostgresSettings& settings, Hosts& hosts, Watchdog& watchdog);

}  // namespace app
