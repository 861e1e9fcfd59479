"""`make backup` and `make restore`: what one service wrote, another one has, whichever way they run; and a restore
that cannot be done changes nothing."""
import os
import shutil
import subprocess
import tempfile
import unittest

import containers
import stack as stacks

ROWS = 'SELECT id, name, created_at FROM visitors ORDER BY id'


def contents(service):
    return (service.sql(ROWS), service.sql('SELECT * FROM visitor_days ORDER BY day'), service.sql('SELECT total FROM visitor_total'),
            service.sql('SELECT key, visitor_id FROM idempotency_keys ORDER BY key'))


class BackupTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = containers.shared()
        cls.directory = tempfile.mkdtemp(prefix='v-backup-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.directory)

    def setUp(self):
        self.service.wait_healthy()

    def run_local(self, service, script, way, file):
        """local/backup or local/restore of the service that is meant."""
        environment = {**containers.shared().environment(), **service.settings, 'WAY': way, 'FILE': file}
        return subprocess.run([os.path.join(stacks.PROJECT, 'local', script)], cwd=stacks.PROJECT, capture_output=True, text=True,
                              timeout=300, env={name: value for name, value in environment.items() if value is not None})

    def assert_done(self, result):
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def kept(self):
        return {name for name, in self.service.sql("SELECT datname FROM pg_database WHERE datname LIKE 'visitors_until_%'")}

    def backup(self, service, way):
        file = os.path.join(self.directory, f'{way}-{len(os.listdir(self.directory))}.dump')
        self.assert_done(self.run_local(service, 'backup', way, file))
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        return file

    def test_containers_to_an_empty_database_and_back(self):
        for number, name in enumerate(('Ada', 'Zoë', "O'Brien \\ \"x\"", '漢字')):
            answer = self.service.post('/api/visitors', {'name': name}, {'Idempotency-Key': f'backup-{number}-{os.getpid()}'})
            self.assertEqual(answer.status, 201)
        before = contents(self.service)
        file = self.backup(self.service, 'compose')
        # A new machine: another volume.
        self.service.compose('down', '--volumes')
        self.service.start(build=False)
        self.assertEqual(self.service.sql(ROWS), [])
        self.assert_done(self.run_local(self.service, 'restore', 'compose', file))
        self.assertEqual(contents(self.service), before)
        # The empty one is kept, too, and the app has found the new one: it adds, under ids that nobody had.
        self.assertEqual(len(self.kept()), 1)
        self.assertEqual(self.service.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'visitors%'"), [('2',)])
        self.service.wait_healthy()
        answer = self.service.post('/api/visitors', {'name': 'after'})
        self.assertEqual(answer.status, 201, answer)
        self.assertGreater(answer.json()['id'], max(int(row[0]) for row in before[0]))

    def test_what_was_there_is_kept_and_a_broken_backup_changes_nothing(self):
        file = self.backup(self.service, 'compose')
        self.service.post('/api/visitors', {'name': 'later than the backup'})
        before, kept_before = contents(self.service), self.kept()
        broken = os.path.join(self.directory, 'broken.dump')
        with open(file, 'rb') as whole, open(broken, 'wb') as part:
            part.write(whole.read()[:-300])
        for bad in (broken, os.path.join(self.directory, 'absent.dump'), '/etc/hostname'):
            with self.subTest(bad):
                result = self.run_local(self.service, 'restore', 'compose', bad)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn('visitors: ', result.stderr)
                self.assertEqual(contents(self.service), before)
        self.assert_done(self.run_local(self.service, 'restore', 'compose', file))
        kept, = self.kept() - kept_before
        names = self.service.execute('db', 'psql', '-XAtc', 'SELECT name FROM visitors ORDER BY id DESC LIMIT 1', kept).stdout
        self.assertEqual(names, 'later than the backup\n')

    def test_local_to_local_and_to_containers(self):
        with stacks.Stack() as local:
            for number in range(20):
                self.assertEqual(local.post('/api/visitors', {'name': f'local {number}'}).status, 201)
            before = contents(local)
            file = self.backup(local, 'local')
            with stacks.Stack() as other:
                self.assert_done(self.run_local(other, 'restore', 'local', file))
                self.assertEqual(contents(other), before)
                self.assertEqual(other.post('/api/visitors', {'name': 'after'}).status, 201)
        # PostgreSQL's newer versions read the backups of older ones: the way into containers.
        self.assert_done(self.run_local(self.service, 'restore', 'compose', file))
        self.assertEqual(contents(self.service), before)


if __name__ == '__main__':
    unittest.main()
