// SQL, and libpqxx 6.4 to 7.10. Statements are prepared on the connection and run outside of a transaction block:
// each is its own transaction, one round trip, and is committed when it returns.
#include "postgres_database.hpp"

#include "secret.hpp"

#include <algorithm>
#include <limits>
#include <pqxx/pqxx>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace app {
namespace {

struct Statement {
    const char* name;
    const char* sql;
};

// The batch's row tells whoever sends it again what it added, also of visitors that are deleted by then (xmax tells whether
// this statement made the row).
constexpr Statement add_batch{"add_batch", R"(
    WITH asked AS MATERIALIZED (
        SELECT name, number, nextval('visitors_id_seq') AS id
        FROM unnest($2::text[]) WITH ORDINALITY AS asked (name, number)
    ), batch AS (
        INSERT INTO batches AS b (key, ids, created_at)
        SELECT $1::text, array_agg(id ORDER BY number), clock_timestamp() FROM asked
        ON CONFLICT ON CONSTRAINT batches_pkey DO UPDATE SET key = EXCLUDED.key
        RETURNING b.ids, b.created_at, b.xmax = 0 AS fresh
    ), answer AS (
        SELECT ids[number::int] AS id, coalesce(name, 'Visitor_' || ids[number::int]) AS name, created_at, fresh, number
        FROM asked CROSS JOIN batch
    ), added AS (
        INSERT INTO visitors (id, name, created_at)
        SELECT id, name, created_at FROM answer WHERE fresh ORDER BY number
    )
    SELECT id, name, created_at FROM answer ORDER BY number)"};

// Keys are inserted in their order, so that two writers never wait for each other crosswise. DO UPDATE instead of
// DO NOTHING: only so a key that another transaction is just committing is seen.
constexpr Statement add_keyed_visitors{"add_keyed_visitors", R"(
    WITH asked AS MATERIALIZED (
        SELECT key, name, nextval('visitors_id_seq') AS id, clock_timestamp() AS at
        FROM unnest($1::text[], $2::text[]) AS asked (key, name)
    ), kept AS (
        INSERT INTO idempotency_keys AS k (key, requested_name, visitor_id, created_at)
        SELECT key, name, id, at FROM asked ORDER BY key
        ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE SET key = EXCLUDED.key
        RETURNING k.key, k.requested_name, k.visitor_id, k.created_at, k.xmax = 0 AS fresh
    ), added AS (
        INSERT INTO visitors (id, name, created_at)
        SELECT visitor_id, coalesce(requested_name, 'Visitor_' || visitor_id), created_at FROM kept WHERE fresh
        ORDER BY visitor_id
    )
    SELECT key, requested_name, visitor_id, coalesce(requested_name, 'Visitor_' || visitor_id), created_at, fresh
    FROM kept)"};

constexpr Statement remove_visitors{"remove_visitors",
                                    "DELETE FROM visitors WHERE id = ANY ($1::bigint[]) RETURNING id"};

// A batch is sent again within seconds, or never.
constexpr Statement purge_batches{"purge_batches", R"(
    DELETE FROM batches WHERE key IN (
        SELECT key FROM batches WHERE created_at < clock_timestamp() - interval '10 minutes'
        ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED))"};
constexpr Statement purge_client_keys{"purge_client_keys", R"(
    DELETE FROM idempotency_keys WHERE key IN (
        SELECT key FROM idempotency_keys WHERE created_at < clock_timestamp() - interval '25 hours'
        ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED))"};

// Any number of pages, and the total, from one snapshot; the total also where there is no row.
constexpr Statement pages_of_all{"pages_of_all", R"(
    SELECT t.total, v.id, v.name, v.created_at, asked.number
    FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS asked (before, rows, number)
    CROSS JOIN visitor_total AS t
    LEFT JOIN LATERAL (
        SELECT id, name, created_at FROM visitors WHERE id < asked.before ORDER BY id DESC LIMIT asked.rows) AS v ON true
    ORDER BY asked.number, v.id DESC)"};

// MATERIALIZED: with the LIMIT in sight the planner would walk the primary key backwards instead of using the index.
constexpr Statement page_of_matches{"page_of_matches", R"(
    WITH matches AS MATERIALIZED (SELECT id FROM visitors WHERE fold_case(name) LIKE fold_case($3))
    SELECT t.total, v.id, v.name, v.created_at
    FROM (SELECT count(*) AS total FROM matches) AS t LEFT JOIN LATERAL (
        SELECT visitors.id, name, created_at FROM visitors JOIN matches USING (id)
        WHERE id < $1 ORDER BY id DESC LIMIT $2) AS v ON true
    ORDER BY v.id DESC)"};

// For what matches so often that it cannot be counted in time: walking backwards finds a page at once.
constexpr Statement page_of_frequent{"page_of_frequent", R"(
    SELECT NULL, id, name, created_at FROM visitors
    WHERE id < $1 AND fold_case(name) LIKE fold_case($3) ORDER BY id DESC LIMIT $2)"};

constexpr Statement some_visitors{"some_visitors",
                                  "SELECT id, name, created_at FROM visitors WHERE id = ANY ($1::bigint[])"};

constexpr Statement rows_above{"rows_above",
                               "SELECT id, name, created_at FROM visitors WHERE id > $1 ORDER BY id LIMIT $2"};

constexpr Statement count_days{"count_days", R"(
    SELECT t.total, today - back, coalesce(d.count, 0)
    FROM visitor_total AS t
    CROSS JOIN (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS now
    CROSS JOIN generate_series(0, $1::int - 1) AS back
    LEFT JOIN visitor_days AS d ON d.day = today - back
    ORDER BY back)"};

constexpr Statement ping_server{"ping_server", "SELECT 1"};

constexpr std::string_view check_server = R"(
    SELECT current_setting('fsync') || ' ' || current_setting('full_page_writes'),
           current_setting('synchronous_commit'), current_setting('server_encoding'),
           (SELECT count(*) FROM visitor_total),
           (SELECT bool_and(has_table_privilege(name, privilege))
            FROM unnest('{visitors, idempotency_keys, batches}'::text[]) AS name,
                 unnest('{SELECT, INSERT, DELETE}'::text[]) AS privilege))";

// Here stand the differences between libpqxx's versions. Before 7.0 it would prepare a statement at its first use only, and
// a connection to an incomplete schema would pass for a good one, to be lost and made anew at each question.
void prepare(pqxx::connection& connection, const Statement& statement) {
    connection.prepare(statement.name, statement.sql);
#if !defined(PQXX_VERSION_MAJOR) || PQXX_VERSION_MAJOR < 7
    connection.prepare_now(statement.name);
#endif
}

template <class... Arguments>
pqxx::result run(pqxx::transaction_base& transaction, const Statement& statement, const Arguments&... arguments) {
#if defined(PQXX_VERSION_MAJOR) && PQXX_VERSION_MAJOR >= 7 && PQXX_VERSION_MINOR >= 9
    return transaction.exec(pqxx::prepped{statement.name}, pqxx::params{arguments...});
#else
    return transaction.exec_prepared(statement.name, arguments...);
#endif
}

std::string text(const pqxx::field& field) { return {field.c_str(), field.size()}; }

// PostgreSQL writes 2026-11-24 03:33:00.1234+00 (the connection's time zone is UTC), without zeros at the end.
std::string rfc3339(std::string_view timestamp) {
    std::string time(timestamp.substr(0, timestamp.find('+')));
    time[time.find(' ')] = 'T';
    const auto point = time.find('.');
    const std::size_t digits = point == std::string::npos ? 0 : time.size() - point - 1;
    if (digits == 0) time += '.';
    return time.append(6 - digits, '0') + 'Z';
}

Visitor visitor_at(const pqxx::row& row, pqxx::row::size_type first) {
    return {row[first].as<std::int64_t>(), text(row[first + 1]), rfc3339(text(row[first + 2]))};
}

// PostgreSQL's notation of an array, each element quoted or NULL.
class ArrayText {
public:
    void add(const std::optional<std::string>& element) {
        text_ += text_.size() == 1 ? "" : ",";
        if (!element) {
            text_ += "NULL";
            return;
        }
        text_ += '"';
        for (const char c : *element) {
            if (c == '"' || c == '\\') text_ += '\\';
            text_ += c;
        }
        text_ += '"';
    }
    std::string take() { return std::move(text_) + '}'; }

private:
    std::string text_ = "{";
};

// A LIKE pattern for names that contain `part`, each of its characters standing for itself.
std::string containing(const std::string& part) {
    std::string pattern = "%";
    for (const char c : part) {
        if (c == '%' || c == '_' || c == '\\') pattern += '\\';
        pattern += c;
    }
    return pattern + '%';
}

DatabaseFault fault_of(const std::string& sqlstate) {
    const std::string_view state_class = std::string_view(sqlstate).substr(0, 2);
    if (sqlstate.empty() || state_class == "08" || sqlstate.starts_with("57P")) return DatabaseFault::lost;
    if (state_class == "22" || state_class == "23") return DatabaseFault::rejected;
    // Cancelled by a time-out, no lock in time, deadlock, out of resources: a later try may succeed.
    if (sqlstate == "57014" || sqlstate == "55P03" || state_class == "40" || state_class == "53") {
        return DatabaseFault::busy;
    }
    return DatabaseFault::refused;
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// libpq's connection string: 'value' with \ and ' escaped.
std::string conninfo_value(const std::string& value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + '\'';
}

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
        const auto watch = watchdog_.watch(connection_.sock(), call_ms_);
        check();
        for (const Statement& statement :
             {add_batch, add_keyed_visitors, remove_visitors, purge_batches, purge_client_keys, pages_of_all,
              page_of_matches, page_of_frequent, some_visitors, rows_above, count_days, ping_server}) {
            prepare(connection_, statement);
        }
    }

    std::vector<Visitor> add(const std::string& batch_key, const std::vector<Name>& names) override {
        ArrayText array;
        for (const Name& name : names) array.add(name);
        std::vector<Visitor> added;
        for (const pqxx::row& row : call(add_batch, batch_key, array.take())) added.push_back(visitor_at(row, 0));
        return added;
    }

    std::vector<Added> add_keyed(const std::vector<KeyedAddition>& additions) override {
        ArrayText keys;
        ArrayText names;
        for (const KeyedAddition& addition : additions) {
            keys.add(addition.key);
            names.add(addition.name);
        }
        const pqxx::result rows = call(add_keyed_visitors, keys.take(), names.take());
        std::unordered_map<std::string, Added> by_key;
        for (const pqxx::row& row : rows) {
            Added added{.visitor = visitor_at(row, 2), .requested_name = std::nullopt, .fresh = row[5].as<bool>()};
            if (!row[1].is_null()) added.requested_name = text(row[1]);
            by_key.emplace(text(row[0]), std::move(added));
        }
        std::vector<Added> answers;
        answers.reserve(additions.size());
        for (const KeyedAddition& addition : additions) answers.push_back(std::move(by_key.at(addition.key)));
        return answers;
    }

    std::vector<std::int64_t> remove(const std::vector<std::int64_t>& ids) override {
        ArrayText array;
        for (const std::int64_t id : ids) array.add(std::to_string(id));
        std::vector<std::int64_t> removed;
        for (const pqxx::row& row : call(remove_visitors, array.take())) removed.push_back(row[0].as<std::int64_t>());
        return removed;
    }

    int purge_keys(int rows_max) override {
        const auto batches = call(purge_batches, rows_max).affected_rows();
        const auto keys = call(purge_client_keys, rows_max).affected_rows();
        return static_cast<int>(std::max(batches, keys));
    }

    std::vector<Page> pages(const std::vector<PageQuestion>& questions) override {
        ArrayText befores;
        ArrayText limits;
        for (const PageQuestion& question : questions) {
            befores.add(std::to_string(before(question)));
            limits.add(std::to_string(question.limit + 1));
        }
        const pqxx::result rows = call(pages_of_all, befores.take(), limits.take());
        std::vector<Page> pages(questions.size());
        for (const pqxx::row& row : rows) {
            const auto number = row[4].as<std::size_t>() - 1;
            append_row(pages[number], row, questions[number].limit);
        }
        return pages;
    }

    Page search(const PageQuestion& question) override {
        const std::string pattern = containing(question.text);
        try {
            return search_by(page_of_matches, question, pattern);
        } catch (const DatabaseError& error) {
            if (error.fault != DatabaseFault::busy) throw;
        }
        return search_by(page_of_frequent, question, pattern);
    }

    std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) override {
        ArrayText array;
        for (const std::int64_t id : ids) array.add(std::to_string(id));
        std::vector<Visitor> found;
        for (const pqxx::row& row : call(some_visitors, array.take())) found.push_back(visitor_at(row, 0));
        return found;
    }

    Stats stats(int days) override {
        Stats stats;
        for (const pqxx::row& row : call(count_days, days)) {
            stats.total = row[0].as<std::int64_t>();
            stats.days.push_back({text(row[1]), row[2].as<std::int64_t>()});
        }
        return stats;
    }

    std::vector<Visitor> rows(std::int64_t after, int rows_max) override {
        std::vector<Visitor> visitors;
        for (const pqxx::row& row : call(rows_above, after, rows_max)) visitors.push_back(visitor_at(row, 0));
        return visitors;
    }

    void ping() override { call(ping_server); }

private:
    template <class... Arguments>
    pqxx::result call(const Statement& statement, const Arguments&... arguments) {
        const auto watch = watchdog_.watch(connection_.sock(), call_ms_);
        try {
            pqxx::nontransaction transaction(connection_);
            return run(transaction, statement, arguments...);
        } catch (const pqxx::sql_error& error) {
            throw DatabaseError(fault_of(error.sqlstate()), error.sqlstate() + ' ' + first_line(error.what()));
        } catch (const std::exception& error) {
            // broken_connection, in_doubt_error; whatever else it may be, this connection is not used again.
            throw DatabaseError(DatabaseFault::lost, "the connection was lost: " + first_line(error.what()));
        }
    }

    void check() {
        pqxx::nontransaction transaction(connection_);
        const pqxx::result rows = transaction.exec(std::string(check_server));
        const auto refuse = [](const std::string& what) { throw DatabaseError(DatabaseFault::refused, what); };
        if (text(rows[0][0]) != "on on")
            refuse("fsync and full_page_writes must be on: nothing acknowledged may be lost");
        if (text(rows[0][1]) == "off") refuse("synchronous_commit must not be off: nothing acknowledged may be lost");
        if (text(rows[0][2]) != "UTF8") refuse("the database's encoding must be UTF8");
        if (rows[0][3].as<int>() != 1) refuse("the schema is not complete: run the migrations");
        if (!rows[0][4].as<bool>()) refuse("the role lacks privileges on its tables: run the migrations");
    }

    Page search_by(const Statement& statement, const PageQuestion& question, const std::string& pattern) {
        Page page;
        for (const pqxx::row& row : call(statement, before(question), question.limit + 1, pattern)) {
            append_row(page, row, question.limit);
        }
        return page;
    }

    static std::int64_t before(const PageQuestion& question) {
        return question.before.value_or(std::numeric_limits<std::int64_t>::max());
    }

    // A row is: the total or null, then a visitor or nulls. One row more than the limit tells that there are more.
    static void append_row(Page& page, const pqxx::row& row, int limit) {
        if (!row[0].is_null()) page.total = row[0].as<std::int64_t>();
        if (row[1].is_null()) return;
        page.more = static_cast<int>(page.visitors.size()) == limit;
        if (!page.more) page.visitors.push_back(visitor_at(row, 1));
    }

    Watchdog& watchdog_;
    const std::chrono::milliseconds call_ms_;
    pqxx::connection connection_;
};

}  // namespace

std::unique_ptr<Database> connect_postgres(const PostgresSettings& settings, Watchdog& watchdog) {
    try {
        return std::make_unique<PostgresDatabase>(settings, watchdog);
    } catch (const DatabaseError&) {
        throw;
    } catch (const std::exception& error) {
        throw DatabaseError(DatabaseFault::refused, first_line(error.what()));
    }
}

}  // namespace app
