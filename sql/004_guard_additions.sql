-- Two things that the app's additions ask for and may not do themselves.

-- Ids that were inserted by hand (a CSV that is loaded back, with its ids) and that the sequence would come to give out
-- itself. Above 2^53 none is skipped: there a browser cannot tell ids apart, and the sequence would soon be at its end.
CREATE FUNCTION skip_used_ids() RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT setval('visitors_id_seq', used.id)
    FROM (SELECT max(id) AS id FROM visitors WHERE id < 9007199254740992) AS used
    WHERE used.id > (SELECT last_value FROM visitors_id_seq);
$$;
COMMENT ON FUNCTION skip_used_ids IS 'Lets the next id be above all that are there.';

-- What a trigger or a rule has dropped or changed is not acknowledged, but undone. V0001 tells the app.
CREATE FUNCTION refuse_alteration() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a trigger, a rule or a policy adds otherwise than asked' USING ERRCODE = 'V0001';
END
$$;
COMMENT ON FUNCTION refuse_alteration IS 'Ends an addition that would not store what it answers.';

REVOKE EXECUTE ON FUNCTION skip_used_ids, refuse_alteration FROM PUBLIC;
