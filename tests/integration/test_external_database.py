"""A PostgreSQL somewhere else, as a managed one is: TLS, a certificate that is verified, passwords, and no superuser for anybody.
The service starts without one of its own, is brought up to date, backed up and restored."""
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

from beside import SLOW
from contract import verify_all
from stack import PSQL_ENVIRONMENT, Stack, free_port, sample, wait_until

ADMIN, ADMIN_PASSWORD, APP_PASSWORD = 'master', r'a:b\c d', 'the app'


def programs():
    return sorted(glob.glob('/usr/lib/postgresql/*/bin'))[-1]


class ManagedServer:
    """A cluster with a port on 127.0.0.1, TLS, and a role that may create roles and databases and owns the service's."""

    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(prefix='v-', dir='/tmp'), free_port()
        os.chmod(self.folder, 0o755)
        self.as_user = ['runuser', '-u', 'postgres', '--'] if os.geteuid() == 0 else []
        self.data = f'{self.folder}/data'
        self.certificate('authority', '-x509', '-days', '2', '-subj', '/CN=an authority')
        self.certificate('server', '-subj', '/CN=localhost')
        self.openssl('x509', '-req', '-in', 'server.pem', '-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial',
                     '-days', '2', '-out', 'signed.pem')
        if self.as_user:
            for path in (self.folder, *glob.glob(f'{self.folder}/*')):
                shutil.chown(path, 'postgres')
        self.run('initdb', '--pgdata', self.data, '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--username=owner_of_all')
        with open(f'{self.data}/pg_hba.conf', 'w') as rules:
            rules.write('local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n')
        self.run('pg_ctl', 'start', '--pgdata', self.data, '--wait', '--log', f'{self.folder}/log', '--options',
                 f'-p {self.port} -c unix_socket_directories={self.folder} -c listen_addresses=127.0.0.1 -c ssl=on '
                 f'-c ssl_cert_file={self.folder}/signed.pem -c ssl_key_file={self.folder}/server.key')
        password = ADMIN_PASSWORD.replace("'", "''")
        self.sql(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
        self.sql(f'CREATE DATABASE {sample.NAME} OWNER {ADMIN}')

    def openssl(self, *arguments):
        subprocess.run(['openssl', *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def certificate(self, name, *arguments):
        self.openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.pem', *arguments)

    def run(self, program, *arguments):
        return subprocess.run([*self.as_user, f'{programs()}/{program}', *arguments], cwd='/', check=True, text=True,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60, env=PSQL_ENVIRONMENT).stdout

    def sql(self, text, database='postgres'):
        return self.run('psql', '-h', self.folder, '-p', str(self.port), '-U', 'owner_of_all', '-d', database, '-XqtA', '-v',
                        'ON_ERROR_STOP=1', '-c', text).strip()

    def url(self, role, host='localhost'):
        return (f'postgresql://{role}@{host}:{self.port}/{sample.NAME}'
                f'?sslmode=verify-full&sslrootcert={self.folder}/authority.pem')

    def end(self):
        self.run('pg_ctl', 'stop', '--pgdata', self.data, '--mode=immediate')
        shutil.rmtree(self.folder)


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

    def test_a_backup_is_restored(self):
        self.stack.post(sample.COLLECTION, sample.new('kept'))
        file = f'{self.folder}/one.dump'
        self.make('backup', FILE=file, **self.admin)
        before = self.names()
        self.stack.post(sample.COLLECTION, sample.new('after the backup'))
        said = self.make('restore', FILE=file, **self.admin)
        self.assertIn('_until_', said)
        wait_until(self.stack.healthy, 20 * SLOW, 'the app is at the restored one')
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

    def test_no_password_stands_where_it_can_be_read(self):
        for password in (ADMIN_PASSWORD, APP_PASSWORD):
            with open(f'{self.server.folder}/log', errors='replace') as log:
                self.assertNotIn(password, log.read())
            for name in ('backend', 'error', 'access'):
                self.assertNotIn(password, self.stack.log_text(name))

    def test_what_is_missing_is_said(self):
        for target, changes, words in [
                ('backup', {}, 'DATABASE_ADMIN_URL must name'), ('migrate', {}, 'DATABASE_ADMIN_URL must name'),
                ('start', {'DATABASE_URL': None, **self.admin}, 'but not DATABASE_URL'),
                ('start', {'DATABASE_PASSWORD_FILE': '/nowhere'}, 'DATABASE_PASSWORD_FILE is "/nowhere"'),
                ('migrate', {**self.admin, 'DATABASE_ADMIN_PASSWORD_FILE': '/nowhere'}, 'DATABASE_ADMIN_PASSWORD_FILE is "/nowhere"')]:
            with self.subTest(target=target, **changes):
                result = self.stack.make(target, **changes)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
