"""Everything dies at once, and what lies about afterwards. `make start` then brings back all that was acknowledged. And
what may be read of the secrets while it runs, or after."""
import os
import stat
import threading
import time
import unittest

import stack as stacks
from clients import Clients
from fault_test import alive
from stack import Stack, read_bytes, sample


class PowerCutTest(unittest.TestCase):
    CALM = True
    LASTS_S = 25

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def clients(self):
        return Clients(self.stack, adders=6, pause_s=0.005, always_reachable=False, checks_time=False)

    def test_all_that_was_acknowledged_is_there(self):
        with self.clients() as clients:
            for _ in range(2):
                self.stack.cut_power()
                self.stack.start()
                clients.wait_whole(time.monotonic())
        clients.verify(self)

    def test_stale_files_and_two_starts_at_once(self):
        """Pid files name somebody who lives, sockets lie there and nobody listens, and two start it."""
        def start():
            results.append(self.stack.make('start'))

        with self.clients() as clients:
            self.stack.cut_power()
            run = os.path.join(self.stack.state_dir, 'run')
            for name in ('nginx.pid', 'app.pid', 'postgres.pid', 'supervisor.pid'):
                with open(os.path.join(run, name), 'w') as file:
                    file.write(f'{os.getpid()}\n')
            for name in ('app.sock', 'health.sock', 'status.sock', f'.s.PGSQL.{self.stack.postgres_port}'):
                self.assertTrue(stat.S_ISSOCK(os.stat(os.path.join(run, name)).st_mode))
            with open(os.path.join(self.stack.state_dir, 'postgres', 'postmaster.pid'), 'r+') as file:
                file.write(f'{os.getpid()}\n')  # over the old one's first line
            results = []
            threads = [threading.Thread(target=start) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([result.returncode for result in results], [0, 0], results)
            clients.wait_whole(time.monotonic())
        clients.verify(self)
        pids = {part: self.stack.pid(part) for part in stacks.PARTS}
        self.assertTrue(all(alive(pid) and pid != os.getpid() for pid in pids.values()), pids)
        scanners = [pid for pid in self.stack.processes() if read_bytes(f'/proc/{pid}/comm') == b's6-svscan\n']
        self.assertEqual(len(scanners), 1)


class SecretsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.shared()

    def secrets(self):
        folder = os.path.join(self.stack.state_dir, 'secrets')
        return {name: read_bytes(os.path.join(folder, name)).strip() for name in os.listdir(folder)}

    def test_in_no_argument_no_environment_and_no_log(self):
        secrets = self.secrets()
        self.assertEqual(set(secrets), {'database_password', 'admin_token'})
        # Used, well and badly, so that whoever would write it down has had the occasion.
        self.stack.as_admin('DELETE', sample.item(2 ** 63 - 1))
        self.stack.request('DELETE', sample.item(1), {'Authorization': f'Basic {self.stack.token}'})
        self.stack.request('DELETE', '/api/none', {'Authorization': f'Bearer {self.stack.token}'})
        self.stack.raw(f'DELETE {sample.item(1)} HTTP/1.1\r\nAuthorization: Bearer {self.stack.token}\r\n\r\n'.encode(), 1)
        places = {}
        for pid in self.stack.processes():
            for name in ('cmdline', 'environ'):
                try:
                    places[f'{name} of {pid}'] = read_bytes(f'/proc/{pid}/{name}')
                except OSError:
                    pass
        log = os.path.join(self.stack.state_dir, 'log')
        places.update({name: read_bytes(os.path.join(log, name)) for name in os.listdir(log)})
        self.assertGreater(len(places), 20)
        for place, text in places.items():
            for name, secret in secrets.items():
                self.assertNotIn(secret, text, f'{name} stands in {place}')

    def test_file_modes(self):
        for folder, folders, files in os.walk(self.stack.state_dir):
            for name in folders + files:
                path = os.path.join(folder, name)
                try:
                    status = os.lstat(path)
                except FileNotFoundError:
                    continue
                if stat.S_ISLNK(status.st_mode):
                    continue
                mode, where = stat.S_IMODE(status.st_mode), os.path.relpath(path, self.stack.state_dir)
                with self.subTest(where):
                    # log/ is sticky; PostgreSQL's socket asks for a password; nginx makes its socket so, in a folder that is closed.
                    closed = stat.S_ISSOCK(status.st_mode) and os.stat(folder).st_mode & 0o077 == 0
                    if not where.startswith('run/db/.s.PGSQL') and not mode & stat.S_ISVTX and not closed:
                        self.assertEqual(mode & 0o002, 0, f'{mode:o}: anybody may write it')
                    if where.split('/')[0] in ('secrets', 'postgres'):
                        self.assertEqual(mode & 0o007 if '/' not in where or where.startswith('secrets') else 0, 0,
                                         f'{mode:o}: not for others')


if __name__ == '__main__':
    unittest.main()
