"""The app and nginx on machines of their own (PARTS, APP_SERVERS, APP_LISTEN), here with folders and ports of their own: each is started,
told of, and stopped alone, and nginx finds those apps that are there."""
import concurrent.futures
import itertools
import signal
import threading
import unittest

import stack as stacks
from beside import SLOW, url_of
from contract import OUTCOME_UNKNOWN
from stack import Stack, free_port, sample, wait_until


class PartsTest(unittest.TestCase):
    LASTS_S = 60

    @classmethod
    def setUpClass(cls):
        cls.shared = stacks.shared()
        cls.apps = []
        for _ in range(2):
            app = Stack(start=False, PARTS='app', APP_LISTEN=f'127.0.0.1:{free_port()}', DATABASE_URL=url_of(cls.shared.postgres_port),
                        DATABASE_PASSWORD_FILE=f'{cls.shared.state_dir}/secrets/database_password')
            cls.addClassCleanup(app.stop)
            cls.apps.append(app)
            cls.make(app, 'start')
        cls.web = Stack(start=False, PARTS='nginx', APP_SERVERS=' '.join(app.settings['APP_LISTEN'] for app in cls.apps))
        cls.addClassCleanup(cls.web.stop)
        cls.web.start()

    @staticmethod
    def make(stack, target, **changes):
        result = stack.make(target, **changes)
        if result.returncode != 0:
            raise AssertionError(f'{target}: {result.stdout}{result.stderr}')
        return result.stdout

    def test_each_runs_its_part_alone(self):
        for stack, part in [(self.web, 'nginx'), *((app, 'app') for app in self.apps)]:
            self.assertRegex(self.make(stack, 'status'), rf'^{part} +pid \d+ +up\n(database .*\n)?$')
            self.assertEqual([stack.pid(other) is None for other in ('app', 'nginx', 'postgres')],
                             [other != part for other in ('app', 'nginx', 'postgres')])
            self.make(stack, 'start')  # runs already

    def test_both_apps_are_asked_and_one_is_enough(self):
        ids = [self.web.post(sample.COLLECTION, sample.new(f'of two {number}')).json()['id'] for number in range(8)]
        added = [sum(line.get('event') == sample.ADDED for line in app.log('backend')) for app in self.apps]
        self.assertTrue(all(added), added)
        self.make(self.apps[0], 'stop')
        try:
            for id_ in ids:
                self.assertEqual(self.web.get(sample.item(id_)).status, 200)
                self.assertEqual(self.web.post(sample.COLLECTION, sample.new('of one')).status, 201)
            self.assertEqual(self.web.get('/health').status, 200)
        finally:
            self.make(self.apps[0], 'start')

    def add(self, count):
        return [self.web.post(sample.COLLECTION, sample.new(f'to be removed {number}')).json()['id'] for number in range(count)]

    def test_a_deletion_goes_to_the_app_that_is_there(self):
        ids = self.add(60)
        self.make(self.apps[0], 'stop')
        try:
            answers = [self.web.as_admin('DELETE', sample.item(id_)) for id_ in ids]
            self.assertEqual([answer.status for answer in answers], [204] * 60)
            for method, status in [('PUT', 405), ('BREW', 405), ('TRACE', 405)] * 4:
                self.assertEqual(self.web.request(method, sample.LIST).status, status)
        finally:
            self.make(self.apps[0], 'start')
        lines = {line['request_id']: line for line in self.web.log('access')}
        lines = [lines[answer.headers['X-Request-Id']] for answer in answers]
        self.assertEqual({line['status'] for line in lines}, {204})
        statuses = {line['upstream_status'] for line in lines}
        self.assertTrue({'204', '502 : 204'} >= statuses > {'204'}, statuses)

    def await_first_is_asked(self):
        """nginx leaves out for 2 s who failed, in the test before."""
        before = len(self.apps[0].log_lines('backend'))
        wait_until(lambda: self.add(2) and len(self.apps[0].log_lines('backend')) > before, 10 * SLOW, 'nginx asks the first one')

    def test_a_deletion_that_was_sent_is_sent_to_no_other(self):
        ids = self.add(8)
        self.await_first_is_asked()
        self.apps[0].kill('app', signal.SIGSTOP)
        try:
            with concurrent.futures.ThreadPoolExecutor(len(ids)) as pool:
                answers = list(pool.map(lambda id_: self.web.as_admin('DELETE', sample.item(id_)), ids))
        finally:
            self.apps[0].kill('app', signal.SIGCONT)
        unknown = [answer for answer in answers if answer.status != 204]
        self.assertEqual({(answer.status, answer.json()['type']) for answer in unknown}, {(503, OUTCOME_UNKNOWN)})
        done_by_the_other = {line.get('request_id') for line in self.apps[1].log('backend') if line.get('event') == sample.REMOVED}
        for answer in unknown:
            self.assertNotIn(answer.headers['X-Request-Id'], done_by_the_other)
            line = self.web.log_of('access', answer.headers['X-Request-Id'])
            self.assertEqual([(each['status'], each['upstream_status']) for each in line], [(503, '504')])

    def test_apps_that_are_restarted_in_turn_fail_no_request(self):
        """Of any method; the next one when nginx asks the one before again."""
        faults, rounds, ended = [], itertools.count(), threading.Event()

        def ask(client, *request, **more):
            answer = client.request(*request, **more)
            if answer.status >= 500:
                faults.append((*request, answer.status, answer.body))
            return answer

        def go_on(number):
            with self.web.client() as client:
                while not ended.is_set():
                    added = ask(client, 'POST', sample.COLLECTION, body=sample.new(f'in turn {number} {next(rounds)}'))
                    ask(client, 'GET', sample.LIST)
                    if added.status == 201:
                        ask(client, 'DELETE', sample.item(added.json()['id']), {'Authorization': f'Bearer {self.web.token}'})

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(go_on, number) for number in range(4)]
            try:
                for app in self.apps:
                    self.make(app, 'stop')
                    asked = len(app.log('backend'))
                    self.make(app, 'start')
                    wait_until(lambda: any(line.get('event') == sample.ADDED for line in app.log('backend')[asked:]),
                               10 * SLOW, 'nginx asks it again')
            finally:
                ended.set()
            for each in asking:
                each.result()
        self.assertEqual(faults, [])
        self.assertGreater(next(rounds), 100)

    def test_without_any_app_it_says_so_and_finds_it_again(self):
        for app in self.apps:
            self.make(app, 'stop')
        try:
            self.assertEqual(self.web.get(sample.LIST).status, 503)
        finally:
            for app in self.apps:
                self.make(app, 'start')
        wait_until(lambda: self.web.get(sample.LIST).status == 200, 10 * SLOW, 'it finds them again')

    def test_what_does_not_fit_together_is_refused_by_name(self):
        for changes, words in [
                ({'PARTS': 'postgres'}, 'PARTS is "postgres"'), ({'PARTS': 'nginx'}, 'APP_SERVERS must say'),
                ({'PARTS': 'nginx', 'APP_SERVERS': 'app1'}, 'APP_SERVERS has "app1"'),
                ({'PARTS': 'nginx', 'APP_SERVERS': 'app1:65535'}, 'APP_SERVERS has "app1:65535"'),
                ({'PARTS': 'app'}, 'APP_LISTEN is ""'), ({'PARTS': 'app', 'APP_LISTEN': 'unix:/x'}, 'APP_LISTEN is "unix:/x"'),
                ({'APP_LISTEN': '127.0.0.1:9000'}, 'finds it by a socket'),
                ({'APP_SERVERS': 'app1:9000'}, 'the app is started here')]:
            with self.subTest(**changes):
                stack = Stack(start=False, **changes)
                self.addCleanup(stack.remove)
                result = stack.make('start')
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
