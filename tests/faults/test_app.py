"""What happens to the app: it is ended, killed, frozen, and runs out of descriptors and memory; and clients that are many,
slow, or leave. Nothing acknowledged is lost, each answer comes in time, and what nobody waits for any more is not done."""
import json
import os
import resource
import signal
import socket
import time
import unittest

from clients import API, SLOW
from fault_test import FaultTest, signal_all
from stack import fastcgi_params, fastcgi_read, fastcgi_request, sample, wait_until

BACK_S = 2 * SLOW  # the supervisor's second, and the app's own start


class EndTest(FaultTest):
    CALM = True  # it measures how quick the page is beside a frozen app

    def test_sigterm_under_load_loses_no_request_that_was_taken(self):
        clients = self.go_through(lambda: self.kill('app', signal.SIGTERM), same_app=False, adders=8)
        self.assertEqual(clients.latest_unknown, 0, 'an addition or deletion got no certain answer')

    def test_sigkill_loses_nothing_acknowledged(self):
        with self.clients(adders=6) as clients:
            for _ in range(3):
                killed_at = time.monotonic()
                self.stack.kill('app')
                clients.wait_whole(killed_at + 0.05, BACK_S)
        clients.verify(self)

    def test_frozen(self):
        """nginx waits for 5 s, for /health for 2 s; whatever it gets no answer for it says so itself."""
        clients = self.go_through(lambda: signal_all([self.app], signal.SIGSTOP),
                                  lambda: signal_all([self.app], signal.SIGCONT),
                                  suffers=(*API, 'health'), holds_s=5.5, shows_s=6 * SLOW, checks_time=False)
        for kind, limit_s in (('page', 1), ('health', 2.5), *((kind, 5.5) for kind in API)):
            slowest = max((end - start for start, end, _ in clients.answers.get(kind, [])), default=0)
            self.assertLess(slowest, limit_s * SLOW, kind)


class ExhaustedTest(FaultTest):
    def usual_descriptors(self):
        with open(f'/proc/{self.app}/limits') as file:
            return next(line.split()[3] for line in file if line.startswith('Max open files'))

    def test_no_descriptors_left(self):
        """New connections wait until others are closed; those that are there are served."""
        usual, now = self.usual_descriptors(), len(os.listdir(f'/proc/{self.app}/fd'))
        self.go_through(lambda: self.limit_app(f'--nofile={now}:'), lambda: self.limit_app(f'--nofile={usual}:'),
                        holds_s=2, adders=20, readers=3, checks_time=False)

    def test_each_time_that_no_descriptors_are_left_is_a_line_in_the_log(self):
        """A line a time, however often it is tried meanwhile; the one that had to wait is served."""
        def failures():
            return [line for line in self.log_since(size) if line['event'] == 'accept_failed']

        usual = self.usual_descriptors()
        self.addCleanup(self.limit_app, f'--nofile={usual}:')
        for _ in range(2):
            size = self.log_size()
            self.limit_app('--nofile=3:')
            with self.stack.fastcgi_connect() as connection:
                wait_until(failures, 5, 'the log tells of it')
                self.limit_app(f'--nofile={usual}:')
                connection.sendall(fastcgi_request(fastcgi_params('GET', '/api')))
                self.assertEqual(fastcgi_read(connection).status, 200)
            self.assertEqual(len(failures()), 1, failures())

    def test_no_memory_left(self):
        """Peers take what they can get, the app can get no more than it has: it answers on, or is back at once."""
        with open(f'/proc/{self.app}/status') as file:
            size_kb = next(int(line.split()[1]) for line in file if line.startswith('VmSize'))
        half = fastcgi_request(fastcgi_params('POST', sample.COLLECTION, HTTP_AUTHORIZATION='x' * 60_000), b'{}' * 2000)[:-1]
        peers = []
        with self.clients(adders=6, checks_time=False, always_reachable=True) as clients:
            if not SLOW > 1:  # a sanitizer's address space is no measure
                self.limit_app(f'--as={size_kb * 1024}:')
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                try:
                    peer = self.stack.fastcgi_connect(timeout_s=0.1)
                    peers.append(peer)
                    peer.sendall(half)
                except OSError:
                    pass
                if len(peers) > 200:
                    peers.pop(0).close()
            for peer in peers:
                peer.close()
            if self.stack.pid('app') == self.app and not SLOW > 1:
                self.limit_app('--as=unlimited:')
            clients.wait_whole(time.monotonic())
        clients.verify(self)


class ClientsTest(FaultTest):
    ALONE = True

    def connect(self, data=b''):
        connection = socket.create_connection(('127.0.0.1', self.stack.port), timeout=5)
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection

    def test_thousands_that_are_idle_slow_or_do_not_read(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        many = 3000 if hard == resource.RLIM_INFINITY or hard > 4500 else (hard - 500) // 2
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 8192), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        idle = [self.connect() for _ in range(many)]
        slow_heads = [self.connect(f'GET {sample.LIST} HTTP/1.1\r\nHost: lo'.encode()) for _ in range(300)]
        slow_bodies = [self.connect(self.addition('slow' * 10)[:-30]) for _ in range(300)]
        not_reading = [self.connect(f'GET {sample.LIST}?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode() * 50)
                       for _ in range(50)]
        with self.clients() as clients:
            start = time.monotonic()
            while time.monotonic() < start + 3:
                for connection in slow_heads[:50] + slow_bodies[:50]:
                    try:
                        connection.send(b'c')
                    except OSError:
                        pass  # nginx had enough of it
                time.sleep(0.2)  # what makes them slow
            clients.wait_whole(time.monotonic(), 1 * SLOW)
        clients.verify(self)
        slowest = max(end - begin for answers in clients.answers.values() for begin, end, _ in answers)
        self.assertLess(slowest, 1.5 * SLOW)
        self.assertEqual({status for answers in clients.answers.values() for _, _, status in answers} - {201, 200, 204, 404},
                         set())
        self.assertEqual(self.stack.pid('app'), self.app)
        del idle, not_reading

    def test_the_work_of_clients_that_left_is_not_done(self):
        mark = f'left {os.urandom(4).hex()}'
        with self.stack.locked(sample.TABLE):
            first = self.connect(self.addition(f'{mark} first'))
            wait_until(lambda: self.app_backends("wait_event_type = 'Lock'"), 2, 'the first one waits for the table')
            before = len(self.stack.log_lines('access'))
            leaving = [self.connect(self.addition(f'{mark} {n}')) for n in range(50)]
            wait_until(lambda: self.waiting_for_the_app() >= 50, 1 * SLOW, 'the app has them')
            for connection in leaving:
                connection.close()
            wait_until(lambda: len(self.stack.log_lines('access')) >= before + 50, 1 * SLOW, 'nginx has seen them leave')
        self.assertIn(b' 201 ', first.recv(4096).splitlines()[0])
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new(f'{mark} last')).status, 201)
        texts = [row[0] for row in self.stack.sql(
            f"SELECT {sample.TEXT} FROM {sample.TABLE} WHERE {sample.TEXT} LIKE '{mark} %' ORDER BY id")]
        self.assertEqual(texts, [f'{mark} first', f'{mark} last'])

    @staticmethod
    def addition(text):
        body = json.dumps(sample.new(text))
        return (f'POST {sample.COLLECTION} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
                f'Content-Length: {len(body)}\r\n\r\n{body}').encode()

    def waiting_for_the_app(self):
        """Connections that the app has accepted."""
        return sum(os.readlink(f'/proc/{self.app}/fd/{fd}').startswith('socket:')
                   for fd in os.listdir(f'/proc/{self.app}/fd')) - 8


if __name__ == '__main__':
    unittest.main()
