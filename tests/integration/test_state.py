"""What a running service has on this machine: files, users, secrets, and PostgreSQL as it is set."""
import os
import stat
import subprocess
import unittest

import stack as stacks
from stack import ROLE, sample


class StateTest(unittest.TestCase):
    """Files, users and secrets of a running service."""

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.shared()

    def path(self, *parts):
        return os.path.join(self.stack.state_dir, *parts)

    def test_the_files_of_run_md_are_there(self):
        for name in ('run/nginx.pid', 'run/app.pid', 'run/postgres.pid', f'run/.s.PGSQL.{self.stack.postgres_port}',
                     'log/access.log', 'log/error.log', 'log/backend.log', 'log/postgres.log', 'postgres/PG_VERSION'):
            with self.subTest(name):
                self.assertTrue(os.path.exists(self.path(name)))
        for part in stacks.PARTS:
            with self.subTest(f'{part}.pid'), open(self.path('run', f'{part}.pid')) as file:
                self.assertRegex(file.read(), r'^[0-9]+\n?$')

    def test_nobody_runs_as_root_who_need_not(self):
        if os.geteuid() != 0:
            self.skipTest('only root can drop privileges')
        users = {}
        listing = subprocess.run(['ps', '-eo', 'pid=,ppid=,user:32='], capture_output=True, text=True)
        for line in listing.stdout.splitlines():
            pid, parent, user = line.split()
            users[int(pid)] = (int(parent), user)
        self.assertEqual(users[self.stack.pid('postgres')][1], 'postgres')
        self.assertNotIn(users[self.stack.pid('app')][1], ('root', 'postgres'))
        workers = {user for parent, user in users.values() if parent == self.stack.pid('nginx')}
        self.assertTrue(workers)
        self.assertNotIn('root', workers)

    def test_secrets_are_in_no_argument_list_no_environment_and_no_log(self):
        secrets = [self.stack.token]
        for folder, _, names in os.walk(self.path('secrets')):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    secrets.append(file.read().strip())
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o007, 0)
        self.assertGreater(len(secrets), 1)
        for pid in self.stack.processes():
            for name in ('cmdline', 'environ'):
                try:
                    text = stacks.read_bytes(f'/proc/{pid}/{name}').decode(errors='replace')
                except OSError:
                    continue
                for secret in secrets:
                    self.assertNotIn(secret, text)
        for name in ('access', 'error', 'backend', 'postgres'):
            for secret in secrets:
                self.assertNotIn(secret, self.stack.log_text(name))

    def test_nobody_gets_into_postgresql_without_a_password_or_being_its_user(self):
        for title, arguments in [('over TCP as the app', ['-h', '127.0.0.1', '-U', ROLE]),
                                 ('over TCP as postgres', ['-h', '127.0.0.1', '-U', 'postgres']),
                                 ('over the socket as the app', ['-h', self.path('run'), '-U', ROLE])] + (
                [('over the socket as root', ['-h', self.path('run'), '-U', 'postgres'])] if os.geteuid() == 0 else []):
            with self.subTest(title):
                command = ['psql', '-w', '-p', str(self.stack.postgres_port), '-d', sample.NAME, '-c', 'SELECT 1']
                result = subprocess.run(command + arguments, capture_output=True, text=True)
                self.assertNotEqual(result.returncode, 0)
                self.assertNotIn('does not exist', result.stderr)

    def test_postgresql_listens_on_this_machine_alone(self):
        self.assertEqual(self.stack.sql('SHOW listen_addresses'), [('127.0.0.1',)])

    def test_what_is_durable_is_not_switched_off(self):
        for setting in ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums'):
            with self.subTest(setting):
                self.assertEqual(self.stack.sql(f'SHOW {setting}'), [('on',)])


if __name__ == '__main__':
    unittest.main()
