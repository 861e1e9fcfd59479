-- Looks for old rows that a constraint would refuse today: each constraint that a migration added as NOT VALID becomes
-- valid, or a warning says which rows are in its way. Run behind the migrations, each time, by migrate; must not
-- fail for a row. Mended rows (deleted, or deleted and inserted anew: created_at never changes) are noticed by the next
-- run.
DO $$
DECLARE
    rule record;
    found record;
BEGIN
    FOR rule IN
        SELECT conname, conrelid::regclass AS name, pg_get_expr(conbin, conrelid) AS condition FROM pg_constraint
        WHERE contype = 'c' AND NOT convalidated AND connamespace = 'public'::regnamespace ORDER BY conname
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', rule.name, rule.conname);
        EXCEPTION
            WHEN check_violation THEN
                EXECUTE format('SELECT count(*) AS rows, min(odd::text) AS one FROM %s AS odd WHERE NOT (%s)', rule.name, rule.condition)
                INTO found;
                RAISE WARNING '% has % rows that cannot be shown, such as %: delete them, or insert them anew (%)',
                    rule.name, found.rows, found.one, rule.conname;
            WHEN lock_not_available THEN
                NULL;  -- The next run is early enough.
        END;
    END LOOP;
END
$$;
