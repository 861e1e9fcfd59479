-- What the service asks of the database. The build makes a type of each (`gives` names its columns), so that a slip does not
-- compile; machinery/statements.sql has what all services ask. In a statement no line ends in a semicolon but its last.

-- What is wrong with the schema, or null; asked at each connection.
-- gives: wrong
PREPARE check_schema AS
    SELECT CASE WHEN (SELECT count(*) FROM notes_total) <> 1 THEN 'the schema is not complete: run the migrations' END;

-- Many of these are one transaction. Whoever writes takes the lock 1 first, so that two apps never wait for each other crosswise.
-- gives: id, text, created_at
PREPARE add_to_notes AS
    INSERT INTO notes (text) SELECT $1::text FROM pg_advisory_xact_lock(1) RETURNING id, text, created_at;

-- gives: id
PREPARE remove_from_notes AS
    DELETE FROM notes USING pg_advisory_xact_lock(1) WHERE id = $1::bigint RETURNING id;

-- At most $2 below the id $1, newest first, and the total, also where there is no row.
-- gives: id, text, created_at, total
PREPARE page_of_notes AS
    SELECT n.id, n.text, n.created_at, t.total FROM notes_total AS t
    LEFT JOIN LATERAL (SELECT * FROM notes WHERE id < $1::bigint ORDER BY id DESC LIMIT $2::int) AS n ON true
    ORDER BY n.id DESC;

-- gives: id, text, created_at
PREPARE one_of_notes AS
    SELECT id, text, created_at FROM notes WHERE id = $1::bigint;
