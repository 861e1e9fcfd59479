"""What must survive what: down and up, kill -9 of each part, a container made anew, more replicas and fewer, and a first start
that is cut short. Kills are of the host's pid: `docker kill` counts as stopped by hand."""
import collections
import os
import signal
import threading
import time
import unittest

import containers
import stack as stacks
from containers import SERVICES, VERSION, docker

# Docker restarts after 0.1 s at first; the database replays its log, the app reconnects.
BACK_S = 20


class Load:
    """Clients that add (each with a key, repeated until it is answered) and read, until the `with` ends."""

    def __init__(self, service, clients=8):
        self.service, self.ending = service, threading.Event()
        self.added, self.reads, self.faults, self.broken = {}, [], [], []
        # Of every request, the status or the client's error; and when it was no success.
        self.answers, self.unanswered_at = collections.Counter(), []
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]

    def count(self, answer):
        self.answers[answer] += 1
        if answer not in (200, 201):
            self.unanswered_at.append(time.monotonic())

    def unanswered_s(self):
        """From the first request that was no success to the last."""
        return max(self.unanswered_at) - min(self.unanswered_at) if self.unanswered_at else 0.0

    def run(self, number):
        client, count = self.service.client(), 0
        while not self.ending.is_set():
            count += 1
            key = f'load-{os.getpid()}-{id(self)}-{number}-{count}'
            while True:
                try:
                    answer = client.post('/api/visitors', {'name': key}, {'Idempotency-Key': key})
                except OSError as error:
                    self.faults.append(repr(error))
                    self.count(repr(error))
                    time.sleep(0.05)
                    continue
                self.count(answer.status)
                if answer.status == 201:
                    self.added[key] = answer.json()['id']
                    break
                # Whatever else is said must be said in the API's words.
                if answer.status != 503 or answer.headers['Content-Type'] != 'application/problem+json':
                    self.broken.append(answer)
                self.faults.append(answer.status)
                if self.ending.is_set():
                    break
                time.sleep(0.05)
            try:
                self.reads.append(client.get('/api/visitors?limit=5').status)
            except OSError as error:
                self.reads.append(repr(error))
            self.count(self.reads[-1])
        client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)


class LifeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = containers.shared()

    def setUp(self):
        self.service.wait_healthy()

    def add(self, name):
        answer = self.service.post('/api/visitors', {'name': name})
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

    def assert_kept(self, visitor):
        answer = self.service.get(f'/api/visitors/{visitor["id"]}')
        self.assertEqual((answer.status, answer.json()), (200, visitor))

    def assert_all_once(self, load):
        self.assertEqual(load.broken[:3], [])
        rows = self.service.sql(f"SELECT name, id FROM visitors WHERE name LIKE 'load-{os.getpid()}-{id(load)}-%'")
        found = {name: int(id_) for name, id_ in rows}
        self.assertEqual(len(rows), len(found), 'nothing twice')
        self.assertEqual({key: found.get(key) for key in load.added}, load.added, 'nothing acknowledged is missing')

    def test_down_and_up_keeps_the_data(self):
        visitor = self.add('kept over down and up')
        self.service.compose('down')
        self.service.start(build=False)
        self.assert_kept(visitor)

    def test_whoever_is_killed_comes_back(self):
        for name in SERVICES:
            with self.subTest(name):
                visitor = self.add(f'kept over the death of {name}')
                pid = self.service.pid(name)
                os.kill(pid, signal.SIGKILL)
                stacks.wait_until(lambda: self.service.pid(name) not in (None, pid), BACK_S, f'{name} runs again')
                print(f'  {name}: /health again after {self.service.wait_healthy(BACK_S):.1f} s', flush=True)
                self.assert_kept(visitor)
                # A program that has run for 10 s is restarted at once; Docker waits longer and longer for others.
                time.sleep(10)

    def test_stops_by_its_signal_and_in_time(self):
        for name in reversed(SERVICES):
            with self.subTest(name):
                start = time.monotonic()
                self.service.compose('stop', name)
                print(f'  {name}: stopped in {time.monotonic() - start:.1f} s', flush=True)
                self.assertEqual(self.service.inspect(name)['State']['ExitCode'], 0)
                self.service.start(build=False)

    def test_without_the_database_it_is_503_and_nothing_restarts(self):
        pids = {name: self.service.pid(name) for name in ('nginx', 'app')}
        self.service.compose('stop', 'db')
        try:
            # It asks once a second and repeats the answer meanwhile.
            stacks.wait_until(lambda: self.service.get('/health').status == 503, 5, '/health is 503')
            self.assertEqual(self.service.get('/').status, 200)
            probe = self.service.execute('app', '/usr/bin/fcgi-app', '--probe')
            self.assertEqual(probe.returncode, 1)
            self.assertEqual(self.service.execute('nginx', '/usr/bin/probe').returncode, 0)
        finally:
            self.service.compose('start', 'db')
        self.service.wait_healthy(BACK_S)
        self.assertEqual({name: self.service.pid(name) for name in pids}, pids)

    def test_a_frozen_nginx_is_unhealthy(self):
        pid = self.service.pid('nginx')
        children = [int(line) for line in docker('top', self.service.container('nginx'), '-eo', 'pid').stdout.split()[1:]]
        for process in children:
            os.kill(process, signal.SIGSTOP)
        try:
            # An exec within a frozen container: the probe itself is not frozen.
            self.assertEqual(self.service.execute('nginx', '/usr/bin/probe').returncode, 1)
        finally:
            for process in children:
                os.kill(process, signal.SIGCONT)
        self.assertEqual(self.service.pid('nginx'), pid)

    def test_an_app_made_anew_at_another_address_is_found_without_a_restart_of_nginx(self):
        nginx = self.service.pid('nginx')
        network = f'{self.service.name}_app'

        def address():
            return self.service.inspect('app')['NetworkSettings']['Networks'][network]['IPAddress']

        before = address()
        self.service.compose('rm', '--stop', '--force', 'app')
        # Somebody else gets its address meanwhile.
        squatter = docker('run', '--rm', '--detach', '--network', network, '--ip', before, '--entrypoint', '/bin/sleep',
                          f'{self.service.name}-db:{VERSION}', '600', check=False).stdout.strip()
        if not squatter:
            squatter = docker('run', '--rm', '--detach', '--network', network, '--entrypoint', '/bin/sleep',
                              f'{self.service.name}-db:{VERSION}', '600').stdout.strip()
        try:
            self.service.start(build=False)
            self.assertNotEqual(address(), before)
            print(f'  found after {self.service.wait_healthy(10):.1f} s', flush=True)
            self.assertEqual(self.service.pid('nginx'), nginx)
        finally:
            docker('rm', '--force', squatter)

    def test_three_replicas_and_back_under_load(self):
        with Load(self.service) as load:
            time.sleep(1)
            self.service.compose('up', '--detach', '--wait', '--no-recreate', '--scale', 'app=3')
            self.assertEqual(len(self.service.replicas()), 3)
            while_one = len(load.faults)
            time.sleep(5)
            connected = [self.fastcgi_connections(number) for number in (1, 2, 3)]
            self.assertEqual(load.faults[while_one:], [], 'three healthy replicas refuse nobody')
            self.service.compose('up', '--detach', '--wait', '--no-recreate', '--scale', 'app=1')
            time.sleep(3)
            settled = len(load.faults)
            time.sleep(2)
            self.assertEqual(load.faults[settled:], [], 'no fault once it is settled')
        print(f'  answers {dict(load.answers)}, those that were no success within {load.unanswered_s():.1f} s; '
              f'connections to the three: {connected}', flush=True)
        self.assertLessEqual(load.answers.keys(), {200, 201, 503}, 'nothing else is seen')
        self.assertTrue(all(connected), connected)
        self.assertEqual(len(self.service.replicas()), 1)
        self.assert_all_once(load)

    def fastcgi_connections(self, number):
        """How many established connections a replica has at port 9000 (0x2328)."""
        pid = self.service.inspect('app', number)['State']['Pid']
        with open(f'/proc/{pid}/net/tcp') as table:
            return sum(line.split()[1].endswith(':2328') and line.split()[3] == '01' for line in table)

    def test_nothing_acknowledged_is_lost_when_everything_is_killed_under_load(self):
        with Load(self.service) as load:
            for name in ('app', 'db', 'nginx'):
                time.sleep(2)
                os.kill(self.service.pid(name), signal.SIGKILL)
            time.sleep(5)
        self.service.wait_healthy(BACK_S)
        print(f'  {len(load.added)} added, {len(load.faults)} faults meanwhile', flush=True)
        self.assert_all_once(load)


class FirstStartTest(unittest.TestCase):
    def test_a_first_start_that_is_killed_is_begun_anew(self):
        service = containers.Containers('visitors-test-first', start=False)
        try:
            service.compose('build', 'db')
            service.compose('up', '--detach', '--no-build', 'db')
            stacks.wait_until(lambda: 'initdb' in docker('top', service.container('db'), '-eo', 'pid,args', check=False).stdout, 30,
                              'initdb runs')
            os.kill(service.pid('db'), signal.SIGKILL)
            service.compose('up', '--detach', '--wait', '--no-build', 'db')
            service.compose('run', '--rm', '--no-deps', '-T', 'migrate')
            self.assertEqual(service.sql('SELECT count(*) FROM visitors'), [('0',)])
        finally:
            service.remove()


if __name__ == '__main__':
    unittest.main()
