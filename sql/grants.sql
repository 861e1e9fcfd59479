-- What the app's role may do: what its statements do, and nothing else. Run behind the migrations, each time, by
-- machinery/migrate, so that whatever was taken away is given back by the next start. What a new statement needs is added
-- here.

GRANT SELECT, INSERT, DELETE ON visitors TO visitors_app;
GRANT USAGE ON SEQUENCE visitors_id_seq TO visitors_app;
GRANT SELECT ON visitor_total, visitor_days TO visitors_app;
-- UPDATE of the key is what ON CONFLICT DO UPDATE asks for in order to see a row that another transaction is just
-- committing.
GRANT SELECT, INSERT, DELETE, UPDATE (key) ON idempotency_keys, batches TO visitors_app;
-- The index of names calls it for each row.
GRANT EXECUTE ON FUNCTION fold_case TO visitors_app;
GRANT EXECUTE ON FUNCTION skip_used_ids, refuse_alteration TO visitors_app;
