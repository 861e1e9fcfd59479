"""Where the project lies, and who calls it: a checkout with Windows' line ends or without exec bits, a book of another
user, a STATE_DIR from which nothing can be run, a .env as people write it. Each works, or is refused before anything is
changed."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import stack as stacks
from stack import Stack, sample

OTHER = 'nobody'
# A line of .env, and what Compose (2.40) makes of it.
ENV_FILES = {
    'ADMIN_TOKEN_FILE=token': 'token', 'ADMIN_TOKEN_FILE="to ken"': 'to ken', "ADMIN_TOKEN_FILE='to ken'": 'to ken',
    'ADMIN_TOKEN_FILE=token # mine': 'token', "ADMIN_TOKEN_FILE='token' # mine": 'token', 'ADMIN_TOKEN_FILE=to#ken': 'to#ken',
    'export ADMIN_TOKEN_FILE=token': 'token', ' ADMIN_TOKEN_FILE = token ': 'token', 'ADMIN_TOKEN_FILE: token': 'token',
    'ADMIN_TOKEN_FILE=token\r': 'token', '\ufeffADMIN_TOKEN_FILE=token': 'token', 'ADMIN_TOKEN_FILE=old\nADMIN_TOKEN_FILE=token': 'token',
    'ADMIN_TOKEN_FILE=token\n#ADMIN_TOKEN_FILE=old': 'token', 'NAME=token\nADMIN_TOKEN_FILE=${NAME}': 'token',
    'ADMIN_TOKEN_FILE="$FOLDER/token"': 'folder/token', "ADMIN_TOKEN_FILE='$FOLDER'": '$FOLDER',
    'ADMIN_TOKEN_FILE=${NONE:-token}': 'token', 'ADMIN_TOKEN_FILE=': '', '#ADMIN_TOKEN_FILE=token': ''}


class CheckoutTest(unittest.TestCase):
    LASTS_S = 60

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='v-checkout-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)

    def copy(self):
        """What the scripts need, without what is built."""
        for name in filter(None, ('local', 'sql', 'nginx', 'html', sample.SETTINGS.get('SERVICE'))):
            shutil.copytree(os.path.join(stacks.PROJECT, name), os.path.join(self.folder, name))
        return self.folder

    def run_in_copy(self, *command, **environment):
        return subprocess.run(command, cwd=self.folder, env={'PATH': os.environ['PATH'], **environment}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)

    def test_windows_line_ends_are_no_script_s(self):
        clone = os.path.join(self.folder, 'clone')
        cloned = subprocess.run(['git', '-c', f'safe.directory={stacks.PROJECT}', 'clone', '--quiet', '--no-hardlinks',
                                 '-c', 'core.autocrlf=true', '-c', 'core.eol=crlf', stacks.PROJECT, clone], capture_output=True)
        if cloned.returncode != 0:
            self.skipTest('no git checkout')
        for folder, _, names in os.walk(clone):
            for name in names:
                content = stacks.read_bytes(os.path.join(folder, name))
                if '/.git' not in folder and '/corpus/' not in folder and b'\0' not in content:
                    self.assertNotIn(b'\r\n', content, name)

    def test_lost_exec_bits_do_no_harm(self):
        self.copy()
        for folder, _, names in os.walk(self.folder):
            for name in names:
                os.chmod(os.path.join(folder, name), 0o644)
        binary = shutil.copy(stacks.PROGRAM, self.folder)
        os.chmod(binary, 0o644)
        stack = Stack(start=False, token=None)
        self.addCleanup(stack.remove)
        settings = {name: value for name, value in stack.settings.items() if value is not None}
        try:
            for command in (('start', binary), ('status',), ('migrate',)):
                result = self.run_in_copy('bash', '-p', f'local/{command[0]}', *command[1:], **settings)
                self.assertEqual(result.returncode, 0, result)
        finally:
            stopped = self.run_in_copy('bash', '-p', 'local/stop', **settings)
        self.assertEqual((stopped.returncode, stack.processes()), (0, []), stopped)
        with open(os.path.join(stacks.PROJECT, 'Makefile'), encoding='utf-8') as file:
            self.assertEqual(re.findall(r'^\t.*(?<!\$\(script\) )(?<!sh )(?<!sh -p )\blocal/\w.*$', file.read(), re.M), [])

    @unittest.skipUnless(os.geteuid() == 0, 'only root can be two users')
    def test_the_book_of_another_user_is_refused_and_left_as_it_is(self):
        state_dir = os.path.join(self.copy(), 'state')
        for path in ('lock', 'release/local/begin', 'postgres/PG_VERSION'):
            path = os.path.join(state_dir, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w'):
                pass
        settings = {'STATE_DIR': state_dir, 'HTTP_PORT': '23456', 'POSTGRES_PORT': '23457'}
        for owner, caller in ((OTHER, 'root'), ('root', OTHER)):
            subprocess.run(['chown', '-R', owner, state_dir], check=True)
            before = self.tree(state_dir)
            for script in ('check', 'start', 'migrate', 'backup', 'restore'):
                with self.subTest(script, owner=owner):
                    result = self.run_in_copy('runuser', '-u', caller, '--', 'bash', '-p', f'local/{script}', '/bin/true', **settings)
                    self.assertNotEqual(result.returncode, 0)
                    self.assertRegex(result.stderr, f'STATE_DIR is "{state_dir}", which .*{owner}')
                    self.assertEqual(self.tree(state_dir), before)

    def tree(self, top):
        return {path: (os.stat(path).st_uid, os.stat(path).st_mode) for folder, _, names in os.walk(top)
                for path in [folder] + [os.path.join(folder, name) for name in names]}

    def test_a_state_dir_that_nothing_can_be_run_from_is_refused_at_once(self):
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'noexec,mode=755', 'tmpfs', self.folder], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest('cannot mount')
        try:
            stack = Stack(start=False, state_dir=os.path.join(self.folder, 'state'))
            self.addCleanup(stack.remove)
            with self.assertRaises(stacks.StartFailed) as caught:
                stack.start()
            self.assertIn('noexec', caught.exception.result.stderr)
            self.assertEqual(os.listdir(self.folder), [])
        finally:
            subprocess.run(['umount', self.folder], check=True)

    def test_an_env_file_is_read_as_compose_reads_it(self):
        self.copy()
        os.mkdir(os.path.join(self.folder, 'folder'))
        for name in filter(None, set(ENV_FILES.values())):
            with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
                file.write(f'in-{name.replace(" ", "_")}')
        for line, name in ENV_FILES.items():
            with self.subTest(line):
                with open(os.path.join(self.folder, '.env'), 'w', encoding='utf-8', newline='') as file:
                    file.write(f'{line}\n')
                result = self.run_in_copy('bash', '-p', 'local/secrets', FOLDER='folder')
                self.assertEqual(result.returncode, 0, result)
                with open(os.path.join(self.folder, 'secrets', 'admin_token'), encoding='utf-8') as file:
                    self.assertEqual(file.read(), f'in-{name.replace(" ", "_")}' if name else '')


if __name__ == '__main__':
    unittest.main()
