-- Rows for a measurement, the same for the service and for its peers: names as people have them, one every few seconds
-- over the last thirty days. The psql variables `first` and `last` are the ids; ids have no gaps.
INSERT INTO visitors (id, name, created_at)
SELECT id,
       (ARRAY['Ada', 'Grace', 'Alan', 'Barbara', 'Edsger', 'Donald', 'Margaret', 'Tony', 'Radia', 'Linus'])[1 + id % 10] || ' ' ||
       (ARRAY['Lovelace', 'Hopper', 'Turing', 'Liskov', 'Dijkstra', 'Knuth', 'Hamilton'])[1 + id / 10 % 7] || ' ' || id % 1000,
       now() - interval '30 days' * (1 - id::float8 / :last)
FROM generate_series(:first::bigint, :last::bigint) AS id;
SELECT setval(pg_get_serial_sequence('visitors', 'id'), :last);
