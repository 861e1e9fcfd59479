-- The two roles, made or mended: run before the migrations, each time, by migrate. Roles belong to the whole server
-- and not to the database, so they are not a migration. The app's password is set by migrate itself. A superuser is
-- not needed for roles that are as they should be, nor is one to make them.

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY[:'owner', :'app']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

-- Who is no superuser acts as a member of both.
SELECT format('GRANT %I TO CURRENT_USER', name) FROM unnest(ARRAY[:'owner', :'app']) AS name
WHERE current_setting('is_superuser') = 'off' AND NOT pg_has_role(name, 'USAGE') \gexec

-- Owns the schema and changes it (migrations SET ROLE to it); it has no login.
ALTER ROLE :"owner" NOLOGIN;
\set comment 'Owns the schema of ' :name '; migrations run as it.'
COMMENT ON ROLE :"owner" IS :'comment';

-- May do what the app's statements do, and nothing else (the grants stand in keys.sql and in the service's grants.sql).
ALTER ROLE :"app" LOGIN INHERIT NOCREATEROLE CONNECTION LIMIT -1 VALID UNTIL 'infinity';
COMMENT ON ROLE :"app" IS 'The role that fcgi-app logs in as.';
-- Only a superuser may say these, also where they change nothing.
SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS', rolname)
FROM pg_roles WHERE rolname = :'app' AND (rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls) \gexec

-- Whatever else it was set to, for all databases or for one. (What the app itself relies on it asks for when it
-- connects.)
SELECT format('ALTER ROLE %I IN DATABASE %I RESET ALL', :'app', datname)
FROM pg_db_role_setting JOIN pg_database AS d ON d.oid = setdatabase
WHERE setrole = (:'app')::regrole \gexec
BEGIN;
ALTER ROLE :"app" RESET ALL;
-- What holds for a session that asks for nothing else. The app asks for its own statement_timeout and lock_timeout, by its limit
-- for one database call.
ALTER ROLE :"app" SET statement_timeout = '2200ms';
ALTER ROLE :"app" SET lock_timeout = '2s';
ALTER ROLE :"app" SET idle_in_transaction_session_timeout = '5s';
-- Ends the work of an app that was killed, instead of finishing it for no client.
ALTER ROLE :"app" SET client_connection_check_interval = '2s';
-- Triggers keep what they must. The app may not say so itself, and this goes before what the database is set to.
SELECT format('ALTER ROLE %I SET session_replication_role = origin', :'app')
WHERE current_setting('is_superuser') = 'on' \gexec
COMMIT;
