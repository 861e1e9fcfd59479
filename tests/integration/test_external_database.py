"""A PostgreSQL somewhere else, as a managed one is: TLS, a certificate that is verified, passwords, and no superuser for anybody.
The service starts without one of its own, is brought up to date, backed up and restored."""
import concurrent.futures
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

from beside import SLOW
from managed import ADMIN, ADMIN_PASSWORD, ManagedServer
from stack import PROJECT, SqlSession, Stack, sample, wait_until

APP_PASSWORD = 'the app'


def text_of(path):
    try:
        with open(path, errors='replace') as file:
            return file.read()
    except OSError:  # a folder, gone by now, or not ours to read
        return ''


class ExternalDatabaseTest(unittest.TestCase):
    LASTS_S = 40

    @classmethod
    def setUpClass(cls):
        cls.server = ManagedServer()
        cls.addClassCleanup(cls.server.end)
        cls.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name, password in (('admin', ADMIN_PASSWORD), ('app', APP_PASSWORD)):
            with open(f'{cls.folder}/{name}', 'w') as file:
                file.write(password + '\n')
        cls.admin = {'DATABASE_ADMIN_URL': cls.server.url(ADMIN), 'DATABASE_ADMIN_PASSWORD_FILE': f'{cls.folder}/admin'}
        cls.stack = Stack(start=False, DATABASE_URL=cls.server.url(f'{sample.NAME}_app'), DATABASE_PASSWORD_FILE=f'{cls.folder}/app',
                          BACKUPS_KEPT=None)
        cls.stack.start(**cls.admin)
        cls.addClassCleanup(cls.stack.stop)

    def make(self, target, **changes):
        result = self.stack.make(target, **changes)
        self.assertEqual(result.returncode, 0, f'{target}: {result.stdout}{result.stderr}')
        return result.stdout + result.stderr

    def names(self):
        return self.server.sql(f'SELECT {sample.TEXT} FROM {sample.TABLE} ORDER BY id', sample.NAME).split('\n')

    def test_it_serves_over_tls_and_starts_no_database(self):
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('far away')).status, 201)
        self.assertIn('far away', self.names())
        encrypted = self.server.sql("SELECT count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                    f"WHERE usename = '{sample.NAME}_app'")
        self.assertEqual(encrypted, '0')
        self.assertFalse(os.path.exists(os.path.join(self.stack.state_dir, 'postgres')))
        status = self.make('status')
        self.assertIn('localhost', status)
        self.assertNotIn('postgres  pid', status)

    def test_a_restart_needs_no_admin(self):
        self.make('stop')
        self.stack.start()
        self.assertEqual(self.stack.get('/health').status, 200)

    def test_migrating_again_changes_nothing(self):
        self.make('migrate', **self.admin)
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('after a migration')).status, 201)

    def test_of_several_hosts_the_one_that_can_be_written_is_migrated(self):
        standby = ManagedServer()
        self.addCleanup(standby.end)
        standby.become_standby()
        hosts = ','.join(f'localhost:{server.port}' for server in (standby, self.server))
        url = f'postgresql://{ADMIN}@{hosts}/{sample.NAME}?sslmode=require'
        self.make('migrate', **{**self.admin, 'DATABASE_ADMIN_URL': url})

    def test_what_an_admin_commits_is_on_the_standbys_too(self):
        asked = subprocess.run(['bash', '-pc', f'source local/database && sql {sample.NAME} <<<"SHOW synchronous_commit"'], cwd=PROJECT,
                               env=self.stack.environment(**self.admin), capture_output=True, text=True, timeout=60)
        self.assertEqual(asked.stdout, 'on\n', asked.stderr)

    def test_a_backup_is_restored(self):
        owner = "SELECT extowner::regrole FROM pg_extension WHERE extname = 'pg_trgm'"
        self.assertEqual(self.server.sql(owner, sample.NAME), f'{sample.NAME}_owner')
        self.stack.post(sample.COLLECTION, sample.new('kept'))
        file = f'{self.folder}/one.dump'
        self.make('backup', FILE=file, **self.admin)
        before = self.names()
        self.stack.post(sample.COLLECTION, sample.new('after the backup'))
        said = self.make('restore', FILE=file, **self.admin)
        self.assertIn('_until_', said)
        wait_until(self.stack.healthy, 20 * SLOW, 'the app is at the restored one')
        self.assertEqual(self.server.sql(owner, sample.NAME), f'{sample.NAME}_owner')
        self.assertEqual(self.names(), before)
        wait_until(lambda: self.stack.post(sample.COLLECTION, sample.new('goes on')).status == 201, 20 * SLOW, 'it goes on')
        self.assertEqual(self.names(), [*before, 'goes on'])

    def test_a_host_with_another_name_is_refused_and_the_reason_told(self):
        stack = Stack(start=False, DATABASE_URL=self.server.url(f'{sample.NAME}_app', '127.0.0.1'),
                      DATABASE_PASSWORD_FILE=f'{self.folder}/app')
        self.addCleanup(stack.remove)
        result = stack.make('start')
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('does not match host name', result.stderr)
        self.assertIsNone(stack.pid('nginx'))

    def test_no_password_stands_in_an_argument_or_an_environment(self):
        """Of any process, while a lock holds PostgreSQL's programs up."""
        for target, program in ('migrate', 'psql'), ('backup', 'pg_dump'):
            with self.subTest(target), SqlSession(self.server) as session, concurrent.futures.ThreadPoolExecutor(1) as pool:
                session.execute(f'\\connect {sample.NAME}\nBEGIN; LOCK TABLE schema_migrations;')
                made = pool.submit(self.make, target, FILE=f'{self.folder}/held_up.dump', **self.admin)
                try:
                    waits = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = '{program}'"
                    wait_until(lambda: self.server.sql(waits) == '1', 8 * SLOW, f'{program} waits')
                    seen = [text for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ')
                            if (text := text_of(path))]
                finally:
                    session.execute('ROLLBACK;')
                made.result()
                self.assertTrue(any(f'localhost:{self.server.port}' in text and program in text for text in seen))
                self.assertFalse(any(f'={password}' in text for text in seen for password in (ADMIN_PASSWORD, APP_PASSWORD)))

    def test_no_password_stands_where_it_can_be_read(self):
        for password in (ADMIN_PASSWORD, APP_PASSWORD):
            with open(f'{self.server.folder}/log', errors='replace') as log:
                self.assertNotIn(password, log.read())
            for name in ('backend', 'error', 'access'):
                self.assertNotIn(password, self.stack.log_text(name))

    def test_a_start_that_fails_says_so_alone_and_leaves_no_password(self):
        stack = Stack(start=False, DATABASE_URL=self.server.url(f'{sample.NAME}_app'), DATABASE_PASSWORD_FILE=f'{self.folder}/app')
        self.addCleanup(stack.remove)
        file = f'{self.folder}/mistaken'
        password = os.urandom(16).hex()
        with open(file, 'w') as mistaken:
            mistaken.write(password)
        # Where a file of libpq's with the password in it would be.
        before = set(glob.glob('/tmp/tmp.*'))
        result = stack.make('start', **{**self.admin, 'DATABASE_ADMIN_PASSWORD_FILE': file})
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('password authentication failed', result.stderr)
        for noise in ('unbound variable', 'PG_VERSION'):
            self.assertNotIn(noise, result.stderr)
        self.assertFalse([path for path in set(glob.glob('/tmp/tmp.*')) - before if password in text_of(path)])

    def test_a_password_that_is_given_no_more_is_not_kept(self):
        self.make('stop')
        try:
            result = self.stack.make('start', DATABASE_PASSWORD_FILE=None)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn('refuses the app: no password supplied', result.stderr)
        finally:
            self.stack.start()

    def test_what_is_missing_is_said(self):
        for target, changes, words in [
                ('backup', {}, 'DATABASE_ADMIN_URL must name'), ('migrate', {}, 'DATABASE_ADMIN_URL must name'),
                ('start', {'DATABASE_URL': None, **self.admin}, 'but not DATABASE_URL'),
                *[(target, {**self.admin, 'DATABASE_ADMIN_URL': url}, 'DATABASE_ADMIN_URL must not have a password in it')
                  for target in ('start', 'migrate', 'backup')
                  for url in ('postgresql://a:b@localhost/c', 'postgres://a@localhost/c?x=y&password=b', 'host=localhost password = b')],
                ('start', {'DATABASE_URL': 'password=b'}, 'DATABASE_URL must not have a password in it'),
                ('start', {'DATABASE_PASSWORD_FILE': '/nowhere'}, 'DATABASE_PASSWORD_FILE is "/nowhere"'),
                ('migrate', {**self.admin, 'DATABASE_ADMIN_PASSWORD_FILE': '/nowhere'}, 'DATABASE_ADMIN_PASSWORD_FILE is "/nowhere"')]:
            with self.subTest(target=target, **changes):
                result = self.stack.make(target, **changes)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
