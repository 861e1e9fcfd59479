"""The logs of a running service: a reader that stalls holds nobody up, each can be moved away and opened anew without losing a
line, they are nobody else's to read; and what the parts' users put into their folders leads root nowhere."""
import contextlib
import glob
import gzip
import json
import os
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import unittest

import stack as stacks
from beside import App
from contract import ContractTest
from stack import sample, wait_until

SLOW = 4 if os.environ.get('SANITIZE') else 1
LOGS = {'access': 'www-data', 'error': 'www-data', 'backend': 'www-data', 'postgres': 'postgres'}
REQUESTS = 1200  # refused ones, of 200 bytes of log each: more than a pipe, a socket or a terminal takes
ROTATIONS = 5


def pipe():
    """A reader and a writer, as descriptors; so the two below."""
    return os.pipe()


def sockets():
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def terminal():
    return pty.openpty()


class StalledReaderTest(ContractTest):
    @contextlib.contextmanager
    def app(self, make):
        """An app that logs to what `make` makes, and the descriptor to read it from."""
        reader, writer = make()
        try:
            with App(self.stack, writer) as app:
                os.close(writer)
                yield app, reader
        finally:
            os.close(reader)

    def refuse(self, app):
        for _ in range(REQUESTS):
            self.assertEqual(app.get('/api/none').status, 404)

    def test_answers_go_on_and_what_was_dropped_is_counted_and_told(self):
        for make in (pipe, sockets, terminal):
            with self.subTest(make.__name__), self.app(make) as (app, reader):
                self.refuse(app)
                self.assertEqual(app.get(sample.LIST).status, 200)
                self.assertTrue(app.probe('--probe') and app.probe('--probe=live'))
                self.assert_counted(reader)

    def assert_counted(self, reader):
        """Each line of the app is read or counted among the dropped, without another one that it has to write."""
        os.set_blocking(reader, False)
        text, written, dropped = b'', 0, 0

        def all_told():
            nonlocal text, written, dropped
            with contextlib.suppress(BlockingIOError):
                text += os.read(reader, 65536)
            events = [json.loads(line) for line in text[:text.rfind(b'\n') + 1].splitlines()]
            written = sum(event['event'] != 'log_lines_dropped' for event in events)
            dropped = sum(event['count'] for event in events if event['event'] == 'log_lines_dropped')
            return written + dropped >= REQUESTS + 2  # `ready` and `database_connected` are the other two

        wait_until(all_told, 5 * SLOW, 'the log has told of each line')
        self.assertEqual(written + dropped, REQUESTS + 2)
        self.assertGreater(written, 10)
        self.assertGreater(dropped, 0)

    def test_sigterm_is_heard_and_what_is_in_the_log_is_whole(self):
        with self.app(pipe) as (app, reader):
            self.refuse(app)
            app.process.send_signal(signal.SIGTERM)
            self.assertEqual(app.process.wait(10 * SLOW), 0)
            with open(reader, 'rb', closefd=False) as log:
                for line in log.read().splitlines():
                    json.loads(line)

    def test_who_shares_standard_error_does_not_notice(self):
        reader, writer = os.pipe()
        with App(self.stack, writer):
            self.assertTrue(os.get_blocking(writer))
        os.close(reader)
        os.close(writer)

    def test_sighup_ends_nobody_whose_log_is_no_file(self):
        with self.app(pipe) as (app, _):
            app.process.send_signal(signal.SIGHUP)
            wait_until(lambda: app.get('/api').status == 200, 5, 'it answers')
            self.assertIsNone(app.process.poll())

    def test_a_file_that_cannot_be_opened_is_named_on_standard_error_and_ends_nobody(self):
        reader, writer = os.pipe()
        with App(self.stack, writer, APP_LOG_FILE='/nowhere/backend.log') as app:
            os.close(writer)
            line = json.loads(os.read(reader, 65536).splitlines()[0])
            self.assertEqual((line['event'], line['path']), ('log_not_opened', '/nowhere/backend.log'))
            self.assertEqual(app.get(sample.LIST).status, 200)
        os.close(reader)


class LogsTest(ContractTest):
    """Of the shared service; the logs that were moved away stay beside it."""

    def path(self, *parts):
        return os.path.join(self.stack.state_dir, *parts)

    def log_path(self, name):
        return self.path('log', f'{name}.log')

    def assert_modes(self):
        for folder, _, names in os.walk(self.path('log')):
            for name in names:
                status = os.stat(os.path.join(folder, name))
                self.assertEqual(stat.S_IMODE(status.st_mode), 0o640, name)
                if os.geteuid() == 0:
                    self.assertNotEqual(status.st_uid, 0, name)


class ReopeningTest(LogsTest):
    LASTS_S = 40

    def setUp(self):
        self.mark = os.urandom(5).hex()
        self.counts = []
        self.stopping = threading.Event()

    def ask(self):
        """Each of these is a line in access.log and one in backend.log."""
        count = 0
        with self.stack.client() as client:
            while not self.stopping.is_set():
                self.assertEqual(client.get(f'/api/{self.mark}').status, 404)
                count += 1
        self.counts.append(count)

    def log_in_postgresql(self):
        with self.stack.sql_session() as session:
            count = 0
            while not self.stopping.is_set():
                session.execute(f"DO $$ BEGIN FOR i IN 1..50 LOOP RAISE LOG '{self.mark}'; END LOOP; END $$;")
                count += 50
        self.counts.append(count)

    @contextlib.contextmanager
    def load(self, *targets):
        threads = [threading.Thread(target=target) for target in targets]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
        self.assertEqual(len(self.counts), len(targets), 'a client failed')

    def written(self, name, word):
        """How many lines of the log, old files and new, have `word`."""
        count = 0
        for path in glob.glob(glob.escape(self.log_path(name)) + '*'):
            with (gzip.open if path.endswith('.gz') else open)(path, 'rb') as file:
                text = file.read()
            self.assertTrue(not text or text.endswith(b'\n'), f'{path} ends within a line')
            count += sum(word.encode() in line for line in text.split(b'\n'))
        return count

    def grows(self, name):
        return os.path.exists(self.log_path(name)) and os.path.getsize(self.log_path(name)) > 0

    def move(self, name, number):
        os.rename(self.log_path(name), self.log_path(name) + f'-{self.mark}-{number}')

    def rotate(self, names, tell):
        for number in range(ROTATIONS):
            for name in names:
                wait_until(lambda name=name: self.grows(name), 5 * SLOW, f'{name}.log is written')
            for name in names:
                self.move(name, number)
            tell()
        for name in names:
            wait_until(lambda name=name: self.grows(name), 5 * SLOW, f'{name}.log is written')

    def test_access_log_and_backend_log_are_reopened_under_load(self):
        pids = {part: self.stack.pid(part) for part in stacks.PARTS}

        def tell():
            os.kill(pids['nginx'], signal.SIGUSR1)
            os.kill(pids['app'], signal.SIGHUP)

        before = self.written('backend', '"event":"refused"')
        with self.load(*[self.ask] * 4):
            self.rotate(('access', 'backend'), tell)
        # nginx writes a line once the answer is out.
        wait_until(lambda: self.written('access', self.mark) == sum(self.counts), 5, 'each request has its line in access.log')
        self.assertEqual(self.written('backend', '"event":"refused"') - before, sum(self.counts))
        self.assert_modes()
        self.assertEqual({part: self.stack.pid(part) for part in stacks.PARTS}, pids)

    def test_postgresql_reopens_its_log_under_load(self):
        with self.load(self.log_in_postgresql):
            self.rotate(('postgres',), lambda: self.stack.sql('SELECT pg_rotate_logfile()'))
        wait_until(lambda: self.written('postgres', f'LOG:  {self.mark}') == sum(self.counts), 5, 'each line is in postgres.log')
        self.assert_modes()

    def logrotate(self, folder):
        [shipped] = glob.glob(os.path.join(glob.escape(stacks.PROJECT), 'deploy', 'logrotate', '*'))
        with open(shipped, encoding='utf-8') as file:
            text = file.read().replace('STATE_DIR', self.stack.state_dir)
        if os.geteuid() != 0:
            text = re.sub(r'(?m)^ *su .*\n|runuser .* -- ', '', text)
        configuration = os.path.join(folder, 'configuration')
        with open(configuration, 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(configuration, 0o644)
        return subprocess.run(['logrotate', '--force', '--state', os.path.join(folder, 'state'), configuration],
                              capture_output=True, text=True, env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin'})

    def test_logrotate_with_our_configuration_loses_no_line(self):
        before = self.written('backend', '"event":"refused"')
        with tempfile.TemporaryDirectory(prefix='v-', dir='/tmp') as folder:
            with self.load(self.ask, self.ask, self.ask, self.log_in_postgresql):
                for number in range(1, ROTATIONS + 1):
                    for name in ('access', 'backend', 'postgres'):
                        wait_until(lambda name=name: self.grows(name), 5 * SLOW, f'{name}.log is written')
                    result = self.logrotate(folder)
                    self.assertEqual((result.returncode, result.stderr), (0, ''))
                    self.assertTrue(os.path.exists(self.log_path('access') + f'.{number}' + ('.gz' if number > 1 else '')))
        in_postgres = lambda: self.written('postgres', f'LOG:  {self.mark}')
        in_access = lambda: self.written('access', self.mark)
        wait_until(lambda: in_access() + in_postgres() == sum(self.counts), 5, 'each has its line')
        self.assertEqual(self.written('backend', '"event":"refused"') - before, in_access())
        self.assert_modes()


class FoldersTest(LogsTest):
    """What a part's user may write is nowhere followed or written by root."""

    LASTS_S = 50

    def tearDown(self):
        """Takes its links out of the shared service's folder again."""
        for name in os.listdir(self.path('log')):
            if os.path.islink(self.path('log', name)):
                os.remove(self.path('log', name))

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest('all is one user\'s')
        folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, folder)
        self.target = os.path.join(folder, 'of-root')
        with open(self.target, 'w') as file:
            file.write('of root')
        os.chmod(self.target, 0o600)
        self.before = self.state_of_target()

    def state_of_target(self):
        status = os.stat(self.target)
        with open(self.target) as file:
            return file.read(), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns

    def run_as(self, user, script, *arguments):
        return subprocess.run(['runuser', '-u', user, '--', 'sh', '-c', script, 'sh', *arguments], cwd='/',
                              capture_output=True, text=True)

    def put_link(self, user, path):
        """Whether the user could put a link to the target in the place of `path`."""
        return self.run_as(user, 'rm -f "$1" && ln -s "$2" "$1"', path, self.target).returncode == 0

    def restart(self, *parts):
        for part in parts:
            old = self.stack.kill(part)
            wait_until(lambda old=old, part=part: self.stack.pid(part) not in (None, old), 25 * SLOW, f'another {part} runs')
        wait_until(self.stack.healthy, 10 * SLOW, 'the service is well')

    def test_only_root_writes_where_root_does(self):
        for user in ('postgres', 'www-data'):
            for name in ('', 'run', 'release', 'secrets', 'service', 'service/app', 'service/nginx', 'service/postgres',
                         'run/app.pid', 'run/nginx.pid', 'run/postgres.pid', 'run/supervisor.pid', 'run/supervisor.log'):
                with self.subTest(user=user, name=name):
                    self.assertNotEqual(self.run_as(user, 'test -w "$1"', self.path(name)).returncode, 0)

    def test_no_pid_file_and_no_socket_leads_root_astray(self):
        names = [f'run/{name}.pid' for name in (*stacks.PARTS, 'supervisor')] + [
            'tmp/nginx.pid', *(f'run/{name}.sock' for name in ('app', 'health', 'status', 'app/app', 'app/health', 'app/status')), 'postgres/postmaster.pid',
            f'run/.s.PGSQL.{self.stack.postgres_port}', f'run/db/.s.PGSQL.{self.stack.postgres_port}',
            f'run/db/.s.PGSQL.{self.stack.postgres_port}.lock']
        for user in ('postgres', 'www-data'):
            for name in names:
                self.put_link(user, self.path(name))
        self.restart(*stacks.PARTS)
        self.assertEqual(self.state_of_target(), self.before)

    def test_a_log_that_was_replaced_by_a_link_leads_nobody_astray(self):
        """The user can harm the log of its own part alone, and the part comes back."""
        for name, owner in LOGS.items():
            for user in {'postgres', 'www-data'} - {owner}:
                self.assertFalse(self.put_link(user, self.log_path(name)), f'{user} replaced {name}.log')
        nginx = self.stack.pid('nginx')
        for name, owner in LOGS.items():
            os.rename(self.log_path(name), self.log_path(name) + '.kept')
            self.assertTrue(self.put_link(owner, self.log_path(name)))
        os.kill(nginx, signal.SIGUSR1)
        os.kill(self.stack.pid('app'), signal.SIGHUP)
        self.stack.sql('SELECT pg_rotate_logfile()')
        self.restart('app', 'postgres')
        for name in LOGS:
            os.remove(self.log_path(name))
            os.rename(self.log_path(name) + '.kept', self.log_path(name))
        self.restart(*stacks.PARTS)
        self.assertEqual(self.state_of_target(), self.before)

    def test_a_start_on_what_was_replaced_leads_root_nowhere(self):
        self.stack.stop(remove=False)
        for name in ('log/error.log', 'log/supervisor.log', 'log/initdb.log', 'tmp/nginx.pid', f'postgres/{sample.NAME}.conf'):
            self.put_link('www-data', self.path(name))
            self.put_link('postgres', self.path(name))
        self.run_as('postgres', 'echo ../../../tmp >"$1"', self.path('postgres', 'PG_VERSION'))
        result = self.stack.make('start')
        self.assertIn('has no version in it', result.stderr)
        self.run_as('postgres', 'echo 15 >"$1"; rm "$2"; touch "$2"', self.path('postgres', 'PG_VERSION'),
                    self.path('postgres', f'{sample.NAME}.conf'))
        self.run_as('www-data', 'rm -f "$1"', self.log_path('error'))
        self.stack.start()
        self.assertEqual(self.state_of_target(), self.before)


class ModesTest(LogsTest):
    def test_logs_are_their_parts_alone(self):
        self.assert_modes()
        for name, owner in LOGS.items():
            status = os.stat(self.log_path(name))
            self.assertEqual(stat.S_IMODE(status.st_mode), 0o640)


if __name__ == '__main__':
    unittest.main()
