"""What the Makefile promises of compiling, tried with a program of two lines: what is compiled anew and what is not, what is printed, and what an
editor finds."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = {'fcgi-app/src/main.cpp': '#include "answer.hpp"\nint main() { return answer; }\n', 'fcgi-app/src/answer.hpp': 'constexpr int answer = 0;\n',
           'fcgi-app/src/other.cpp': '#include "answer.hpp"\nint other();\nint other() { return answer; }\n', 'sql/statements.sql': '', 'sql/machinery/statements.sql': ''}


class BuildTest(unittest.TestCase):
    QUICK = True

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(os.path.join(PROJECT, 'Makefile'), self.folder)
        os.makedirs(os.path.join(self.folder, 'fcgi-app'))
        shutil.copy(os.path.join(PROJECT, 'fcgi-app/statements'), os.path.join(self.folder, 'fcgi-app'))
        for name, text in SOURCES.items():
            os.makedirs(os.path.dirname(os.path.join(self.folder, name)), exist_ok=True)
            with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
                file.write(text)

    def make(self, *arguments, status=0):
        """What `make` prints, line by line."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('MAKE') and name not in ('MFLAGS', 'SANITIZE', 'DEBUG', 'V', 'CXXFLAGS')}
        result = subprocess.run(['make', '--no-print-directory', *arguments], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout.splitlines()

    def assert_nothing_to_do(self, *arguments):
        self.assertEqual(self.make('build', *arguments), [])

    def test_each_file_is_a_short_line_that_says_how_many_are_left(self):
        self.assertEqual(self.make('build'), ['  compile fcgi-app/src/main.cpp, 1 left', '  compile fcgi-app/src/other.cpp, 0 left',
                                              '  link build/release/fcgi-app'])
        self.assert_nothing_to_do()
        os.utime(os.path.join(self.folder, 'fcgi-app/src/other.cpp'))
        self.assertEqual(self.make('build')[0], '  compile fcgi-app/src/other.cpp, 0 left')

    def test_a_changed_header_compiles_what_includes_it(self):
        self.make('build')
        os.utime(os.path.join(self.folder, 'fcgi-app/src/answer.hpp'))
        self.assertEqual(len(self.make('build')), 3)

    def test_v_shows_the_commands(self):
        printed = self.make('build', 'V=1')
        self.assertEqual(sum(' -c fcgi-app/src/' in line for line in printed), 2, printed)
        self.assertNotIn(' left', '\n'.join(printed))

    def test_changed_flags_compile_all_of_it_and_looking_changes_nothing(self):
        self.make('build')
        self.make('--dry-run', 'build', 'CXXFLAGS=-O1')
        self.make('--question', 'build/release/fcgi-app', 'CXXFLAGS=-O1', status=1)
        self.assert_nothing_to_do()
        self.assertEqual(len(self.make('build', 'CXXFLAGS=-O1')), 3)
        self.assert_nothing_to_do('CXXFLAGS=-O1')
        self.assertEqual(len(self.make('build')), 3)

    def test_a_debug_build_is_one_of_its_own(self):
        self.make('build')
        self.assertIn(' -Og -g3 ', '\n'.join(self.make('build', 'DEBUG=1', 'V=1')))
        self.assertTrue(os.access(os.path.join(self.folder, 'build/debug/fcgi-app'), os.X_OK))
        self.assert_nothing_to_do()

    def test_every_build_tells_an_editor_how_each_source_is_compiled(self):
        self.make('build')
        with open(os.path.join(self.folder, 'compile_commands.json'), encoding='utf-8') as file:
            commands = json.load(file)
        self.assertEqual([entry['file'] for entry in commands], ['fcgi-app/src/main.cpp', 'fcgi-app/src/other.cpp'])
        for entry in commands:
            self.assertEqual(entry['directory'], os.path.realpath(self.folder))
            self.assertIn(' -std=c++20 ', entry['command'])


if __name__ == '__main__':
    unittest.main()
