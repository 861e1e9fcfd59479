"""Runs the commands that README.md, docs/ and CONTRIBUTING.md show, from top to bottom as a reader would, in a checkout and on ports of
their own, and compares what they print with what is shown (shown.py). What is not run is listed here, with the reason."""
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import checks
import document
import shown
import stack as stacks

# What somebody types, without its comment: why no test does. In a block or, with a space in it, between backquotes.
NOT_RUN = {
    'make test': 'this is a part of it',
    'make browser ONLY=signing': 'a part of make test by itself, of a minute',
    'make integration ONLY=test_api_keys': 'a part of make test by itself',
    'docker compose -f compose.yaml up -d --build --wait': 'needs Docker; make test-containers does it',
    'docker compose -f compose.yaml up -d': 'needs Docker; make test-containers does it',
    'docker compose -f compose.yaml -f compose.external-database.yaml up -d --build --wait': 'needs Docker; make test-containers does it',
    'docker compose -f compose.yaml up -d --scale app=3': 'needs Docker; make test-containers does it',
    'apt install ./build/visitors_*.deb': 'changes the machine; test_install does it in one of its own',
    'make new NAME=orders DIR=../orders': 'would write beside the checkout; test_new does it in a folder of its own',
    'docker compose ps': 'needs Docker',
    'gdb -p $(cat var/run/app.pid)': 'needs a debugger; that the pid is the app\'s is a test of make start',
}
# The words with which a command between backquotes begins; those of make are looked at by checks.py.
PROGRAMS = ('docker ', 'gdb ', 'curl ', 'grep ', 'openssl ', 'psql ', '(', 'tests/', 'build/', 'local/', 'python3 ', 'sudo ', 'apt')
# They stay in the foreground.
STAYING = {'make run'}
OPERATING = 'docs/operating.md'
# A message in its table of troubles: what brings it about.
TROUBLES = {
    'port {http_port} is in use; choose another HTTP_PORT': {},
    'port {postgres_port} is in use; choose another POSTGRES_PORT': {'HTTP_PORT': stacks.free_port()},
    'there is no such setting': {'HTTP_PORT': stacks.free_port(), 'POSTGRES_PORT': stacks.free_port(), 'APP_THREAD': '1'},
}
COMMAND_TIMEOUT_S = 120


class Checkout:
    """A copy of the project without anything that was written by it, but with what was built."""

    def __init__(self):
        # Its STATE_DIR is var in it, so the stack's own environment names none.
        self.path = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.stack = stacks.Stack(start=False, rate_limit='on', token=None, state_dir=os.path.join(self.path, 'var'), WAY='local')
        shutil.copytree(stacks.PROJECT, self.path, dirs_exist_ok=True, symlinks=True,
                        ignore=lambda folder, names: checks.NOT_SEARCHED.intersection(names) if folder == stacks.PROJECT else {'node_modules'})
        os.symlink(os.path.join(stacks.PROJECT, 'build'), os.path.join(self.path, 'build'))
        self.staying = []

    def text(self, name):
        """A guide that speaks of this checkout's ports and build."""
        variant = os.environ.get('SANITIZE', '').replace(',', '-') or 'release'
        with open(os.path.join(self.path, name), encoding='utf-8') as file:
            text = file.read()
        return (text.replace('8080', str(self.stack.port)).replace('15432', str(self.stack.postgres_port))
                .replace('build/release/', f'build/{variant}/'))

    def start(self, command, output, **changes):
        return subprocess.Popen(['bash', '-c', command], cwd=self.path, env=self.stack.environment(**{'STATE_DIR': None, **changes}),
                                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def run(self, command, **changes):
        """The exit status, and what was printed."""
        with tempfile.TemporaryFile('w+', errors='replace', newline='') as output:
            with self.start(command, output, **changes) as process:
                try:
                    status = process.wait(COMMAND_TIMEOUT_S)
                except BaseException:
                    process.kill()
                    raise
            output.seek(0)
            return status, output.read()

    def stay(self, command, text, comparison):
        """Starts what stays, and waits until it printed what is shown. None, or what is wrong."""
        output = open(os.path.join(self.path, f'staying-{len(self.staying)}'), 'w+', errors='replace')
        process = self.start(command, output)
        self.staying.append((process, output))

        def printed():
            with open(output.name, errors='replace') as file:
                return file.read()

        stacks.wait_until(lambda: process.poll() is not None or not comparison.difference(text, printed(), goes_on=True),
                          COMMAND_TIMEOUT_S, f'"{command}" printed\n{text}')
        return comparison.difference(text, printed(), goes_on=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            # Of those that make trouble none should have started.
            self.run('make stop', STATE_DIR='var2')
            self.stack.stop(remove=False)
        finally:
            for process, output in self.staying:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                output.close()
            shutil.rmtree(self.path)


def guides():
    """What is looked at; the translations have the same blocks."""
    project = checks.Project()
    return {name: document.Document(project.read(name)) for name in checks.ENGLISH}


class CommandsTest(unittest.TestCase):
    AFTER_UNIT = True
    LASTS_S = 60

    def test_each_block_is_run_or_listed(self):
        listed = set()
        for name, guide in guides().items():
            for block in guide.blocks:
                with self.subTest(f'{name}, line {block.line}'):
                    if not block.commands() and block.language not in ('json', 'text'):
                        self.fail('is neither commands behind `$ `, nor a `json` line of the log, nor a `text` that is a picture')
                    listed.update(command.words() for command in block.commands())
            for span in guide.spans:
                if span.startswith(PROGRAMS) and ' ' in span:
                    with self.subTest(f'{name}: {span}'):
                        self.assertIn(span, NOT_RUN, 'stands between backquotes, where it is not run, and not in NOT_RUN')
                    listed.add(span)
        self.assertEqual(set(NOT_RUN) - listed, set(), 'NOT_RUN names what no guide shows')

    def test_the_commands_print_what_is_shown(self):
        with Checkout() as checkout:
            comparison = shown.Comparison()
            for name in guides():
                guide = document.Document(checkout.text(name))
                for block in guide.blocks:
                    for command in block.commands():
                        with self.subTest(f'{name}, line {block.line}: {command.words()}'):
                            self.follow(checkout, comparison, command)
                    if block.language == 'json':
                        with self.subTest(f'{name}, line {block.line}: a line of the access log'):
                            lines = checkout.stack.log_lines('access')
                            differences = [comparison.difference(block.text, line) for line in lines]
                            if None not in differences:
                                self.fail(differences[-1])
                if name == OPERATING:
                    self.check_what_stayed(checkout)
                    self.make_trouble(checkout, guide)

    def follow(self, checkout, comparison, command):
        words = comparison.command(command.words())
        if words in NOT_RUN:
            return
        if words in STAYING:
            self.assert_no(checkout.stay(words, command.shown, comparison))
            return
        for reference in comparison.said.values():
            # An answer may come before its line.
            for log in ('access', 'backend'):
                if reference in words and f'{log}.log' in words:
                    checkout.stack.log_of(log, reference)
        # One with a key is sent again, as the text says: what it printed is known by then, and must be the same.
        for _ in range(2 if 'Idempotency-Key' in words else 1):
            status, printed = checkout.run(words)
            self.assert_no(comparison.difference(command.shown, printed))
            self.assertEqual(status, 0, printed)

    def assert_no(self, difference):
        if difference:
            self.fail(difference)

    def check_what_stayed(self, checkout):
        """It stops what `make run` started, and starts it anew: the one ends, and the other goes on."""
        for process, output in checkout.staying:
            with self.subTest('what stayed ends when it is stopped from elsewhere'):
                self.assertEqual(process.wait(30), 0)
                output.seek(0)
                self.assertTrue(output.read().endswith('visitors: stopped\n'))
        with self.subTest('and ends nobody else'):
            # A restore cuts the app's connections.
            stacks.wait_until(checkout.stack.healthy, 15, 'the service that was started anew is healthy')
            status, printed = checkout.run('make status')
            self.assertEqual(status, 0, printed)

    def make_trouble(self, checkout, guide):
        """The service runs; a second one says what its last table says it does."""
        ports = {'http_port': checkout.stack.port, 'postgres_port': checkout.stack.postgres_port}
        troubles = {message.format(**ports): changes for message, changes in TROUBLES.items()}
        messages = [row[0] for row in guide.tables[-1][1:] if row[0].startswith('`')]
        with self.subTest('each message in the table of troubles has its trouble here'):
            self.assertEqual(sorted(messages), sorted(f'`{message}`' for message in troubles))
        for message, changes in troubles.items():
            with self.subTest(message):
                status, printed = checkout.run('make start', **{
                    'STATE_DIR': 'var2', 'POSTGRES_PORT': checkout.stack.postgres_port, **changes})
                self.assertNotEqual(status, 0)
                self.assertIn(message, printed)

    def test_a_difference_is_found(self):
        printed = 'HTTP/1.1 201 Created\r\nServer: nginx\r\nX-Request-Id: ' + 32 * 'a' + '\r\n\r\n{"id":1,"at":"2026-11-24T03:33:00.123456Z"}'
        right = 'HTTP/1.1 201 Created\n…\nX-Request-Id: ' + 32 * 'b' + '\n\n{"id":1,"at":"2027-01-01T00:00:00.000000Z"}\n'
        self.assertIsNone(shown.Comparison().difference(right, printed))
        for old, new, line in [
                ('201 Created', '200 OK', 'the line "HTTP/1.1 200 OK" is shown'),
                ('…\n', '', 'the line "X-Request-Id'),
                (32 * 'b', 31 * 'b', 'the line "X-Request-Id'),
                ('"id":1', '"id":2', 'the line "{"id":2'),
                ('00.000000Z', '00.000Z', 'the line "{"id":1'),
                ('"}\n', '"}\nmore\n', 'the line "more" is shown'),
                ('{"id":1,"at":"2027-01-01T00:00:00.000000Z"}\n', '', 'nothing more is shown')]:
            with self.subTest(new or old):
                self.assertIn(line, str(shown.Comparison().difference(right.replace(old, new), printed)))
        # What is shown twice is one thing.
        comparison = shown.Comparison()
        self.assertIsNone(comparison.difference('20261124T121602Z\n', '20261125T000000Z\n'))
        self.assertEqual(comparison.command('cat 20261124T121602Z'), 'cat 20261125T000000Z')
        self.assertIsNotNone(comparison.difference('20261124T121602Z\n', '20261126T000000Z\n'))
