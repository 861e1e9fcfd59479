"""nginx is killed, in part or whole, reloaded under load, and left without the app."""
import json
import os
import signal
import time
import unittest

from clients import OUTCOME_UNKNOWN, SLOW
from fault_test import FaultTest, alive, children
from stack import sample, wait_until


class WebServerTest(FaultTest):
    CALM = True  # it measures how soon all is back

    def test_master_killed(self):
        """Its workers hold the port; they are ended, and another master is there within a second or so."""
        with self.clients(always_reachable=False) as clients:
            for _ in range(2):
                self.kill('nginx')
                clients.wait_whole(time.monotonic(), 2 * SLOW)
        clients.verify(self)

    def test_each_worker_killed(self):
        master = self.stack.pid('nginx')
        with self.clients(always_reachable=False) as clients:
            for worker in children(master):
                os.kill(worker, signal.SIGKILL)
                wait_until(lambda worker=worker: not alive(worker), 2, 'the worker is dead')
                clients.wait_whole(time.monotonic(), 1 * SLOW)
        clients.verify(self)
        self.assertEqual(self.stack.pid('nginx'), master)

    def test_reloaded_under_load(self):
        """Old workers complete what they have; a client's idle connection is closed, which it notices and makes another."""
        master = self.stack.pid('nginx')
        with self.clients(always_reachable=False, adders=4) as clients:
            for _ in range(3):
                old = children(master)
                os.kill(master, signal.SIGHUP)
                wait_until(lambda: not any(alive(pid) for pid in old), 15 * SLOW, 'the old workers have ended')
                clients.wait_whole(time.monotonic(), 1 * SLOW)
        clients.verify(self)
        self.assertEqual(clients.latest_unknown, 0)
        self.assertEqual(clients.denied, 0)
        self.assertEqual(self.stack.pid('nginx'), master)

    def test_without_the_app(self):
        """Each answer is nginx's own: a problem, at once; and what it did not send is not in doubt."""
        self.supervisor('-d', 'app')
        try:
            wait_until(lambda: not alive(self.app), 20, 'the app has ended')
            for method, path in (('GET', sample.LIST), ('POST', sample.COLLECTION), ('DELETE', sample.item(1)),
                                 ('GET', '/health'), ('GET', '/api/none')):
                with self.subTest(f'{method} {path}'):
                    start = time.monotonic()
                    answer = self.stack.request(method, path)
                    self.assertLess(time.monotonic() - start, 1 * SLOW)
                    self.assertEqual((answer.status, answer.json()['status']), (503, 503), answer)
                    self.assertEqual(answer.headers['Content-Type'], 'application/problem+json')
                    self.assertTrue(answer.headers['Retry-After'].isdigit())
                    self.assertNotEqual(answer.json()['type'], OUTCOME_UNKNOWN)
            for path in sample.FILES:
                self.assertEqual(self.stack.get(path).status, 200)
        finally:
            self.supervisor('-u', 'app')
        wait_until(self.stack.healthy, 3 * SLOW, 'the app is back')

    def test_log_lines_stay_json_whatever_a_client_sends(self):
        before = len(self.stack.log_lines('access'))
        for byte in range(1, 256):
            if byte in b'\r\n':
                continue
            odd = bytes([byte])
            self.stack.raw(b'GET /api/' + odd + b'?' + odd + b' HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
                           b'User-Agent: a' + odd + b'"\\b\r\n\r\n', timeout_s=2)
        lines = self.stack.log_lines('access')[before:]
        self.assertGreater(len(lines), 200)
        for line in lines:
            self.assertNotIn('�', line)
            self.assertIn('request_id', json.loads(line))


if __name__ == '__main__':
    unittest.main()
