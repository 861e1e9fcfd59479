"""What the service promises of its ends and starts: parts are killed and ended under load, and whatever was acknowledged must be
there, once. What it does to its service would be in the way of every other test, so it has one of its own. A frozen app:
test_nginx.py; faults that last: tests/faults; the commands: test_start_stop.py."""
import http.client
import os
import signal
import threading
import time
import unittest

import stack as stacks
from stack import ROLE, Stack, sample, wait_until
from steady_load import BACK_S, SLOW, Load, alive


def another(stack, part, old):
    """The pid of the part's successor, once there is one."""
    pid = stack.pid(part)
    return pid if pid != old and alive(pid) else None


class FaultsTest(unittest.TestCase):
    EVERY_SERVICE = True
    CALM = True  # it measures how soon all is back
    LASTS_S = 120

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def setUp(self):
        wait_until(self.stack.healthy, 10, 'the service is well before the test')

    def disturb(self, part, signal_number, again=1):
        """Sends the signal `again` times under load; each time the part and the service are back soon."""
        with Load(self.stack) as load:
            for _ in range(again):
                moment = time.monotonic()
                old = self.stack.kill(part, signal_number)
                wait_until(lambda: another(self.stack, part, old), 20 if signal_number != signal.SIGKILL else BACK_S,
                           f'another {part} runs')
                gone_s = time.monotonic() - moment
                load.wait_for_success_after(time.monotonic(), max(BACK_S - gone_s, 0.5) + (
                    0 if signal_number == signal.SIGKILL else BACK_S))
        load.verify(self)
        wait_until(self.stack.healthy, BACK_S, '/health is 200 again')

    def test_sigkill_of_the_app_under_load(self):
        self.disturb('app', signal.SIGKILL, again=2)

    def test_sigkill_of_nginx_under_load(self):
        self.disturb('nginx', signal.SIGKILL, again=2)

    def test_sigkill_of_the_postmaster_under_load(self):
        self.disturb('postgres', signal.SIGKILL, again=2)

    def test_sigterm_of_the_app_under_load(self):
        self.disturb('app', signal.SIGTERM)

    def test_sigint_of_the_app_under_load(self):
        self.disturb('app', signal.SIGINT)

    def test_sigquit_of_nginx_under_load(self):
        self.disturb('nginx', signal.SIGQUIT)

    def test_sigterm_of_nginx_under_load(self):
        self.disturb('nginx', signal.SIGTERM)

    def test_sigint_of_postgresql_under_load(self):
        self.disturb('postgres', signal.SIGINT)

    def test_sigquit_of_postgresql_under_load(self):
        self.disturb('postgres', signal.SIGQUIT)

    def test_sigkill_of_a_database_connection_under_load(self):
        with Load(self.stack) as load:
            for _ in range(3):
                pid = self.stack.sql(f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' LIMIT 1")[0][0]
                os.kill(int(pid), signal.SIGTERM)
                load.wait_for_success_after(time.monotonic())
        load.verify(self)

    def test_sighup_of_nginx_loses_nothing(self):
        pid = self.stack.pid('nginx')
        with Load(self.stack) as load:
            for _ in range(3):
                os.kill(pid, signal.SIGHUP)
                load.wait_for_success_after(time.monotonic())
        load.verify(self)
        self.assertEqual(self.stack.pid('nginx'), pid)

    def test_a_key_holds_across_a_restart_and_a_kill(self):
        for title, body in (('whole', sample.new('kept')), ('least', sample.LEAST)):
            key = {'Idempotency-Key': f'{title}-{os.urandom(8).hex()}'}
            first = self.stack.post(sample.COLLECTION, body, key)
            self.assertEqual(first.status, 201)
            for part, number in [('app', signal.SIGTERM), ('app', signal.SIGKILL), ('postgres', signal.SIGKILL)]:
                with self.subTest(title, part=part, signal=number.name):
                    old = self.stack.kill(part, number)
                    wait_until(lambda: another(self.stack, part, old) and self.stack.healthy(), 20, f'another {part} runs')
                    again = wait_until(
                        lambda: (lambda a: a if a.status == 201 else None)(self.stack.post(sample.COLLECTION, body, key)),
                        BACK_S, 'the key is answered')
                    self.assertEqual(again.json(), first.json())
                    self.assertEqual(again.headers['Idempotent-Replayed'], 'true')

    def in_flight(self, requests):
        """Starts `requests` while the table is locked; returns the lock, the threads and where the answers go."""
        answers = []

        def send(method, path, body):
            try:
                answers.append(self.stack.request(method, path, None, body))
            except (OSError, http.client.HTTPException) as error:
                answers.append(error)

        lock = self.stack.locked(sample.TABLE)
        threads = [threading.Thread(target=send, args=request) for request in requests]
        for thread in threads:
            thread.start()
        wait_until(lambda: int(self.stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted')[0][0]) > 0, 3,
                   'a statement of the service waits for the lock')
        return lock, threads, answers

    def test_sigterm_and_sigint_let_the_app_finish_what_is_in_flight(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                lock, threads, answers = self.in_flight([('POST', sample.COLLECTION, sample.new('in flight'))] * 3)
                old = self.stack.kill('app', number)
                lock.close()
                for thread in threads:
                    thread.join()
                self.assertEqual([getattr(answer, 'status', answer) for answer in answers], [201] * 3)
                wait_until(lambda: not alive(old), 20, 'the app has ended')
                wait_until(lambda: another(self.stack, 'app', old) and self.stack.healthy(), BACK_S + 2, 'another runs')

    def test_sigquit_lets_nginx_finish_what_is_in_flight(self):
        lock, threads, answers = self.in_flight([('POST', sample.COLLECTION, sample.new('in flight'))] * 3)
        old = self.stack.kill('nginx', signal.SIGQUIT)
        lock.close()
        for thread in threads:
            thread.join()
        self.assertEqual([getattr(answer, 'status', answer) for answer in answers], [201] * 3)
        wait_until(lambda: another(self.stack, 'nginx', old) and self.stack.healthy(), 20, 'another runs')

    def test_a_part_that_keeps_dying_is_restarted_again_and_again(self):
        for part in stacks.PARTS:
            with self.subTest(part):
                for _ in range(3):
                    old = self.stack.kill(part)
                    wait_until(lambda: another(self.stack, part, old), 2 * SLOW + 0.5, f'another {part} runs')
                wait_until(self.stack.healthy, BACK_S + 2, 'the service is well again')

    def test_the_app_and_nginx_survive_the_stop_and_return_of_postgresql(self):
        pids = [self.stack.pid(part) for part in ('app', 'nginx')]
        postmaster = self.stack.kill('postgres', signal.SIGSTOP)
        self.addCleanup(os.kill, postmaster, signal.SIGCONT)
        self.assertLess(self.stack.get('/api').status, 300)
        os.kill(postmaster, signal.SIGCONT)
        wait_until(self.stack.healthy, BACK_S, 'the service is well again')
        self.assertEqual([self.stack.pid(part) for part in ('app', 'nginx')], pids)


if __name__ == '__main__':
    unittest.main()
