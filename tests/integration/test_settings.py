"""Settings of `make start`: what is refused, in which words, and what odd ones are taken."""
import os
import random
import shutil
import socket
import tempfile
import unittest

import stack as stacks
from stack import Stack, StartFailed, sample


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
            self.assertEqual(self.stack.get(sample.LIST).status, 200)

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
            self.assertEqual(stack.post(sample.COLLECTION, sample.new('deep')).status, 201)

    def test_a_state_dir_may_be_relative(self):
        self.stack.settings['STATE_DIR'] = os.path.relpath(self.stack.state_dir, stacks.PROJECT)
        with self.stack.start():
            self.assertEqual(self.stack.get(sample.LIST).status, 200)


if __name__ == '__main__':
    unittest.main()
