-- What this service asks of the database, beside machinery/statements.sql, whose first lines say how both are read.

-- What is wrong with the schema, or null; asked at each connection. (Whether the role may do each statement, /health asks by
-- EXPLAIN; that does not tell of the sequence.)
-- gives: wrong
PREPARE check_schema AS
    SELECT CASE
        WHEN (SELECT count(*) FROM visitor_total) <> 1 THEN 'the schema is not complete: run the migrations'
        WHEN NOT (SELECT bool_and(has_table_privilege(name, privilege))
                  FROM unnest('{visitors, idempotency_keys, batches}'::text[]) AS name,
                       unnest('{SELECT, INSERT, DELETE}'::text[]) AS privilege) THEN
            'the role lacks privileges on its tables: run the migrations'
        WHEN NOT has_sequence_privilege('visitors_id_seq', 'USAGE') THEN
            'the role may not use visitors_id_seq: run the migrations'
    END;

-- The batch's row tells, when it is sent again, which ids it has, also of visitors that are deleted by then (xmax tells
-- whether this statement made the row). DO UPDATE instead of DO NOTHING: only so a row that another transaction is just
-- committing is seen. What is not stored as it is answered is undone.
-- gives: id, name, created_at, requested_name, fresh
PREPARE add_batch AS
    WITH asked AS MATERIALIZED (
        SELECT name, number, nextval('visitors_id_seq') AS id
        FROM unnest($2::text[]) WITH ORDINALITY AS asked (name, number)
    ), batch AS (
        INSERT INTO batches AS b (key, ids, created_at)
        SELECT $1::text, array_agg(id ORDER BY number), clock_timestamp() FROM asked
        ON CONFLICT ON CONSTRAINT batches_pkey DO UPDATE SET key = EXCLUDED.key
        RETURNING b.ids, b.created_at, b.xmax = 0 AS unsent
    ), answer AS (
        SELECT number, ids[number] AS id, coalesce(name, 'Visitor_' || ids[number]) AS name, created_at,
               name AS requested_name, unsent
        FROM asked CROSS JOIN batch
    ), added AS (
        INSERT INTO visitors (id, name, created_at)
        SELECT id, name, created_at FROM answer WHERE unsent ORDER BY number
        RETURNING id, name, created_at
    )
    SELECT id, name, created_at, requested_name,
           (SELECT count(*) FROM added JOIN answer USING (id, name, created_at)) =
           (SELECT count(*) FROM answer WHERE unsent) OR refuse_alteration()
    FROM answer ORDER BY number;

-- The same where some have a client's key: that costs PostgreSQL a tenth more for all. A key's row keeps the id of the
-- first addition with it, and whatever has another id is a replay. Keys are inserted in their order, so that two writers
-- never wait for each other crosswise.
-- gives: id, name, created_at, requested_name, fresh
PREPARE add_batch_with_keys AS
    WITH asked AS MATERIALIZED (
        SELECT name, nullif(key, '') AS key, number, nextval('visitors_id_seq') AS id
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS asked (name, key, number)
    ), batch AS (
        INSERT INTO batches AS b (key, ids, created_at)
        SELECT $1::text, array_agg(id ORDER BY number), clock_timestamp() FROM asked
        ON CONFLICT ON CONSTRAINT batches_pkey DO UPDATE SET key = EXCLUDED.key
        RETURNING b.ids, b.created_at, b.xmax = 0 AS unsent
    ), kept AS (
        INSERT INTO idempotency_keys AS k (key, requested_name, visitor_id, created_at)
        SELECT DISTINCT ON (key) key, name, ids[number], created_at
        FROM asked CROSS JOIN batch WHERE key IS NOT NULL ORDER BY key, number
        ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE SET key = EXCLUDED.key
        RETURNING k.key, k.requested_name, k.visitor_id, k.created_at
    ), answer AS (
        SELECT number, id, coalesce(requested_name, 'Visitor_' || id) AS name, requested_name, created_at, fresh, unsent
        FROM (
            SELECT number, ids[number] AS id, name AS requested_name, created_at, true AS fresh, unsent
            FROM asked CROSS JOIN batch WHERE key IS NULL
            UNION ALL
            SELECT number, k.visitor_id, k.requested_name, k.created_at, k.visitor_id = ids[number], unsent
            FROM asked JOIN kept AS k USING (key) CROSS JOIN batch) AS keyed_or_not
    ), added AS (
        INSERT INTO visitors (id, name, created_at)
        SELECT id, name, created_at FROM answer WHERE fresh AND unsent ORDER BY number
        RETURNING id, name, created_at
    )
    SELECT id, name, created_at, requested_name,
           CASE WHEN (SELECT count(*) FROM added JOIN answer USING (id, name, created_at)) =
                     (SELECT count(*) FROM answer WHERE fresh AND unsent)
                     AND (SELECT count(*) FROM answer) = (SELECT count(*) FROM asked) THEN fresh
                ELSE refuse_alteration() END
    FROM answer ORDER BY number;

-- A row where there is the visitor: whether it may be removed, and whether it was. With a key ($2) only if that added it within
-- so many seconds ($3); under its number another one may have been inserted by hand, at another time. Only asked for where $4
-- is false; else what may be removed and was not is gone by then: another statement, under way when this one began, was faster.
-- gives: allowed, removed
PREPARE remove_visitor AS
    WITH found AS MATERIALIZED (
        SELECT v.id, $2::text = '' OR v.created_at > clock_timestamp() - $3::int * interval '1 second' AND EXISTS (
            SELECT FROM idempotency_keys AS k
            WHERE k.key = $2 AND k.visitor_id = v.id AND k.created_at = v.created_at) AS allowed
        FROM visitors AS v WHERE v.id = $1
    ), removed AS (
        DELETE FROM visitors USING found WHERE visitors.id = found.id AND allowed AND $4::boolean RETURNING visitors.id
    )
    SELECT allowed, EXISTS (SELECT FROM removed) FROM found;

-- After ids that somebody inserted by hand were met.
-- gives: skipped
PREPARE skip_used_ids AS
    SELECT skip_used_ids();

-- A batch is sent again within seconds, or never.
-- gives: rows
PREPARE purge_old_keys AS
    WITH old_batches AS (
        DELETE FROM batches WHERE key IN (
            SELECT key FROM batches WHERE created_at < clock_timestamp() - interval '10 minutes'
            ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key
    ), old_keys AS (
        DELETE FROM idempotency_keys WHERE key IN (
            SELECT key FROM idempotency_keys WHERE created_at < clock_timestamp() - interval '25 hours'
            ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key
    )
    SELECT greatest((SELECT count(*) FROM old_batches), (SELECT count(*) FROM old_keys));

-- Any number of pages, and the total, from one snapshot; the total also where there is no row.
-- gives: id, name, created_at, total, number
PREPARE pages_of_all AS
    SELECT v.id, v.name, v.created_at, t.total, asked.number
    FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS asked (last, rows, number)
    CROSS JOIN visitor_total AS t
    LEFT JOIN LATERAL (
        SELECT id, name, created_at FROM visitors WHERE id <= asked.last ORDER BY id DESC LIMIT asked.rows) AS v ON true
    ORDER BY asked.number, v.id DESC;

-- MATERIALIZED: with the LIMIT in sight the planner would walk the primary key backwards instead of using the index.
-- gives: id, name, created_at, total
PREPARE page_of_matches AS
    WITH matches AS MATERIALIZED (SELECT id FROM visitors WHERE fold_case(name) LIKE fold_case($3))
    SELECT v.id, v.name, v.created_at, t.total
    FROM (SELECT count(*) AS total FROM matches) AS t LEFT JOIN LATERAL (
        SELECT visitors.id, name, created_at FROM visitors JOIN matches USING (id)
        WHERE id <= $1 ORDER BY id DESC LIMIT $2) AS v ON true
    ORDER BY v.id DESC;

-- For what matches so often that it cannot be counted in time: walking backwards finds a page at once.
-- gives: id, name, created_at, total
PREPARE page_of_frequent AS
    SELECT id, name, created_at, NULL FROM visitors
    WHERE id <= $1 AND fold_case(name) LIKE fold_case($3) ORDER BY id DESC LIMIT $2;

-- gives: id, name, created_at
PREPARE some_visitors AS
    SELECT id, name, created_at FROM visitors WHERE id = ANY ($1::bigint[]);

-- gives: id, name, created_at
PREPARE rows_above AS
    SELECT id, name, created_at FROM visitors WHERE id > $1 ORDER BY id LIMIT $2;

-- gives: total, day, count
PREPARE count_days AS
    SELECT t.total, today - back, coalesce(d.count, 0)
    FROM visitor_total AS t
    CROSS JOIN (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS now
    CROSS JOIN generate_series(0, $1::int - 1) AS back
    LEFT JOIN visitor_days AS d ON d.day = today - back
    ORDER BY back;
