-- What every service asks of the database. The build puts this text and that of the service's statements.sql into the program
-- (the Makefile's statements.hpp), which prepares each statement at each connection; so does `\i sql/machinery/statements.sql` in
-- psql, for EXPLAIN ANALYZE EXECUTE. No migration: migrate does not read it. In a statement no line ends in a semicolon but its
-- last; above it stands which columns it gives, in their order.

-- A role or a database that is read-only by default does not stop the service; a whole server that is has its reason.
-- gives: setting
PREPARE allow_writes AS
    SELECT set_config(name, 'off', false) FROM pg_settings
    WHERE name = 'default_transaction_read_only' AND source IN ('database', 'user', 'database user');

-- What is wrong with the server, or null; asked at each connection, before the service's check_schema.
-- gives: wrong
PREPARE check_server AS
    SELECT CASE
        WHEN pg_is_in_recovery() THEN 'the server recovers, or is a standby: it takes no additions'
        WHEN current_setting('transaction_read_only') = 'on' THEN
            'default_transaction_read_only is on for the whole server: it takes no additions'
        WHEN current_setting('fsync') = 'off' OR current_setting('full_page_writes') = 'off' THEN
            'fsync and full_page_writes must be on: nothing acknowledged may be lost'
        WHEN current_setting('synchronous_commit') = 'off' THEN
            'synchronous_commit must not be off: nothing acknowledged may be lost'
        WHEN current_setting('server_encoding') <> 'UTF8' THEN 'the database''s encoding must be UTF8'
    END;

-- The same where a standby may take over (APP_REPLICATED).
-- gives: wrong
PREPARE check_replication AS
    SELECT CASE
        WHEN current_setting('synchronous_standby_names') = '' THEN
            'synchronous_standby_names must name a standby, as APP_REPLICATED is on: what no standby has is lost with this server'
        WHEN current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
            'synchronous_commit must be on or remote_apply, as APP_REPLICATED is on: what no standby has is lost with this server'
    END;

-- Returns once a synchronous standby has what this commits, so this server was still the primary after it was asked: whatever was
-- read before was so. Transactional: else nothing would be committed, and nothing waited for.
-- gives: location
PREPARE confirm_primary AS
    SELECT pg_logical_emit_message(true, 'confirmed', '');

-- What a call that was cut may have left: a commit that waits for a standby is ended by nothing else, and keeps its locks. Its number
-- may be another process's by now; then that is not the app's, or not older than this session.
-- gives: ended
PREPARE end_backend AS
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = $1::int AND usename = current_user AND application_name = current_setting('application_name')
        AND backend_start < (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid());

-- What EXPLAIN does not tell of: a sequence that the role may not use, named by a statement or by a default in a table that it
-- may add to (the one behind an identity column needs no grant); or null.
-- gives: wrong
PREPARE check_sequences AS
    SELECT 'the role may not use ' || min(seqrelid::regclass::text) FROM pg_sequence JOIN pg_class AS s ON s.oid = seqrelid
    WHERE NOT has_sequence_privilege(seqrelid, 'USAGE') AND (
        EXISTS (SELECT FROM pg_prepared_statements WHERE statement ~ ('nextval\(''([^'']*\.)?"?' || s.relname || '"?'''))
        OR EXISTS (SELECT FROM pg_depend AS d JOIN pg_attrdef AS a ON a.oid = d.objid
                   WHERE d.classid = 'pg_attrdef'::regclass AND d.refobjid = seqrelid
                         AND has_any_column_privilege(a.adrelid, 'INSERT')));

-- gives: one
PREPARE ping_server AS
    SELECT 1;

-- What is visible is decided by the snapshot alone (whichever transactions have ended), so the same snapshot is the same data.
-- Not on a standby, which check_server refuses: there the same text may stand for other data.
-- gives: snapshot
PREPARE current_snapshot AS
    SELECT pg_current_snapshot();

-- The begin of a batch: what is kept of each key; they are locked until the end of the transaction, also those of which
-- nothing is kept (their answers are empty). Batches of several processes come one after the other (the number only has to be the same
-- everywhere): none ever waits for another crosswise amid what it does, and each statement behind this sees all that others did before.
-- DO UPDATE instead of DO NOTHING: only so a row is seen that was committed while the lock was waited for.
-- gives: key, request, answer
PREPARE claim_keys AS
    INSERT INTO kept_answers AS k (key, request, answer)
    SELECT DISTINCT key, '', '' FROM pg_advisory_xact_lock(7203114866), unnest($1::text[]) AS key ORDER BY key
    ON CONFLICT ON CONSTRAINT kept_answers_pkey DO UPDATE SET key = EXCLUDED.key
    RETURNING k.key, k.request, k.answer;

-- gives: rows
PREPARE keep_answers AS
    WITH kept AS (
        UPDATE kept_answers AS k SET request = given.request, answer = given.answer
        FROM unnest($1::text[], $2::text[], $3::text[]) AS given (key, request, answer) WHERE k.key = given.key RETURNING k.key
    )
    SELECT count(*) FROM kept;

-- Of what came to nothing: its key may be used again. One that was answered meanwhile stays.
-- gives:
PREPARE forget_keys AS
    DELETE FROM kept_answers WHERE key = ANY ($1::text[]) AND answer = '';

-- After ids that somebody inserted by hand were met.
-- gives: skipped
PREPARE skip_taken_ids AS
    SELECT skip_taken_ids();

-- The app's own keys are sent again within seconds, or never.
-- gives: rows
PREPARE purge_kept_answers AS
    WITH old_own AS (
        DELETE FROM kept_answers WHERE key IN (
            SELECT key FROM kept_answers WHERE key < '!' AND created_at < clock_timestamp() - interval '10 minutes'
            ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key
    ), old AS (
        DELETE FROM kept_answers WHERE key IN (
            SELECT key FROM kept_answers WHERE key >= '!' AND created_at < clock_timestamp() - interval '25 hours'
            ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key
    )
    SELECT greatest((SELECT count(*) FROM old_own), (SELECT count(*) FROM old));
