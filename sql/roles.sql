-- The two roles, made or mended: run before the migrations, each time, by sql/migrate. Roles belong to
-- the whole server and not to the database, so they are not a migration. The psql variable `password`
-- holds the app's password.

-- A statement that fails would else be logged, with the password in it.
SET log_min_error_statement = panic;

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'visitors_owner') AS make_owner,
       NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'visitors_app') AS make_app
\gset
\if :make_owner
CREATE ROLE visitors_owner NOLOGIN;
\endif
\if :make_app
CREATE ROLE visitors_app;
\endif

-- Owns the schema and changes it (migrations SET ROLE to it); nobody logs in as it.
COMMENT ON ROLE visitors_owner IS 'Owns the schema of visitors; migrations run as it.';

-- May do what the app's statements do, and nothing else (the grants stand in the migrations).
ALTER ROLE visitors_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
COMMENT ON ROLE visitors_app IS 'The role that fcgi-app logs in as.';

-- Below the app's own limit for one database call (APP_DATABASE_CALL_MS, 2500), so that a slow
-- statement ends with an error on a good connection rather than with a connection that is cut.
ALTER ROLE visitors_app SET statement_timeout = '2200ms';
ALTER ROLE visitors_app SET lock_timeout = '2s';
ALTER ROLE visitors_app SET idle_in_transaction_session_timeout = '5s';
-- Ends the work of an app that was killed, instead of finishing it for nobody.
ALTER ROLE visitors_app SET client_connection_check_interval = '2s';

RESET log_min_error_statement;
