-- Projects and their tickets. The app checks all values first, and more strictly; the checks here are for who writes by
-- hand. What the machinery needs itself (keys) is in tables of its own.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Every number of tickets is a sum of open and done, so that none is counted by reading them. They change with nearly
-- every write: pages are left nearly empty, so that updates stay on their page, and are vacuumed early.
CREATE TABLE projects (
    key   text COLLATE "C" PRIMARY KEY CHECK (key ~ '^[A-Z][A-Z0-9]{1,9}$'),
    title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 120),
    open  bigint NOT NULL DEFAULT 0,
    done  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- statement_timestamp: the two times of a new ticket are the same.
CREATE TABLE tickets (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (id > 0),
    project    text COLLATE "C" NOT NULL REFERENCES projects,
    title      text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 120),
    body       text NOT NULL CHECK (char_length(body) <= 4000),
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
    version    integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at timestamptz NOT NULL DEFAULT statement_timestamp() CHECK (created_at >= '0001-01-01 00:00:00+00'),
    updated_at timestamptz NOT NULL DEFAULT statement_timestamp() CHECK (updated_at < '10000-01-01 00:00:00+00'),
    CHECK (created_at <= updated_at)
);
-- A page for each choice of project and state.
CREATE INDEX tickets_of_project ON tickets (project, id);
CREATE INDEX tickets_of_project_in_state ON tickets (project, state, id);
CREATE INDEX tickets_in_state ON tickets (state, id);

-- What a search compares: no accents (U+0300 to U+036F when decomposed), no case. lower() alone would leave letters of
-- two lower forms apart; the CASE spares ASCII the work.
CREATE FUNCTION fold_case(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(upper(CASE WHEN octet_length(value) = char_length(value) THEN value
                            ELSE regexp_replace(normalize(value, NFD), '[\u0300-\u036F]', '', 'g') END));
CREATE INDEX tickets_search ON tickets USING gin (fold_case(title) gin_trgm_ops, fold_case(body) gin_trgm_ops);

-- Whoever changes a ticket, also by hand, makes another version of it.
CREATE FUNCTION next_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
    RETURN NEW;
END $$;
CREATE TRIGGER newer BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION next_version();

-- SECURITY DEFINER: the app may read the numbers, never write them.
CREATE FUNCTION count_tickets() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$ BEGIN
    UPDATE projects AS p SET open = p.open + TG_ARGV[0]::int * c.open, done = p.done + TG_ARGV[0]::int * c.done
    FROM (SELECT project, count(*) FILTER (WHERE state = 'open') AS open, count(*) FILTER (WHERE state = 'done') AS done
          FROM changed GROUP BY project) AS c WHERE p.key = c.project;
    RETURN NULL;
END $$;
CREATE TRIGGER added AFTER INSERT ON tickets REFERENCING NEW TABLE AS changed EXECUTE FUNCTION count_tickets('1');
CREATE TRIGGER removed AFTER DELETE ON tickets REFERENCING OLD TABLE AS changed EXECUTE FUNCTION count_tickets('-1');
CREATE TRIGGER was AFTER UPDATE ON tickets REFERENCING OLD TABLE AS changed EXECUTE FUNCTION count_tickets('-1');
CREATE TRIGGER is_now AFTER UPDATE ON tickets REFERENCING NEW TABLE AS changed EXECUTE FUNCTION count_tickets('1');

GRANT SELECT, INSERT (key, title), UPDATE (title) ON projects TO tickets_app;
GRANT SELECT, INSERT (project, title, body), UPDATE (title, body, state), DELETE ON tickets TO tickets_app;
