"""The FastCGI sockets under attack while clients are served: nobody but nginx may open them at all, and whoever can slows
nobody, stops nothing, and takes little memory. What each single record does is tests/integration/test_hostile_peers.py's."""
import os
import random
import stat
import subprocess
import time
import unittest

from clients import SLOW
from fault_test import FaultTest
from stack import fastcgi_params, fastcgi_request, sample
from test_hostile_peers import HALF_SENT, MALFORMED

ATTACK_S = 6
# APP_REQUEST_READ_MS is 1 s: that is all that a request has, however it drips.
READ_S = 2.5 * SLOW
# 500 connections with 64 KiB each that the kernel holds for them, and what the app copies of that.
MEMORY_MORE_KB = 60_000


class PeersTest(FaultTest):
    CALM = True  # it measures how promptly others are answered

    def test_only_nginx_and_the_app_may_open_the_sockets(self):
        for name in ('app', 'health'):
            path = self.stack.socket_path(name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
            if os.geteuid() != 0:
                continue
            for user in ('nobody', 'postgres'):
                with self.subTest(name, user=user):
                    script = f'import socket; socket.socket(socket.AF_UNIX).connect({path!r})'
                    result = subprocess.run(['runuser', '-u', user, '--', '/usr/bin/python3', '-c', script],
                                            capture_output=True, text=True, cwd='/')
                    self.assertIn('PermissionError', result.stderr)

    def test_an_attack_slows_nobody(self):
        source = random.Random(20261124)
        before_kb = self.memory_kb()
        whole = fastcgi_request(fastcgi_params('GET', '/api'))
        large_half = fastcgi_request(fastcgi_params('POST', sample.COLLECTION, HTTP_AUTHORIZATION='x' * 60_000))[:-1]
        attacks = [data for _, data in MALFORMED + HALF_SENT] + [b'', large_half, whole]
        with self.clients() as clients:
            peers, drips = [], []
            deadline = time.monotonic() + ATTACK_S
            drip_at = time.monotonic()
            while time.monotonic() < deadline:
                for socket_name in ('app', 'health'):
                    data = source.choice(attacks + [source.randbytes(source.randrange(1, 3000))])
                    peers.append(self.attack(socket_name, data))
                if len(peers) > (40 if SLOW > 1 else 60):
                    peers.pop(source.randrange(len(peers))).close()
                if time.monotonic() >= drip_at:  # one byte a second
                    drip_at += 1
                    drips.append((time.monotonic(), self.attack('app', b'')))
                    for _, drip in drips:
                        try:
                            drip.send(whole[:1])
                        except OSError:
                            pass
                time.sleep(0.005)
            for begun, drip in drips:
                if begun < time.monotonic() - READ_S:
                    drip.settimeout(0.1)
                    try:
                        self.assertEqual(drip.recv(1), b'', 'a dripping peer was let')
                    except ConnectionError:
                        pass
            clients.wait_whole(time.monotonic(), 1 * SLOW)
            for peer in peers + [drip for _, drip in drips]:
                peer.close()
        clients.verify(self)
        bad = {status for answers in clients.answers.values() for _, _, status in answers} - {200, 201, 204, 404}
        self.assertEqual(bad, set())
        slowest = max(end - start for answers in clients.answers.values() for start, end, _ in answers)
        self.assertLess(slowest, 1.5 * SLOW)
        self.assertEqual(self.stack.pid('app'), self.app)
        self.assertLess(self.memory_kb(), before_kb + MEMORY_MORE_KB * SLOW)

    def attack(self, socket_name, data):
        peer = self.stack.fastcgi_connect(socket_name, timeout_s=0.2)
        try:
            peer.sendall(data)
        except OSError:
            pass  # it was refused before it had sent everything
        return peer

    def memory_kb(self):
        with open(f'/proc/{self.app}/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmHWM'))


if __name__ == '__main__':
    unittest.main()
