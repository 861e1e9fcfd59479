"""The commands, and what the service promises of its ends and starts. Parts are killed under load, and whatever was
acknowledged must be there, once. Each class has services of its own: what it does to them would be in the way of every
other test. A frozen app: test_nginx.py; faults that last: tests/faults."""
import http.client
import itertools
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import stack as stacks
from stack import Stack, StartFailed, wait_until

SLOW = 4 if os.environ.get('SANITIZE') else 1
BACK_S = 2 * SLOW  # "within 1 s", and the part's own start


class Load:
    """Clients that add without a pause. An addition without a certain outcome is sent again with its key until it is
    acknowledged, as the page does."""

    def __init__(self, stack, clients=8):
        self.stack, self.mark = stack, os.urandom(5).hex()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.begun, self.acknowledged, self.errors = set(), {}, []
        self.latest_start = 0.0  # of an attempt that was acknowledged
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: len(self.acknowledged) > 20, 4 * BACK_S, 'the load is under way')
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def run(self, number):
        with self.stack.client(timeout_s=8) as client:
            for count in itertools.count():
                if self.stopping.is_set():
                    break
                name = f'{self.mark} {number} {count}'
                with self.lock:
                    self.begun.add(name)
                visitor = self.add(client, name)
                if visitor:
                    with self.lock:
                        self.acknowledged[name] = visitor['id']

    def add(self, client, name):
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            start = time.monotonic()
            try:
                answer = client.post('/api/visitors', {'name': name}, {'Idempotency-Key': name.replace(' ', '-')})
            except (OSError, http.client.HTTPException):
                answer = None
            if answer and answer.status == 201:
                self.latest_start = max(self.latest_start, start)
                return answer.json()
            if answer and (answer.status not in (502, 503, 504) or answer.json()['status'] != answer.status):
                self.errors.append(answer)
                return None
            if self.stopping.is_set():
                return None
            time.sleep(0.01)  # a client's pause between two tries
        self.errors.append(f'{name} was not acknowledged for 60 s')
        return None

    def wait_for_success_after(self, moment, timeout_s=BACK_S):
        wait_until(lambda: self.latest_start > moment, timeout_s, 'an addition begun after the fault is acknowledged')

    def verify(self, test):
        """Nothing acknowledged is missing or doubled, nothing is there that nobody sent. After its end."""
        test.assertEqual(self.errors[:5], [])
        rows = self.stack.sql(f"SELECT name, id FROM visitors WHERE name LIKE '{self.mark} %'")
        table = {name: int(id_) for name, id_ in rows}
        test.assertEqual(len(table), len(rows), 'a name is in the table twice')
        lost = {name: id_ for name, id_ in self.acknowledged.items() if table.get(name) != id_}
        test.assertEqual(lost, {})
        test.assertEqual(set(table) - self.begun, set())
        test.assertEqual(self.stack.get('/api/stats').json()['total'],
                         int(self.stack.sql('SELECT count(*) FROM visitors')[0][0]))


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except (ProcessLookupError, TypeError):
        return False


def another(stack, part, old):
    """The pid of the part's successor, once there is one."""
    pid = stack.pid(part)
    return pid if pid != old and alive(pid) else None


class FaultsTest(unittest.TestCase):
    ALONE = True  # it measures how soon all is back
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
                pid = self.stack.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'visitors_app' LIMIT 1")[0][0]
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
        for title, body in (('named', {'name': 'kept'}), ('unnamed', None)):
            key = {'Idempotency-Key': f'{title}-{os.urandom(8).hex()}'}
            first = self.stack.post('/api/visitors', body, key)
            self.assertEqual(first.status, 201)
            for part, number in [('app', signal.SIGTERM), ('app', signal.SIGKILL), ('postgres', signal.SIGKILL)]:
                with self.subTest(title, part=part, signal=number.name):
                    old = self.stack.kill(part, number)
                    wait_until(lambda: another(self.stack, part, old) and self.stack.healthy(), 20,
                               f'another {part} runs')
                    again = wait_until(
                        lambda: (lambda a: a if a.status == 201 else None)(self.stack.post('/api/visitors', body, key)),
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

        lock = self.stack.locked('visitors')
        threads = [threading.Thread(target=send, args=request) for request in requests]
        for thread in threads:
            thread.start()
        wait_until(lambda: int(self.stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted')[0][0]) > 0, 3,
                   'a statement of the service waits for the lock')
        return lock, threads, answers

    def test_sigterm_and_sigint_let_the_app_finish_what_is_in_flight(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                lock, threads, answers = self.in_flight([('POST', '/api/visitors', {'name': 'in flight'})] * 3)
                old = self.stack.kill('app', number)
                lock.close()
                for thread in threads:
                    thread.join()
                self.assertEqual([getattr(answer, 'status', answer) for answer in answers], [201] * 3)
                wait_until(lambda: not alive(old), 20, 'the app has ended')
                wait_until(lambda: another(self.stack, 'app', old) and self.stack.healthy(), BACK_S + 2, 'another runs')

    def test_sigquit_lets_nginx_finish_what_is_in_flight(self):
        lock, threads, answers = self.in_flight([('POST', '/api/visitors', {'name': 'in flight'})] * 3)
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


class CommandsTest(unittest.TestCase):
    """start, stop, status, and the life of the data between them."""

    LASTS_S = 100

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def setUp(self):
        self.stack.start()

    def pids(self):
        return {part: self.stack.pid(part) for part in stacks.PARTS}

    def add(self, name):
        answer = self.stack.post('/api/visitors', {'name': name})
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

    def assert_there(self, visitor):
        self.assertEqual(self.stack.get(f'/api/visitors/{visitor["id"]}').json(), visitor)

    def test_start_is_idempotent(self):
        pids = self.pids()
        self.assertEqual(self.stack.make('start').returncode, 0)
        self.assertEqual(self.pids(), pids)

    def test_status_has_a_line_for_each_part_and_tells_up_from_down(self):
        result = self.stack.make('status')
        self.assertEqual(result.returncode, 0, result)
        for part, pid in self.pids().items():
            self.assertRegex(result.stdout, rf'(?m)^.*{part}.*\b{pid}\b.*\bup\b')
        self.stack.stop(remove=False)
        result = self.stack.make('status')
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r'(?m)^.*app.*\bdown\b')
        self.assertEqual(self.stack.make('stop').returncode, 0)  # nothing runs: that is what stop wants

    def test_stop_then_start_keeps_the_data(self):
        visitors = [self.add(name) for name in ('kept', 'é😀')]
        self.stack.stop(remove=False)
        self.assertEqual(self.stack.processes(), [])
        self.stack.start()
        for visitor in visitors:
            self.assert_there(visitor)

    def test_no_database_is_made_where_one_was(self):
        visitor = self.add('before')
        self.stack.stop(remove=False)
        database = os.path.join(self.stack.state_dir, 'postgres')
        os.rename(database, f'{database}.away')
        try:
            result = self.stack.make('start')
            self.assertNotEqual(result.returncode, 0, result)
            self.assertIn(f'the database {database} is missing', result.stderr)
            self.assertFalse(os.path.exists(database))
            self.assertEqual(self.stack.processes(), [])
        finally:
            self.stack.make('stop')
            shutil.rmtree(database, ignore_errors=True)
            os.rename(f'{database}.away', database)
        self.stack.start()
        self.assert_there(visitor)

    def test_a_start_that_was_killed_between_two_releases_can_be_repeated(self):
        visitor = self.add('before')
        self.stack.stop(remove=False)
        release = os.path.join(self.stack.state_dir, 'release')
        os.rename(release, f'{release}.next')
        with open(os.path.join(self.stack.state_dir, 'an operator\'s own'), 'w'):
            pass
        self.stack.start()
        self.assert_there(visitor)

    def test_nothing_of_the_caller_s_environment_reaches_the_parts(self):
        self.stack.stop(remove=False)
        self.stack.start(PGOPTIONS='-c application_name=the-caller', CALLERS_SECRET='secret-of-the-caller')
        self.assertIn(b'STATE_DIR=', stacks.read_bytes(f'/proc/{self.stack.pid("app")}/environ'))
        for part, pid in self.pids().items():
            with self.subTest(part):
                self.assertNotIn(b'the-caller', stacks.read_bytes(f'/proc/{pid}/environ'))

    def named(self, *names):
        """The pids of the service's processes with these names."""
        found = []
        for pid in self.stack.processes():
            try:
                if stacks.read_bytes(f'/proc/{pid}/comm').decode().strip() in names:
                    found.append(pid)
            except OSError:
                pass  # Gone meanwhile.
        return found

    def test_stop_ends_an_app_whose_file_was_replaced_and_which_nobody_supervises(self):
        program = os.path.join(self.stack.state_dir, 'release', 'fcgi-app')
        shutil.copy2(program, f'{program}.new')
        os.replace(f'{program}.new', program)
        supervisors = self.named('s6-svscan', 's6-supervise')
        self.assertEqual(len(supervisors), 4)
        for pid in supervisors:
            os.kill(pid, signal.SIGKILL)
        self.stack.stop(remove=False)
        self.assertEqual(self.stack.processes(), [])

    def test_stop_ends_at_once_who_would_restart_the_parts_when_the_supervisor_was_killed(self):
        nginx = self.stack.pid('nginx')
        [supervisor] = self.named('s6-svscan')
        with socket.create_connection(('127.0.0.1', self.stack.port)) as client:
            client.sendall(b'GET / HTTP/1.1\r\n')  # nginx waits for the rest of it, as long as it waits for anybody
            os.kill(supervisor, signal.SIGKILL)
            stopping = threading.Thread(target=self.stack.stop, args=(False,))
            stopping.start()
            try:
                wait_until(lambda: not self.named('s6-supervise'), 20, 'nobody restarts a part')
                self.assertTrue(alive(nginx))
            finally:
                client.close()
                stopping.join()
        self.assertEqual(self.stack.processes(), [])

    def test_migrate_brings_the_schema_of_the_version_before_up_to_date(self):
        visitor = self.add('of version 1.0.0')
        keyed = self.stack.post('/api/visitors', {'name': 'with a key'}, {'Idempotency-Key': 'of-1.0.0'}).json()
        app = self.stack.pid('app')
        self.add('José of 1.0.0')
        # What 1.0.0 left: no batches, the index for clients' keys only, a key of the app's own, and searches by case alone.
        self.stack.sql("""
            DROP TABLE batches;
            DROP INDEX idempotency_keys_age;
            CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at) WHERE key >= '!';
            ALTER INDEX visitors_name_search RESET (gin_pending_list_limit);
            CREATE OR REPLACE FUNCTION fold_case(value text) RETURNS text
                LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN lower(upper(value));
            REINDEX INDEX visitors_name_search;
            DROP FUNCTION skip_used_ids, refuse_alteration;
            ALTER TABLE visitors DROP CONSTRAINT visitors_id_positive, DROP CONSTRAINT visitors_created_at_shown;
            ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_created_at_shown;
            INSERT INTO idempotency_keys VALUES (' 0006', NULL, 1, now() - interval '26 hours');
            DELETE FROM schema_migrations WHERE name >= '002'""")
        stacks.wait_until(lambda: self.stack.post('/api/visitors', {'name': 'too early'}).status == 503, 5,
                          'additions are refused without the table')
        self.assertEqual(self.stack.get('/api/visitors?q=jose+of+1').json()['total'], 0)
        result = self.stack.make('migrate')
        self.assertEqual(result.returncode, 0, result)
        for name in ('002_add_batches.sql', '005_fold_accents.sql'):
            self.assertIn(name, result.stdout + result.stderr)
        self.assertEqual(self.stack.get('/api/visitors?q=jose+of+1').json()['total'], 1)
        stacks.wait_until(lambda: self.stack.post('/api/visitors', {'name': 'after'}).status == 201, 5, 'additions work again')
        self.assert_there(visitor)
        again = self.stack.post('/api/visitors', {'name': 'with a key'}, {'Idempotency-Key': 'of-1.0.0'})
        self.assertEqual((again.status, again.json()), (201, keyed))
        self.assertEqual(self.stack.get('/api/visitors?q=too%20early').json()['total'], 0)
        def old_key_is_purged():  # every five seconds at most, behind an addition
            self.add('later')
            return self.stack.sql("SELECT count(*) FROM idempotency_keys WHERE key LIKE ' %'") == [('0',)]
        stacks.wait_until(old_key_is_purged, 10, 'the old key is purged')
        self.assertEqual(self.stack.pid('app'), app, 'the app was restarted')
        self.assertNotIn('002', self.stack.make('migrate').stdout)

    def test_stop_under_load_loses_nothing(self):
        with Load(self.stack) as load:
            self.stack.stop(remove=False)
            self.assertEqual(self.stack.processes(), [])
            self.stack.start()
            load.wait_for_success_after(time.monotonic())
        load.verify(self)

    def test_stop_answers_what_is_in_flight(self):
        answers = []
        lock = self.stack.locked('visitors')
        thread = threading.Thread(target=lambda: answers.append(self.stack.post('/api/visitors', {'name': 'waited'})))
        begun = time.monotonic()
        thread.start()
        wait_until(lambda: int(self.stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted')[0][0]) > 0, 3,
                   'the addition waits for the lock')
        stopping = threading.Thread(target=self.stack.stop, args=(False,))
        stopping.start()
        # Not for longer than the service itself waits for a lock (2 s).
        wait_until(lambda: not self.accepts() or time.monotonic() > begun + 1.5, 5, 'nginx accepts nothing more')
        lock.close()
        thread.join()
        stopping.join()
        self.assertEqual(answers[0].status, 201, answers)
        self.stack.start()
        self.assert_there(answers[0].json())

    def accepts(self):
        try:
            socket.create_connection(('127.0.0.1', self.stack.port), 1).close()
            return True
        except OSError:
            return False

    def test_two_starts_at_once_give_one_service(self):
        self.stack.stop(remove=False)
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.stack.make('start'))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result.returncode for result in results], [0, 0], results)
        self.assertEqual(self.stack.get('/api/visitors').status, 200)
        masters = subprocess.run(['ps', '-eo', 'pid=,args='], capture_output=True, text=True).stdout.splitlines()
        masters = [line for line in masters if 'nginx: master' in line and self.stack.state_dir in line]
        self.assertEqual([int(line.split()[0]) for line in masters], [self.stack.pid('nginx')])

    def test_a_power_cut_loses_nothing_acknowledged(self):
        with Load(self.stack) as load:
            self.stack.cut_power()
        self.stack.start()
        load.verify(self)

    def test_stale_files_are_no_obstacle(self):
        visitor = self.add('before')
        self.stack.cut_power()
        for part in stacks.PARTS:  # as if the numbers had been given to others since
            with open(os.path.join(self.stack.state_dir, 'run', f'{part}.pid'), 'w') as file:
                file.write(f'{os.getpid()}\n')
        self.assertTrue(os.path.exists(self.stack.socket_path()))
        self.stack.start()
        self.assert_there(visitor)
        self.assertNotIn(os.getpid(), self.pids().values())

    def test_the_supervisor_s_sigterm_does_what_stop_does(self):
        """make run stays in the foreground; its SIGTERM stops everything."""
        self.stack.stop(remove=False)
        process = subprocess.Popen(['make', '--no-print-directory', '-C', stacks.PROJECT, 'run'],
                                   env=self.stack.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(process.stdout.close)
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        wait_until(lambda: process.poll() is not None or self.stack.healthy(), 60, 'the service is well')
        self.assertIsNone(process.poll())
        os.killpg(process.pid, signal.SIGTERM)  # as a terminal or a service manager would, to the whole group
        process.wait(30)
        reader.join(5)  # nobody keeps the output open
        self.assertFalse(reader.is_alive())
        wait_until(lambda: not self.stack.processes(), 20, 'everything has ended')


class TwoCopiesTest(unittest.TestCase):
    def test_two_copies_run_side_by_side_and_do_not_touch_each_other(self):
        with Stack() as one, Stack(token='another-token') as two:
            visitor = one.post('/api/visitors', {'name': 'of one'}).json()
            two.post('/api/visitors', {'name': 'of two'})
            self.assertEqual([row[0] for row in one.sql('SELECT name FROM visitors')], ['of one'])
            self.assertEqual([row[0] for row in two.sql('SELECT name FROM visitors')], ['of two'])
            self.assertEqual(two.as_admin('DELETE', '/api/visitors/1').status, 204)
            self.assertEqual(one.as_admin('GET', '/api/visitors.csv').status, 200)
            pids = [one.pid(part) for part in stacks.PARTS]
            two.stop(remove=False)
            self.assertEqual([one.pid(part) for part in stacks.PARTS], pids)
            self.assertEqual(one.get(f'/api/visitors/{visitor["id"]}').json(), visitor)


class StateTest(unittest.TestCase):
    """Files, users and secrets of a running service."""

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.shared()

    def path(self, *parts):
        return os.path.join(self.stack.state_dir, *parts)

    def test_the_files_of_run_md_are_there(self):
        for name in ('run/nginx.pid', 'run/app.pid', 'run/postgres.pid', f'run/.s.PGSQL.{self.stack.postgres_port}',
                     'log/access.log', 'log/error.log', 'log/backend.log', 'log/postgres.log', 'postgres/PG_VERSION'):
            with self.subTest(name):
                self.assertTrue(os.path.exists(self.path(name)))
        for part in stacks.PARTS:
            with self.subTest(f'{part}.pid'), open(self.path('run', f'{part}.pid')) as file:
                self.assertRegex(file.read(), r'^[0-9]+\n?$')

    def test_nobody_runs_as_root_who_need_not(self):
        if os.geteuid() != 0:
            self.skipTest('only root can drop privileges')
        users = {}
        listing = subprocess.run(['ps', '-eo', 'pid=,ppid=,user:32='], capture_output=True, text=True)
        for line in listing.stdout.splitlines():
            pid, parent, user = line.split()
            users[int(pid)] = (int(parent), user)
        self.assertEqual(users[self.stack.pid('postgres')][1], 'postgres')
        self.assertNotIn(users[self.stack.pid('app')][1], ('root', 'postgres'))
        workers = {user for parent, user in users.values() if parent == self.stack.pid('nginx')}
        self.assertTrue(workers)
        self.assertNotIn('root', workers)

    def test_secrets_are_in_no_argument_list_no_environment_and_no_log(self):
        secrets = [self.stack.token]
        for folder, _, names in os.walk(self.path('secrets')):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    secrets.append(file.read().strip())
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o007, 0)
        self.assertGreater(len(secrets), 1)
        for pid in self.stack.processes():
            for name in ('cmdline', 'environ'):
                try:
                    text = stacks.read_bytes(f'/proc/{pid}/{name}').decode(errors='replace')
                except OSError:
                    continue
                for secret in secrets:
                    self.assertNotIn(secret, text)
        for name in ('access', 'error', 'backend', 'postgres'):
            for secret in secrets:
                self.assertNotIn(secret, self.stack.log_text(name))

    def test_nobody_gets_into_postgresql_without_a_password_or_being_its_user(self):
        for title, arguments in [('over TCP as the app', ['-h', '127.0.0.1', '-U', 'visitors_app']),
                                 ('over TCP as postgres', ['-h', '127.0.0.1', '-U', 'postgres']),
                                 ('over the socket as the app', ['-h', self.path('run'), '-U', 'visitors_app'])] + (
                [('over the socket as root', ['-h', self.path('run'), '-U', 'postgres'])] if os.geteuid() == 0 else []):
            with self.subTest(title):
                command = ['psql', '-w', '-p', str(self.stack.postgres_port), '-d', 'visitors', '-c', 'SELECT 1']
                result = subprocess.run(command + arguments, capture_output=True, text=True)
                self.assertNotEqual(result.returncode, 0)
                self.assertNotIn('does not exist', result.stderr)

    def test_postgresql_listens_on_this_machine_alone(self):
        self.assertEqual(self.stack.sql('SHOW listen_addresses'), [('127.0.0.1',)])

    def test_what_is_durable_is_not_switched_off(self):
        for setting in ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums'):
            with self.subTest(setting):
                self.assertEqual(self.stack.sql(f'SHOW {setting}'), [('on',)])


class InvalidSettingsTest(unittest.TestCase):
    LASTS_S = 40

    def setUp(self):
        self.stack = Stack(start=False)
        self.addCleanup(self.stack.remove)

    def assert_refused(self, *words, **changes):
        """start says why in words, and leaves nothing running."""
        with self.assertRaises(StartFailed) as caught:
            self.stack.start(**changes)
            self.stack.make('stop', **changes)
            self.stack.stop()
        for word in words:
            self.assertIn(word, caught.exception.result.stderr)
        self.assertEqual(self.stack.processes(), [])

    def test_an_invalid_value_is_an_error_that_names_the_setting(self):
        for name, values in {
                'HTTP_PORT': ['0', '65536', '-1', 'x', '80x', '8 0', '0x50', '99999999999999999999'],
                'POSTGRES_PORT': ['0', '65536', 'x'],
                'RATE_LIMIT': ['maybe', 'OFF', '1'],
                'APP_THREADS': ['0', '65', 'x', '-4', '4.5'],
                'ADMIN_TOKEN_FILE': ['/nowhere/token', '/'],
                'STATE_DIR': ['/tmp/' + 'v' * 76]}.items():
            for value in values:
                with self.subTest(f'{name}={value}'):
                    self.assert_refused(name, **{name: value})

    def test_each_fault_of_the_app_s_settings_is_a_line_of_json_in_its_log(self):
        self.assert_refused('APP_QUEUE_MAX=0', 'APP_THREAD:', APP_QUEUE_MAX='0', APP_THREAD='4')
        self.assertEqual({(line['event'], line['reason']) for line in self.stack.log('backend')}, {
            ('not_started', 'APP_QUEUE_MAX=0: must be a whole number from 1 to 65536'),
            ('not_started', 'APP_THREAD: there is no such setting')})

    def test_what_no_request_could_send_is_no_token(self):
        for content in (b'', b'\n', b'\n\n', b' token', b'to ken', b'token \n', b'token\r\n', b'token\n\n', b'to\nken\n',
                        b'to\0ken', b'token\0', b'token\x7f', 'tokén'.encode(), b'token\xff'):
            with self.subTest(content):
                with open(self.stack.token_file, 'wb') as file:
                    file.write(content)
                self.assert_refused('ADMIN_TOKEN_FILE', 'visible ASCII characters')
        self.assertEqual(os.listdir(self.stack.state_dir), [])  # said before a database is made

    def write(self, files):
        for name, content in files.items():
            path = os.path.join(self.stack.state_dir, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as file:
                file.write(content)

    def tree(self):
        """Everything in STATE_DIR: modes, and the files' contents."""
        found = {}
        for folder, folders, names in os.walk(self.stack.state_dir):
            for path in [folder] + [os.path.join(folder, name) for name in names]:
                found[path] = (os.stat(path).st_mode, None if path == folder else stacks.read_bytes(path))
        return found

    def test_a_directory_of_somebody_else_is_refused_and_left_as_it_is(self):
        files = {f'{name}/theirs': 'theirs' for name in ('log', 'run', 'service', 'release', 'release.next', 'postgres.next')}
        for title, more in {
                'no lock': {},
                'a lock with something in it': {'lock': '17'},
                'a lock, and what is not ours': {'lock': '', 'theirs': ''},
                'a database and a password': {'postgres/PG_VERSION': '15', 'secrets/database_password': 'theirs'}}.items():
            with self.subTest(title):
                self.write({**files, **more})
                before = self.tree()
                self.assert_refused('STATE_DIR', 'must be absent, empty, or this service')
                self.assertEqual(self.stack.make('stop').returncode, 0)
                self.assertNotEqual(self.stack.make('status').returncode, 0)
                self.assertEqual(self.tree(), before)
                for name in os.listdir(self.stack.state_dir):
                    path = os.path.join(self.stack.state_dir, name)
                    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def test_a_first_start_that_was_killed_half_way_can_be_repeated(self):
        self.write({'lock': '', 'lost+found/theirs': '', 'log/initdb.log': '', 'release.next/fcgi-app': '', 'postgres.next/PG_VERSION': ''})
        with self.stack.start():
            self.assertEqual(self.stack.get('/api/visitors').status, 200)

    def test_a_state_dir_that_make_clean_would_remove_is_refused(self):
        for name in ('build', f'build/v-{random.getrandbits(32):08x}'):
            with self.subTest(name):
                self.assert_refused('STATE_DIR', 'make clean', STATE_DIR=name)
        self.assertFalse(os.path.exists(os.path.join(stacks.PROJECT, name)))

    def test_a_port_in_use_is_named_with_its_setting(self):
        for name in ('HTTP_PORT', 'POSTGRES_PORT'):
            with self.subTest(name), socket.socket() as holder:
                holder.bind(('', 0))
                holder.listen()
                port = str(holder.getsockname()[1])
                self.assert_refused(name, port, **{name: port})

    def test_a_state_dir_of_80_bytes_and_odd_characters_serves(self):
        parent = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, parent, True)
        os.chmod(parent, 0o755)
        state_dir = f'{parent}/{"d" * 100}'[:80]
        with Stack(state_dir=state_dir) as stack:
            self.assertEqual(stack.post('/api/visitors', {'name': 'deep'}).status, 201)

    def test_a_state_dir_may_be_relative(self):
        self.stack.settings['STATE_DIR'] = os.path.relpath(self.stack.state_dir, stacks.PROJECT)
        with self.stack.start():
            self.assertEqual(self.stack.get('/api/visitors').status, 200)


if __name__ == '__main__':
    unittest.main()
