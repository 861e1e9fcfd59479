"""The commands: start, stop, status, run, and the life of the data between them; under load too, and with what a killed
one left. Parts that end by themselves or are killed: test_restart.py."""
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import stack as stacks
from stack import Stack, sample, wait_until
from steady_load import Load, alive


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

    def add(self, text):
        answer = self.stack.post(sample.COLLECTION, sample.new(text))
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

    def assert_there(self, item):
        self.assertEqual(self.stack.get(sample.item(item['id'])).json(), item)

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
        items = [self.add(text) for text in ('kept', 'é😀')]
        self.stack.stop(remove=False)
        self.assertEqual(self.stack.processes(), [])
        self.stack.start()
        for item in items:
            self.assert_there(item)

    def test_no_database_is_made_where_one_was(self):
        item = self.add('before')
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
        self.assert_there(item)

    def test_a_start_that_was_killed_between_two_releases_can_be_repeated(self):
        item = self.add('before')
        self.stack.stop(remove=False)
        release = os.path.join(self.stack.state_dir, 'release')
        os.rename(release, f'{release}.next')
        with open(os.path.join(self.stack.state_dir, 'an operator\'s own'), 'w'):
            pass
        self.stack.start()
        self.assert_there(item)

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

    def test_stop_under_load_loses_nothing(self):
        with Load(self.stack) as load:
            self.stack.stop(remove=False)
            self.assertEqual(self.stack.processes(), [])
            self.stack.start()
            load.wait_for_success_after(time.monotonic())
        load.verify(self)

    def test_stop_answers_what_is_in_flight(self):
        answers = []
        lock = self.stack.locked(sample.TABLE)
        thread = threading.Thread(target=lambda: answers.append(self.stack.post(sample.COLLECTION, sample.new('waited'))))
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
        self.assertEqual(self.stack.get(sample.LIST).status, 200)
        masters = subprocess.run(['ps', '-eo', 'pid=,args='], capture_output=True, text=True).stdout.splitlines()
        masters = [line for line in masters if 'nginx: master' in line and self.stack.state_dir in line]
        self.assertEqual([int(line.split()[0]) for line in masters], [self.stack.pid('nginx')])

    def test_a_power_cut_loses_nothing_acknowledged(self):
        with Load(self.stack) as load:
            self.stack.cut_power()
        self.stack.start()
        load.verify(self)

    def test_stale_files_are_no_obstacle(self):
        item = self.add('before')
        self.stack.cut_power()
        for part in stacks.PARTS:  # as if the numbers had been given to others since
            with open(os.path.join(self.stack.state_dir, 'run', f'{part}.pid'), 'w') as file:
                file.write(f'{os.getpid()}\n')
        self.assertTrue(os.path.exists(self.stack.socket_path()))
        self.stack.start()
        self.assert_there(item)
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
    LASTS_S = 20

    def test_two_copies_run_side_by_side_and_do_not_touch_each_other(self):
        def texts(stack):
            return [text for text, in stack.sql(f'SELECT {sample.TEXT} FROM {sample.TABLE}')]

        with Stack() as one, Stack(token='another-token') as two:
            item = one.post(sample.COLLECTION, sample.new('of one')).json()
            other = two.post(sample.COLLECTION, sample.new('of two')).json()
            self.assertEqual((texts(one), texts(two)), (['of one'], ['of two']))
            self.assertEqual(two.as_admin('DELETE', sample.item(other['id'])).status, 204)
            self.assertEqual(one.as_admin('DELETE', sample.item(2 ** 63 - 1)).status, 404)
            pids = [one.pid(part) for part in stacks.PARTS]
            two.stop(remove=False)
            self.assertEqual([one.pid(part) for part in stacks.PARTS], pids)
            self.assertEqual(one.get(sample.item(item['id'])).json(), item)


if __name__ == '__main__':
    unittest.main()
