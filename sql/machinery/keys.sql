-- What every service has beside its own tables; run behind its migrations, each time, by migrate. A service uses it by the
-- statements of statements.sql beside it, or leaves it alone.

-- What a request with an Idempotency-Key was answered, whatever the service is: its first answer, given again to a client that sends
-- it again.

SELECT to_regclass('public.kept_answers') IS NULL AS absent \gset
\if :absent
BEGIN;
CREATE TABLE kept_answers (
    key        text COLLATE "C" NOT NULL,
    request    text NOT NULL,
    answer     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT kept_answers_pkey PRIMARY KEY (key),
    CONSTRAINT kept_answers_key_length CHECK (char_length(key) BETWEEN 1 AND 64)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE kept_answers IS
    'What each key was answered, for at least 24 hours, whatever became meanwhile of what it is about.';
COMMENT ON COLUMN kept_answers.key IS
    'The client''s (visible ASCII), or one of the app''s own, which begins with a space and is purged within minutes.';
COMMENT ON COLUMN kept_answers.request IS 'What was asked, as the service wants it compared.';
COMMENT ON COLUMN kept_answers.answer IS 'The first answer, given again; empty while there is none yet.';
-- Purging looks both kinds up by age, each without walking over the other.
CREATE INDEX kept_answers_age ON kept_answers (created_at) WHERE key >= '!';
CREATE INDEX kept_answers_own_age ON kept_answers (created_at) WHERE key < '!';
COMMIT;
\endif

GRANT SELECT, INSERT, UPDATE, DELETE ON kept_answers TO :"app";

-- SECURITY DEFINER: the app may not set a sequence itself. Above 2^53 no number is skipped: there a browser cannot tell them apart, and
-- the sequence would soon be at its end.
CREATE OR REPLACE FUNCTION skip_taken_ids() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    place record;
BEGIN
    FOR place IN
        SELECT attname AS id, c.oid::regclass AS rows, pg_get_serial_sequence(c.oid::regclass::text, attname) AS sequence
        FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attidentity <> ''
    LOOP
        EXECUTE format('SELECT setval(%L, taken.id) FROM (SELECT max(%I) AS id FROM %s WHERE %2$I < 9007199254740992) AS taken '
                       'WHERE taken.id > (SELECT last_value FROM %4$s)', place.sequence, place.id, place.rows, place.sequence);
    END LOOP;
END
$$;
COMMENT ON FUNCTION skip_taken_ids IS 'Lets the next id of each table be above all that are there, also those inserted by hand.';
REVOKE EXECUTE ON FUNCTION skip_taken_ids FROM PUBLIC;
GRANT EXECUTE ON FUNCTION skip_taken_ids TO :"app";
