-- What the API cannot show is refused, whoever writes it: a time that is infinite or whose year has not four digits,
-- and an id that is no number from 1. NOT VALID: rows that are there already must not stop an upgrade; sql/machinery/checks.sql
-- looks at them.
ALTER TABLE visitors
    ADD CONSTRAINT visitors_id_positive CHECK (id > 0) NOT VALID,
    ADD CONSTRAINT visitors_created_at_shown
        CHECK (created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00') NOT VALID;
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_created_at_shown
    CHECK (created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00') NOT VALID;
ALTER TABLE batches ADD CONSTRAINT batches_created_at_shown
    CHECK (created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00') NOT VALID;
