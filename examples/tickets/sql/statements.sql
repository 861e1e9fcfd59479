-- What the service asks of the database, each in one round trip; no row: there is no such project or ticket. The build
-- makes of each a name with parameters and columns (`gives`).

-- What is wrong with the schema, or null; asked at each connection.
-- gives: wrong
PREPARE check_schema AS
    SELECT CASE WHEN count(*) < 5 THEN 'triggers are absent or off: numbers would go wrong' END FROM pg_trigger
    WHERE tgrelid = 'tickets'::regclass AND NOT tgisinternal AND tgenabled = 'O';

-- No row where it would be the hundred and first. xmax is 0 in a row that this statement made.
-- gives: key, title, tickets, is_new
PREPARE put_project AS
    INSERT INTO projects (key, title)
    SELECT $1::text, $2::text WHERE (SELECT count(*) FROM projects WHERE key <> $1) < 100
    ON CONFLICT (key) DO UPDATE SET title = EXCLUDED.title RETURNING key, title, open + done, xmax = 0;

-- The one with this key; all where it is empty.
-- gives: key, title, tickets
PREPARE some_projects AS
    SELECT key, title, open + done FROM projects WHERE $1::text IN ('', key) ORDER BY key;

-- gives: id, project, title, body, state, version, created_at, updated_at
PREPARE add_ticket AS
    INSERT INTO tickets (project, title, body) SELECT key, $2::text, $3::text FROM projects WHERE key = $1::text
    RETURNING id, project, title, body, state, version, created_at, updated_at;

-- $4 tickets below the id $3, of a project ($1) and in a state ($2) if these are not empty, and how many there are with
-- any id: in a row of nulls if none is below. A text ($5, a pattern or empty) is found by walking backwards and is not
-- counted: for what is in so many tickets that page_of_matches takes too long.
-- gives: id, project, title, body, state, version, created_at, updated_at, total
PREPARE page_of_tickets AS
    SELECT t.id, t.project, t.title, '', t.state, t.version, t.created_at, t.updated_at, counted.total
    FROM (SELECT CASE WHEN $5::text = '' THEN coalesce(sum(
              open * ($2::text <> 'done')::int + done * ($2 <> 'open')::int), 0)::bigint END AS total
          FROM projects WHERE $1::text IN ('', key)) AS counted
    LEFT JOIN LATERAL (
        SELECT * FROM tickets
        WHERE ($1 = '' OR project = $1) AND ($2 = '' OR state = $2) AND id < $3::bigint
              AND ($5 = '' OR fold_case(title) LIKE fold_case($5) OR fold_case(body) LIKE fold_case($5))
        ORDER BY id DESC LIMIT $4::int) AS t ON true ORDER BY t.id DESC;

-- The same for a text that is found by its index, and counted. MATERIALIZED: else the planner would walk backwards.
-- gives: id, project, title, body, state, version, created_at, updated_at, total
PREPARE page_of_matches AS
    WITH matches AS MATERIALIZED (
        SELECT id FROM tickets WHERE ($1::text = '' OR project = $1) AND ($2::text = '' OR state = $2)
            AND (fold_case(title) LIKE fold_case($5::text) OR fold_case(body) LIKE fold_case($5)))
    SELECT t.id, t.project, t.title, '', t.state, t.version, t.created_at, t.updated_at, counted.total
    FROM (SELECT count(*) AS total FROM matches) AS counted
    LEFT JOIN (SELECT id FROM matches WHERE id < $3::bigint ORDER BY id DESC LIMIT $4::int) AS shown ON true
    LEFT JOIN tickets AS t USING (id) ORDER BY t.id DESC;

-- gives: id, project, title, body, state, version, created_at, updated_at
PREPARE one_ticket AS
    SELECT id, project, title, body, state, version, created_at, updated_at FROM tickets WHERE id = $1::bigint;

-- The version ($2) is compared for whoever changes a ticket by hand just now.
-- gives: id, project, title, body, state, version, created_at, updated_at
PREPARE change_ticket AS
    UPDATE tickets SET title = $3::text, body = $4::text, state = $5::text WHERE id = $1::bigint AND version = $2::int
    RETURNING id, project, title, body, state, version, created_at, updated_at;

-- gives: id
PREPARE remove_ticket AS
    DELETE FROM tickets WHERE id = $1::bigint AND version = $2::int RETURNING id;
