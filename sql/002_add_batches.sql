-- Additions without a client's key get one for their whole batch instead of one each: a fifth less work for
-- PostgreSQL, and nothing to purge for each visitor.

CREATE TABLE batches (
    key        text COLLATE "C" NOT NULL,
    ids        bigint[] NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT batches_pkey PRIMARY KEY (key),
    CONSTRAINT batches_key_length CHECK (char_length(key) BETWEEN 1 AND 64)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE batches IS
    'What each batch of the app added: sent again after a lost connection, it adds nothing twice. Purged within minutes.';
COMMENT ON COLUMN batches.key IS 'The app''s: which process, and its how many-eth batch.';
COMMENT ON COLUMN batches.ids IS 'In the order in which the names were sent.';
COMMENT ON COLUMN batches.created_at IS 'Its visitors'' created_at.';
CREATE INDEX batches_age ON batches (created_at);
-- UPDATE of the key for the same reason as in idempotency_keys.
GRANT SELECT, INSERT, DELETE, UPDATE (key) ON batches TO visitors_app;

COMMENT ON COLUMN visitors.created_at IS 'When its statement ran; those of one batch may have the same.';

-- Only clients' keys now; what an app that still runs the version before adds itself is purged a day later.
COMMENT ON COLUMN idempotency_keys.key IS 'The client''s: visible ASCII.';
DROP INDEX idempotency_keys_age;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- New names wait in a list that an addition must sort into the index when it is full: at the default of 4 MB
-- that one addition, and all behind it, took some 20 ms; at 64 kB it is 2 ms, and no more work in all.
ALTER INDEX visitors_name_search SET (gin_pending_list_limit = 64);
