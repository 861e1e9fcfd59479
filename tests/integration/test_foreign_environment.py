"""What somebody else has set must not mislead the service: the caller's shell when a command of make runs, and the
operator's SQL when a start finds the server, the roles and the database otherwise than it left them. Knows nothing of
the API but that it answers."""
import os
import shutil
import tempfile
import threading
import unittest

import stack as stacks
from stack import ROLE, Stack, sample

MARK = 'of-the-callers-shell'
STATE_OF_ROLE = ('SELECT rolcanlogin, rolinherit, rolcreatedb, rolconnlimit, rolvaliduntil '
                 f"FROM pg_roles WHERE rolname = '{ROLE}'")


def write(path, text, mode=0o644):
    with open(path, 'w') as file:
        file.write(text)
    os.chmod(path, mode)
    return path


class ForeignEnvironmentTest(unittest.TestCase):
    """Each command of make in a shell whose variables all lead astray: to the database of another service, or to nowhere."""

    LASTS_S = 50

    @classmethod
    def setUpClass(cls):
        cls.other = stacks.shared()
        cls.folder = tempfile.mkdtemp(prefix='v-caller-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        os.chmod(cls.folder, 0o755)
        superuser = cls.other.sql('SELECT current_user')[0][0]
        services = write(os.path.join(cls.folder, '.pg_service.conf'), f'[other]\nhost={cls.other.state_dir}/run\n'
                         f'port={cls.other.postgres_port}\nuser={superuser}\ndbname={sample.NAME}\n')
        cls.trace = os.path.join(cls.folder, 'trace')
        astray = write(os.path.join(cls.folder, 'astray'), f'echo read >>{cls.trace}; exit 7\n')
        write(os.path.join(cls.folder, '.psqlrc'), f'\\! echo read >>{cls.trace}\n\\quit\n')
        write(os.path.join(cls.folder, '.pgpass'), f'*:*:*:*:{MARK}\n', 0o600)
        cls.environment = {
            'PGSERVICE': 'other', 'PGSERVICEFILE': services, 'PGSYSCONFDIR': cls.folder, 'PGHOST': cls.other.state_dir + '/run',
            'PGHOSTADDR': '127.0.0.1', 'PGPORT': cls.other.postgres_port, 'PGUSER': MARK, 'PGDATABASE': MARK, 'PGPASSWORD': MARK,
            'PGPASSFILE': os.path.join(cls.folder, '.pgpass'), 'PGREQUIREPEER': MARK, 'PGCHANNELBINDING': 'require',
            'PGSSLMODE': 'verify-full', 'PGTARGETSESSIONATTRS': 'standby', 'PGCLIENTENCODING': 'SQL_ASCII', 'PGTZ': MARK,
            'PGDATA': cls.folder, 'PGAPPNAME': MARK, 'PGOPTIONS': '-c default_transaction_read_only=on',
            'PSQLRC': os.path.join(cls.folder, '.psqlrc'), 'HOME': cls.folder,
            'LC_ALL': 'tr_TR.UTF-8', 'LANG': 'tr_TR.UTF-8', 'LANGUAGE': 'tr', 'TZ': 'Asia/Tokyo', 'POSIXLY_CORRECT': '1',
            'http_proxy': f'http://{MARK}:1', 'HTTPS_PROXY': f'http://{MARK}:1', 'all_proxy': f'http://{MARK}:1',
            'BASH_ENV': astray, 'ENV': astray, 'CDPATH': cls.folder, 'GREP_OPTIONS': '--invert-match', 'TMOUT': '1',
            'BASH_FUNC_cp%%': '() { exit 7; }', 'BASH_FUNC_psql%%': '() { exit 7; }', 'SHELLOPTS': 'noexec', 'IFS': 'e', 'NGINX': '3'}
        cls.stack = Stack(start=False, **cls.environment)
        cls.addClassCleanup(cls.stack.stop)

    def make(self, target, **changes):
        result = self.stack.make(target, **changes)
        self.assertEqual(result.returncode, 0, f'{target}: {result.stdout}{result.stderr}')
        return result.stdout

    def state_of_the_other(self):
        return self.other.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}' UNION ALL "
                              f'SELECT datname FROM pg_database UNION ALL SELECT count(*)::text FROM {sample.TABLE}')

    def test_no_command_is_misled_by_the_caller_s_environment(self):
        other = self.state_of_the_other()
        self.stack.start()
        added = self.stack.post(sample.COLLECTION, sample.new('of this service'))
        self.assertEqual(added.status, 201)
        self.make('status')
        self.make('migrate')
        file = os.path.join(self.folder, 'there.dump')
        self.assertIn(file, self.make('backup', FILE=file))
        self.assertIn(b'PGDMP', stacks.read_bytes(file)[:5])
        self.assertIn(f'restored: {file}', self.make('restore', FILE=file))
        stacks.wait_until(self.stack.healthy, 10, 'the restored database is in use')
        self.assertEqual(self.stack.get(added.headers['Location']).json(), added.json())
        for pid in self.stack.processes():
            self.assertNotIn(MARK.encode(), stacks.read_bytes(f'/proc/{pid}/environ'))
        self.make('stop')
        self.assertEqual(self.state_of_the_other(), other)
        self.assertFalse(os.path.exists(self.trace), 'a file of the caller was read')


# What an operator may have set, or taken away, by SQL. The superuser's own is undone once the start was made.
LEFT_BY_AN_OPERATOR = f"""
    ALTER SYSTEM SET log_statement = 'all';
    ALTER SYSTEM SET log_min_duration_statement = 0;
    ALTER SYSTEM SET log_parameter_max_length = -1;
    ALTER SYSTEM SET log_parameter_max_length_on_error = -1;
    ALTER SYSTEM SET log_min_error_statement = 'debug5';
    ALTER SYSTEM SET debug_print_parse = on;
    ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';
    ALTER SYSTEM SET password_encryption = 'md5';
    CREATE EXTENSION pg_stat_statements;
    ALTER ROLE {ROLE} NOLOGIN NOINHERIT CREATEDB CREATEROLE CONNECTION LIMIT 0 VALID UNTIL '2020-01-01';
    ALTER ROLE {ROLE} SET search_path = "$user";
    ALTER ROLE {ROLE} SET default_transaction_read_only = on;
    ALTER ROLE {ROLE} IN DATABASE {sample.NAME} SET statement_timeout = '1ms';
    ALTER DATABASE {sample.NAME} SET session_replication_role = replica;
    ALTER DATABASE {sample.NAME} CONNECTION LIMIT 0;
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE};
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {ROLE};
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
    {sample.UNMIGRATE}
    ALTER ROLE CURRENT_USER SET search_path = "$user";
    ALTER ROLE CURRENT_USER SET default_transaction_read_only = on;
    ALTER ROLE CURRENT_USER SET default_transaction_isolation = serializable;
    ALTER ROLE CURRENT_USER SET standard_conforming_strings = off;
    ALTER ROLE CURRENT_USER SET session_replication_role = replica;
    ALTER ROLE CURRENT_USER SET lock_timeout = '1ms';
    ALTER ROLE CURRENT_USER SET role = {ROLE};
"""


class LeftOtherwiseTest(unittest.TestCase):
    """A start over a server that an operator has set otherwise, with everything logged that PostgreSQL can log."""

    LASTS_S = 50

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)
        cls.added = cls.stack.post(sample.COLLECTION, sample.new('before'))
        cls.stack.sql(LEFT_BY_AN_OPERATOR)
        cls.stack.stop(remove=False)
        cls.stack.start()
        # These are in the way of the tests' own statements; the app's connections are made by now.
        cls.stack.sql('SET ROLE NONE; BEGIN READ WRITE; ALTER ROLE SESSION_USER RESET ALL;'
                      f'ALTER DATABASE {sample.NAME} RESET session_replication_role; COMMIT')
        cls.password = stacks.read_bytes(os.path.join(cls.stack.state_dir, 'secrets', 'database_password')).strip()

    def test_reads_and_additions_work_and_are_counted(self):
        self.assertEqual(self.stack.get(self.added.headers['Location']).json(), self.added.json())
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('after'), {'Idempotency-Key': 'after'}).status, 201)
        self.assertEqual(self.stack.get(sample.LIST).json()['total'], 2)
        self.assert_counted()

    def test_the_role_is_as_it_should_be(self):
        self.assertEqual(self.stack.sql(STATE_OF_ROLE), [('t', 't', 'f', '-1', 'infinity')])
        settings = self.stack.sql(f"SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = '{ROLE}'::regrole")
        self.assertIn(('statement_timeout=2200ms',), settings)
        self.assertNotIn('search_path', str(settings))

    def assert_counted(self):
        for counted, there in sample.COUNTED:
            self.assertEqual(self.stack.sql(counted), self.stack.sql(there))

    def test_the_server_never_sees_the_password(self):
        self.scan_during(self.stack.make, 'migrate')
        [verifier] = self.stack.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'")
        self.assertRegex(verifier[0], r'^SCRAM-SHA-256\$')
        for folder, _, names in os.walk(os.path.join(self.stack.state_dir, 'log')):
            for name in names:
                self.assertNotIn(self.password, stacks.read_bytes(os.path.join(folder, name)), name)
        self.assertIn("PASSWORD 'SCRAM-SHA-256$", self.stack.log_text('postgres'))  # It was logged all right.
        statements = [text for text, in self.stack.sql('SELECT query FROM pg_stat_statements')]
        self.assertTrue([text for text in statements if ROLE in text])
        self.assertNotIn(self.password.decode(), '\n'.join(statements))

    def scan_during(self, call, *arguments):
        """Looks for the password in the arguments and the environment of every process until `call` returns."""
        thread = threading.Thread(target=call, args=arguments)
        thread.start()
        while thread.is_alive():
            for entry in filter(str.isdigit, os.listdir('/proc')):
                for name in ('cmdline', 'environ'):
                    try:
                        self.assertNotIn(self.password, stacks.read_bytes(f'/proc/{entry}/{name}'))
                    except OSError:
                        pass  # Gone meanwhile, or of another user.
        thread.join()


if __name__ == '__main__':
    unittest.main()
