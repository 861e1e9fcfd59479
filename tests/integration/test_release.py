"""One commit is one program and one list of what is in it, wherever and whenever they are built; and `make release`: what it writes, commits
and tags in a clone, and what it refuses."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import stack as stacks

EPOCH = '1700000000'  # 2023-11-14
# Of each kind of folder one, and what has the version in it. The others are copied as objects: compiling all takes minutes.
COMPILED_AGAIN = ('main.o', 'program.o', 'base/log.o', 'http/router.o')


class Scratch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder)

    def run_in(self, folder, *command, **environment):
        plain = {name: value for name, value in os.environ.items() if not name.startswith(('MAKE', 'MFLAGS', 'GIT_'))}
        return subprocess.run(command, cwd=folder, env={**plain, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


@unittest.skipIf(os.environ.get('DEBUG') or os.environ.get('SANITIZE'), 'what is released is the plain build')
class ReproducibleTest(Scratch):
    LASTS_S = 30

    def test_a_program_that_was_built_in_another_folder_is_the_same(self):
        elsewhere = os.path.join(self.folder, "a longer path, with blanks and an apostrophe's")
        for name in ('Makefile', 'fcgi-app', 'sql', 'build/release/app', 'build/release/flags', 'build/release/fcgi-app'):
            source, target = os.path.join(stacks.PROJECT, name), os.path.join(elsewhere, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            # With their times, so that make compiles only what is missing.
            subprocess.run(['cp', '--archive', source, target], check=True)
        program = os.path.join(elsewhere, 'build/release/fcgi-app')
        os.remove(program)
        for name in COMPILED_AGAIN:
            os.remove(os.path.join(elsewhere, 'build/release/app', name))
        result = self.run_in(elsewhere, 'make', 'build', CCACHE_DISABLE='1')
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(result.stdout.count('  compile '), len(COMPILED_AGAIN), result.stdout)
        for name in COMPILED_AGAIN:
            self.assertEqual(stacks.read_bytes(os.path.join(elsewhere, 'build/release/app', name)),
                             stacks.read_bytes(os.path.join(stacks.PROJECT, 'build/release/app', name)), name)
        self.assertEqual(stacks.read_bytes(program), stacks.read_bytes(os.path.join(stacks.PROJECT, 'build/release/fcgi-app')))

    def test_a_list_of_what_is_in_it_is_the_same(self):
        elsewhere = os.path.join(self.folder, 'elsewhere')
        for name in ('local/sbom', 'fcgi-app/Dockerfile'):
            os.makedirs(os.path.dirname(os.path.join(elsewhere, name)))
            shutil.copy(os.path.join(stacks.PROJECT, name), os.path.join(elsewhere, name))
        lists = [self.run_in(folder, 'sh', 'local/sbom', SOURCE_DATE_EPOCH=EPOCH, TZ=zone).stdout
                 for folder, zone in ((stacks.PROJECT, 'UTC'), (elsewhere, 'Asia/Tokyo'))]
        self.assertEqual(*lists)
        self.assertIn('"created": "2023-11-14T22:13:20Z"', lists[0])
        self.assertNotIn('2023-11-14', self.run_in(elsewhere, 'sh', 'local/sbom', SOURCE_DATE_EPOCH='').stdout)


class ReleaseTest(Scratch):
    def setUp(self):
        super().setUp()
        self.clone = os.path.join(self.folder, 'clone')
        cloned = self.run_in('/', 'git', '-c', f'safe.directory={stacks.PROJECT}', '-c', f'safe.directory={stacks.PROJECT}/.git', 'clone', '--quiet',
                             '--no-hardlinks', stacks.PROJECT, self.clone)
        if cloned.returncode != 0:
            self.skipTest('no git checkout')
        if not os.path.exists(os.path.join(self.clone, 'CHANGELOG.md')):
            self.skipTest('no CHANGELOG.md')
        # The scripts of this checkout, committed or not.
        for name in ('Makefile', 'local/version'):
            shutil.copy(os.path.join(stacks.PROJECT, name), os.path.join(self.clone, name))
        self.change('CHANGELOG.md', lambda text: re.sub(r'(?m)^## (?!Unreleased).*', r'\n## Unreleased\n\n- Something new.\n\n\g<0>', text, count=1)
                    if '## Unreleased' not in text else text)
        self.git('checkout', '--quiet', '-B', 'main')
        self.git('add', '--all')
        self.git('commit', '--quiet', '--allow-empty', '--message=As it is here')
        self.old = self.version()
        major, minor, patch = map(int, self.old.split('.'))
        self.new = f'{major}.{minor + 1}.0'
        self.lower = f'{major}.{minor}.{patch - 1}' if patch else f'{major}.{minor - 1}.9' if minor else f'{major - 1}.9.9'

    def git(self, *arguments):
        result = self.run_in(self.clone, 'git', '-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org', *arguments)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout.strip()

    def text(self, name):
        with open(os.path.join(self.clone, name), encoding='utf-8') as file:
            return file.read()

    def change(self, name, how):
        text = how(self.text(name))
        with open(os.path.join(self.clone, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def version(self):
        return re.search(r'version = "([\d.]+)"', self.text('fcgi-app/src/version.hpp'))[1]

    def release(self, version):
        return self.run_in(self.clone, 'make', '--no-print-directory', 'release', f'VERSION={version}', SOURCE_DATE_EPOCH=EPOCH, GIT_AUTHOR_NAME='Somebody',
                           GIT_AUTHOR_EMAIL='somebody@example.org', GIT_COMMITTER_NAME='Somebody', GIT_COMMITTER_EMAIL='somebody@example.org')

    def test_it_writes_dates_commits_and_tags(self):
        news = self.text('CHANGELOG.md').split('## Unreleased\n')[1].split('\n## ')[0].strip()
        result = self.release(self.new)
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(self.version(), self.new)
        self.assertIn(f'-app:{self.new}\n', self.text('compose.yaml'))
        self.assertNotIn(self.old, self.text('compose.yaml'))
        self.assertIn(f'\n## {self.new} (2023-11-14)\n', self.text('CHANGELOG.md'))
        self.assertIn(f'\n## {self.old}', self.text('CHANGELOG.md'))
        self.assertNotIn('Unreleased', self.text('CHANGELOG.md'))
        self.assertEqual(self.git('status', '--porcelain'), '')
        self.assertEqual(self.git('log', '-1', '--format=%s'), f'Release {self.new}')
        self.assertEqual(self.git('describe'), f'v{self.new}')
        self.assertEqual(self.git('tag', '--list', f'v{self.new}', '--format=%(contents)'), f'{self.new}\n\n{news}')
        self.assertIn(f'git push --atomic origin main v{self.new}', result.stdout)
        self.assertEqual(self.git('diff', '--name-only', 'HEAD~').split(),
                         sorted(name for name in self.git('grep', '-lwF', self.new, '--', '*.hpp', '*.yaml', '*openapi.json', 'CHANGELOG.md').split()))

    def refused(self, version, reason):
        before = self.git('rev-parse', 'HEAD'), self.git('status', '--porcelain'), self.git('tag')
        result = self.release(version)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(reason, result.stderr)
        self.assertEqual((self.git('rev-parse', 'HEAD'), self.git('status', '--porcelain'), self.git('tag')), before)

    def test_it_refuses_what_would_be_no_release(self):
        for version in ('', '1.6', 'v1.6.0', '1.6.0-rc1', '1.06.0', '1.6.0; true'):
            self.refused(version, 'must be three numbers')
        for version in (self.old, self.lower):
            self.refused(version, f'must be higher than {self.old}')
        self.git('tag', f'v{self.new}')
        self.refused(self.new, f'there is a tag v{self.new} already')
        self.git('tag', '--delete', f'v{self.new}')

        self.git('checkout', '--quiet', '-b', 'other')
        self.refused(self.new, 'this is other, but releases are made on main')
        self.git('checkout', '--quiet', '--detach')
        self.refused(self.new, 'this is no branch')
        self.git('checkout', '--quiet', 'main')

        with open(os.path.join(self.clone, 'new'), 'w', encoding='utf-8'):
            pass
        self.refused(self.new, 'something uncommitted')
        os.remove(os.path.join(self.clone, 'new'))

        self.change('CHANGELOG.md', lambda text: re.sub(r'(?s)(## Unreleased\n).*?(?=\n## )', r'\1', text))
        self.git('commit', '--quiet', '--all', '--message=Nothing new')
        self.refused(self.new, 'CHANGELOG.md has nothing below "## Unreleased"')


if __name__ == '__main__':
    unittest.main()
