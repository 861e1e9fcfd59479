-- What the app's role may do: what the statements do, and nothing else. Run behind the migrations, each time. What a new statement
-- needs is added here; the service is not ready without it, and its log says what is missing.

GRANT SELECT, INSERT, DELETE ON notes TO :"app";
GRANT SELECT ON notes_total TO :"app";
