"""The app and nginx on machines of their own (PARTS, APP_SERVERS, APP_LISTEN), here with folders and ports of their own: each is started,
told of, and stopped alone, and nginx finds those apps that are there."""
import unittest

import stack as stacks
from beside import SLOW, url_of
from stack import Stack, free_port, sample, wait_until


class PartsTest(unittest.TestCase):
    LASTS_S = 30

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
                result = Stack(start=False, **changes).make('start')
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
