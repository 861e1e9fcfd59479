#!/usr/bin/env python3
"""The main test: clients add, delete and read while parts of the service are killed, frozen, locked, filled and restarted,
by a seed that is printed first; at the end nothing acknowledged is missing or doubled, nothing denied is there, and the
service has as many threads and descriptors as before. `make soak SECONDS=600 SEED=…`; 30 s of it are in the test suite."""
import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'integration'))

from clients import SLOW, WHOLE_S, Addition, Clients
from fault_test import FaultTest, alive, children, signal_all
from stack import ROLE, Stack, sample, wait_until

# Room for what a soak of hours writes; memory is taken only as it fills.
DISK_BYTES = 6 * 1024 ** 3
# How long a fault lasts (s); now and then longer than the 2.5 s after which the app cuts a call.
HOLDS_S = (0.2, 1.2)
LONG_HOLDS_S, LONG_SHARE = (2.6, 4), 0.1
# nginx keeps up to 64 idle connections to the app for each of its workers; those of a fresh one are nearly none.
DESCRIPTORS_MORE = 20
# What memory may grow by: caches of the allocator, one for each thread.
MEMORY_FACTOR, MEMORY_MORE_KB = 1.5, 30_000


def mount_disk():
    """A small disk of our own, to be filled: its path, or None where mounting is not for us."""
    path = tempfile.mkdtemp(prefix='v-', dir='/tmp')
    os.chmod(path, 0o755)
    result = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={DISK_BYTES},mode=755', 'tmpfs', path],
                            capture_output=True)
    if result.returncode == 0:
        return path
    os.rmdir(path)
    return None


def fill_disk(path):
    """Not one byte is left: the disk shrinks to what it holds. Refused if more was written meanwhile; then once more."""
    def shrink():
        status = os.statvfs(path)
        return resize_disk(path, (status.f_blocks - status.f_bfree) * status.f_frsize)

    wait_until(shrink, 5, 'the disk is full')


def resize_disk(path, size_bytes=DISK_BYTES):
    """Whether that could be done."""
    return subprocess.run(['mount', '-o', f'remount,size={size_bytes}', path], capture_output=True).returncode == 0


def unmount_disk(path):
    subprocess.run(['umount', path], check=True)
    os.rmdir(path)


class Nemesis(FaultTest):
    """Its faults: each does its harm, holds it for a while, and ends it."""

    def __init__(self, stack, seed, disk):
        super().__init__()
        self.stack, self.source, self.disk = stack, random.Random(seed), disk
        self.cause_ended_at = None  # where that is before the method returns

    def runTest(self):
        """Only so that this is a TestCase, whose helpers it uses."""

    def hold(self):
        time.sleep(self.source.uniform(*(LONG_HOLDS_S if self.source.random() < LONG_SHARE else HOLDS_S)))

    def freeze(self, pids):
        signal_all(pids, signal.SIGSTOP)
        try:
            self.hold()
        finally:
            signal_all(pids, signal.SIGCONT)

    def kill(self, part, number=signal.SIGKILL):
        self.cause_ended_at = time.monotonic()
        super().kill(part, number)

    def end_orderly(self, part, number):
        """The harm ends when the old process has ended."""
        old = self.stack.kill(part, number)
        wait_until(lambda: not alive(old), 20 * SLOW, f'{part} has ended')

    def app_killed(self):
        self.kill('app')

    def app_terminated(self):
        self.end_orderly('app', signal.SIGTERM)

    def app_frozen(self):
        self.freeze([self.stack.pid('app')])

    def nginx_killed(self):
        self.kill('nginx')

    def nginx_worker_killed(self):
        os.kill(self.source.choice(children(self.stack.pid('nginx'))), signal.SIGKILL)

    def nginx_reloaded(self):
        self.stack.kill('nginx', signal.SIGHUP)

    def nginx_ended(self):
        self.end_orderly('nginx', signal.SIGQUIT)

    def nginx_frozen(self):
        master = self.stack.pid('nginx')
        self.freeze([master, *children(master)])

    def postmaster_killed(self):
        self.kill('postgres')

    def postgres_killed(self):
        signal_all(self.postgres_pids(), signal.SIGKILL)

    def postgres_restarted_fast(self):
        self.end_orderly('postgres', signal.SIGINT)

    def postgres_restarted_immediately(self):
        self.end_orderly('postgres', signal.SIGQUIT)

    def postgres_stopped(self):
        self.supervisor('-d', 'postgres')
        try:
            self.hold()
        finally:
            self.supervisor('-u', 'postgres')

    def postgres_frozen(self):
        self.freeze(self.postgres_pids())

    def backend_killed(self):
        """PostgreSQL then ends all others, too; until it has noticed, all seems well."""
        pids = self.app_backends()
        self.cause_ended_at = time.monotonic()
        os.kill(self.source.choice(pids), signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)), 20 * SLOW, 'PostgreSQL has ended all sessions')

    def backend_ended(self):
        os.kill(self.source.choice(self.app_backends()), signal.SIGTERM)

    def backends_ended(self):
        self.end_backends()

    def backend_frozen(self):
        self.freeze([self.source.choice(self.app_backends())])

    def table_locked(self):
        with self.stack.locked(self.source.choice(tuple(sample.LOCKED))):
            self.hold()

    def read_only(self):
        self.configure('ALTER SYSTEM SET default_transaction_read_only = on')
        try:
            self.hold()
        finally:
            self.configure('SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only')

    def connections_used_up(self):
        self.stack.sql(f'ALTER ROLE {ROLE} CONNECTION LIMIT 0')
        self.end_backends()
        try:
            self.hold()
        finally:
            self.stack.sql(f'ALTER ROLE {ROLE} CONNECTION LIMIT -1')

    def disk_full(self):
        fill_disk(self.disk)
        try:
            self.hold()
        finally:
            resize_disk(self.disk)

    def commits_in_doubt(self):
        """What is committed waits for a standby that is not there; then its connection is ended before the answer.
        The sessions that come after it do not wait."""
        here = 'SET synchronous_commit = local; '
        self.configure(here + "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            self.hold()
            self.stack.sql(here + f"ALTER ROLE {ROLE} SET synchronous_commit = 'local'")
            self.end_backends()
        finally:
            self.configure(here + 'ALTER SYSTEM RESET synchronous_standby_names')
            self.stack.sql(here + f'ALTER ROLE {ROLE} RESET synchronous_commit')

    def power_cut(self):
        self.stack.cut_power()
        self.stack.start()

    KINDS = (app_killed, app_terminated, app_frozen, nginx_killed, nginx_worker_killed, nginx_reloaded, nginx_ended,
             nginx_frozen, postmaster_killed, postgres_killed, postgres_restarted_fast, postgres_restarted_immediately,
             postgres_stopped, postgres_frozen, backend_killed, backend_ended, backends_ended, backend_frozen,
             table_locked, read_only, connections_used_up, disk_full, commits_in_doubt, power_cut)

    def faults(self):
        """Each kind once in a random order, again and again."""
        kinds = [kind for kind in self.KINDS if self.disk or kind is not Nemesis.disk_full]
        while True:
            self.source.shuffle(kinds)
            yield from kinds


class Soak:
    """One run: `.problems` is empty if all went well; `.report()` has its figures."""

    def __init__(self, seconds, seed):
        self.seconds, self.seed = seconds, seed
        self.survived, self.recoveries, self.problems, self.clients = [], [], [], None
        self.before = self.after = None

    def run(self, test):
        disk = mount_disk()
        stack = None
        try:
            stack = Stack(state_dir=disk)
            self.run_with(test, stack, Nemesis(stack, self.seed, disk))
        finally:
            if stack is not None:
                stack.stop(remove=not disk)
                if disk:
                    os.remove(stack.token_file)
            if disk:
                unmount_disk(disk)
        return self

    def run_with(self, test, stack, nemesis):
        # Load as it will be, so that what is compared afterwards has been warm before, too.
        with self.make_clients(stack) as warm_up:
            time.sleep(1)
        warm_up.verify(test)
        self.before = resources(stack)
        with self.make_clients(stack) as self.clients:
            faults = nemesis.faults()
            deadline = time.monotonic() + self.seconds
            while time.monotonic() < deadline:
                self.survive(stack, next(faults), nemesis)
                time.sleep(nemesis.source.uniform(0.05, 0.3))
            self.survive(stack, Nemesis.power_cut, nemesis)
        self.clients.verify(test, least=self.seconds)
        self.check_logs(test, stack)
        with self.make_clients(stack) as calm:
            time.sleep(1)
        calm.verify(test)
        self.after = resources(stack)
        test.assertEqual(self.after['threads'], self.before['threads'])
        for name in ('app_descriptors', 'nginx_descriptors'):
            test.assertLessEqual(self.after[name], self.before[name] + DESCRIPTORS_MORE, name)
        for name in ('app_kb', 'nginx_kb'):
            test.assertLessEqual(self.after[name], self.before[name] * MEMORY_FACTOR + MEMORY_MORE_KB, name)
        test.assertEqual(self.problems, [])

    def check_logs(self, test, stack):
        """Each line is JSON, but for one that nginx began when the disk was full: it does not take a part back, and
        nothing can be set about that. No line tells of a defect."""
        cut = 0
        for name in ('access', 'backend'):
            for line in stack.log_lines(name):
                try:
                    entry = json.loads(line)
                except ValueError as error:
                    cut += 1
                    if name == 'access' and cut <= self.survived.count('disk_full'):
                        continue
                    raise AssertionError(f'{name}.log: {error}: {line}') from None
                test.assertNotEqual(entry.get('event'), 'defect', line)
                test.assertNotIn(entry.get('status'), (500, 502, 504), line)

    def make_clients(self, stack):
        return Clients(stack, adders=4, deleters=2, readers=1, pause_s=0.005, seed=self.seed, always_reachable=False,
                       checks_time=False)

    def survive(self, stack, fault, nemesis):
        name = fault.__name__
        nemesis.cause_ended_at = None
        try:
            fault(nemesis)
            ended = nemesis.cause_ended_at or time.monotonic()
            wait_until(lambda: self.is_whole(stack), 30 * SLOW, f'all is well after {name}')
        except Exception as error:
            raise AssertionError(f'seed {self.seed}, fault {len(self.survived) + 1}, {name}: {error}') from error
        took_s = time.monotonic() - ended
        self.survived.append(name)
        self.recoveries.append(took_s)
        if took_s > WHOLE_S:
            self.problems.append(f'{took_s:.2f} s to recover from {name} (fault {len(self.survived)})')

    def is_whole(self, stack):
        """An addition succeeds, a read shows it, /health is 200; asked by nobody who waited in a queue before."""
        addition = Addition(f'{self.clients.mark} whole {len(self.survived)} {time.monotonic_ns()}')
        with self.clients.lock:
            self.clients.by_text[addition.text] = addition
            self.clients.begun += 1
        try:
            with stack.client(timeout_s=3 * SLOW) as client:
                answer = client.post(sample.COLLECTION, sample.new(addition.text), {'Idempotency-Key': addition.key})
                if answer.status != 201:
                    return False
                self.clients.acknowledge(addition, answer.json())
                return (client.get(sample.item(addition.item['id'])).status in (200, 404)  # it may be deleted already
                        and client.get(sample.LIST).status == 200 and client.get('/health').status == 200)
        except OSError:
            return False

    def report(self):
        figures = {'seed': self.seed, 'seconds': self.seconds, 'faults': len(self.survived),
                   'kinds': len(set(self.survived)), 'recovery_median_s': round(statistics.median(self.recoveries), 2),
                   'recovery_max_s': round(max(self.recoveries), 2),
                   'slowest': self.survived[self.recoveries.index(max(self.recoveries))],
                   **self.clients.figures(), 'before': self.before, 'after': self.after}
        return json.dumps(figures)


def resources(stack):
    """Of the app and of nginx's workers, which are new ones then: idle connections between both are closed."""
    master, old = stack.pid('nginx'), children(stack.pid('nginx'))
    os.kill(master, signal.SIGHUP)
    wait_until(lambda: not any(alive(pid) for pid in old), 20 * SLOW, "nginx's old workers have ended")
    wait_until(lambda: stack.get('/api').status == 200, 5, 'the new ones answer')
    app = stack.pid('app')

    def memory_kb(pid):
        with open(f'/proc/{pid}/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))

    def descriptors(pid):
        return len(os.listdir(f'/proc/{pid}/fd'))

    workers = children(master)
    return {'threads': len(os.listdir(f'/proc/{app}/task')), 'app_descriptors': descriptors(app), 'app_kb': memory_kb(app),
            'nginx_descriptors': sum(map(descriptors, workers)), 'nginx_kb': sum(map(memory_kb, workers))}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=int, default=30)
    parser.add_argument('--seed', type=int, default=None, help='repeats the faults of a run, in order and length')
    options = parser.parse_args()
    seed = random.randrange(10 ** 9) if options.seed is None else options.seed
    print(f'soak: seed {seed}, {options.seconds} s', flush=True)
    soak = Soak(options.seconds, seed)
    try:
        soak.run(unittest.TestCase())
    finally:
        if soak.recoveries and soak.clients:
            print(soak.report(), flush=True)


if __name__ == '__main__':
    main()
