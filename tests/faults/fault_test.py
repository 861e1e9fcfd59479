"""The base of the tests of this folder: sends clients through a fault and says what must hold before, in it and after it.
The faults themselves are made by the tests; what is common of making them is here."""
import json
import os
import signal
import subprocess
import time
import unittest

import stack as stacks
from clients import HEALTH_S, SLOW, WHOLE_S, Clients
from stack import ROLE, children, wait_until

# The reasons that one outage may have: ended, closed, nobody listens, recovering, no answer in time, ...
REASONS_MAX = 8
# How a fault may show at the latest: a call is cut after 2.5 s, and what comes then waits for an attempt to connect, 2 s.
SHOWS_S = 5.5 * SLOW


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def alive(pid):
    """A zombie is dead."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


class FaultTest(unittest.TestCase):
    """All tests of a class share one service, and leave it as they found it."""

    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.shared()

    def setUp(self):
        wait_until(self.stack.healthy, 15, 'the service is well before the test')
        self.app = self.stack.pid('app')

    def clients(self, **options):
        return Clients(self.stack, **options)

    def go_through(self, begin, end=lambda: None, *, suffers=(), health_away=False, holds_s=0.0, same_app=True,
                   whole_s=WHOLE_S, shows_s=SHOWS_S, **options):
        """A fault from its begin to its end under clients. `suffers` are the kinds of requests that must get a 503 in
        it; with `health_away` /health must say so within 2 s. Afterwards all is well by itself, in time, and every
        promise was kept. Returns the clients."""
        with self.clients(**options) as clients:
            log_size = self.log_size()
            start = time.monotonic()
            try:
                begin()
                begun = time.monotonic()
                if health_away:
                    self.assert_health_turns(clients, begun)
                for kind in suffers:
                    wait_until(lambda kind=kind: clients.seen(kind, (503,), start), shows_s,
                               f'{kind} gets 503; {clients.violations[:3]}')
                while time.monotonic() < begun + holds_s:
                    time.sleep(0.05)
            finally:
                end()
            ended = time.monotonic()
            clients.wait_whole(ended, whole_s)
        clients.verify(self)
        if health_away:
            untrue = [(round(at - begun, 2), status) for at, _, status in clients.answers['health']
                      if begun + HEALTH_S < at < ended - 0.1 and status == 200]
            self.assertEqual(untrue, [], '/health was 200 in the fault')
        if same_app:
            self.assertEqual(self.stack.pid('app'), self.app, 'the app was restarted')
            self.assert_log_is_calm(log_size, ended - start)
        return clients

    def assert_health_turns(self, clients, begun):
        wait_until(lambda: clients.seen('health', (503,), begun), HEALTH_S, '/health tells of the fault')

    # backend.log

    def log_size(self):
        return os.path.getsize(os.path.join(self.stack.state_dir, 'log', 'backend.log'))

    def log_since(self, size):
        with open(os.path.join(self.stack.state_dir, 'log', 'backend.log'), 'rb') as file:
            file.seek(size)
            return [json.loads(line) for line in file.read().split(b'\n')[:-1]]

    def assert_log_is_calm(self, size, lasted_s):
        """One line a change of state: an outage has a line for each different reason and one for its end."""
        outages, reasons = 0, []
        for line in self.log_since(size):
            self.assertNotEqual(line['event'], 'defect', line)
            if line['event'] == 'database_connected':
                self.assertNotEqual(reasons, [], 'told twice that the database is there')
                outages, reasons = outages + 1, []
            if line['event'] == 'database_away':
                self.assertNotIn(line['reason'], reasons)
                reasons.append(line['reason'])
                self.assertLessEqual(len(reasons), REASONS_MAX, reasons)
        self.assertLessEqual(outages, 3 + lasted_s, f'outages that the log tells of in {lasted_s:.1f} s')

    # Making faults.

    def postgres_pids(self):
        postmaster = self.stack.pid('postgres')
        return [postmaster, *children(postmaster)]

    def app_backends(self, condition='true'):
        """The pids of the database connections that the app has."""
        return [int(row[0]) for row in self.stack.sql(
            f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' AND {condition}")]

    def end_backends(self):
        self.stack.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")

    def limit_app(self, limit):
        """`limit` as prlimit takes it; the soft one alone, so that it can be lifted again. As the app's own user: root
        in a container may not."""
        user = ['runuser', '-u', 'www-data', '--'] if os.geteuid() == 0 else []
        subprocess.run([*user, 'prlimit', '--pid', str(self.app), limit], check=True, cwd='/')

    def configure(self, *statements):
        """ALTER SYSTEM and the like, then a reload."""
        for statement in statements:
            self.stack.sql(statement)
        self.stack.sql('SELECT pg_reload_conf()')

    def supervisor(self, option, part):
        """Tells the supervisor that a part is wanted (-u) or not (-d)."""
        subprocess.run(['s6-svc', option, os.path.join(self.stack.state_dir, 'service', part)], check=True)

    def kill(self, part, number=signal.SIGKILL):
        """Returns when another process runs in the killed one's place."""
        old = self.stack.kill(part, number)
        wait_until(lambda: self.stack.pid(part) not in (old, None) and alive(self.stack.pid(part)), 25,
                   f'another {part} runs')
