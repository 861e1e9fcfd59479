"""Two processes of the app on one database, as with several replicas, and both are asked the same at once: with a key it is done
once and answered alike, and a deletion is one's. Their connections are ended meanwhile."""
import concurrent.futures
import json
import os
import subprocess
import tempfile
import threading
import unittest

from clients import ANSWER_S
from contract import verify_all
from fault_test import FaultTest
from stack import fastcgi_params, fastcgi_read, fastcgi_request, fastcgi_to, sample, wait_until

ROUNDS = 60
ASKERS = 4
END_EVERY_S = 0.3


class TwoAppsTest(FaultTest):
    EVERY_SERVICE = True
    LASTS_S = 15

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(subprocess.run, ['rm', '-rf', folder])
        self.other = os.path.join(folder, 'app.sock')
        with open(f'/proc/{self.app}/environ', encoding='utf-8') as file:
            environment = dict(entry.split('=', 1) for entry in file.read().split('\0') if entry)
        environment.update(APP_LISTEN=f'unix:{self.other}', APP_HEALTH_LISTEN=f'unix:{folder}/health.sock')
        app = subprocess.Popen([os.path.join(self.stack.state_dir, 'release', 'fcgi-app')], env=environment, stderr=subprocess.DEVNULL)
        self.addCleanup(app.wait)
        self.addCleanup(app.terminate)
        wait_until(lambda: os.path.exists(self.other), 10, 'the other one is there')

    def ask(self, number, method, path, body=None, **headers):
        """Of one app or of the other, again and again until it is certain what was done."""
        def certain():
            data = json.dumps(body).encode() if body else b''
            with fastcgi_to(self.other if number % 2 else self.stack.socket_path()) as connection:
                connection.sendall(fastcgi_request(fastcgi_params(method, path, body=data, **headers), data))
                answer = fastcgi_read(connection)
            return answer if answer and answer.status != 503 else None

        return wait_until(certain, 2 * ANSWER_S, 'a certain answer')

    def test_what_both_are_asked_is_done_once(self):
        mark = f'both {os.urandom(4).hex()}'
        done = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(2 * ASKERS + 1) as pool:
            ending = pool.submit(self.end_connections_until, done)
            try:
                list(pool.map(lambda number: self.one_round(mark, number), range(ROUNDS)))
            finally:
                done.set()
            ending.result()
        rows = self.stack.sql(f"SELECT {sample.TEXT} FROM {sample.TABLE} WHERE {sample.TEXT} LIKE '{mark} %'")
        self.assertEqual(sorted(rows), sorted((f'{mark} {number}',) for number in range(0, ROUNDS, 2)))
        verify_all(self, self.stack)

    def end_connections_until(self, done):
        while not done.wait(END_EVERY_S):
            self.end_backends()

    def one_round(self, mark, number):
        key = f'{mark} {number}'.replace(' ', '-')
        with concurrent.futures.ThreadPoolExecutor(ASKERS) as pool:
            added = list(pool.map(lambda n: self.ask(n, 'POST', sample.COLLECTION, sample.new(f'{mark} {number}'),
                                                     HTTP_IDEMPOTENCY_KEY=key), range(ASKERS)))
            self.assertEqual({answer.status for answer in added}, {201})
            self.assertEqual(len({answer.body for answer in added}), 1)
            self.assertLessEqual(sum(answer.headers['Idempotent-Replayed'] is None for answer in added), 1)
            if number % 2:
                token = f'Bearer {self.stack.token}'
                gone = pool.map(lambda n: self.ask(n, 'DELETE', sample.item(added[0].json()['id']), HTTP_AUTHORIZATION=token).status,
                                range(ASKERS))
                self.assertLessEqual(list(gone).count(204), 1)


if __name__ == '__main__':
    unittest.main()
