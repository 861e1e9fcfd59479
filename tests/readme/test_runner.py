"""Whether tests/run counts right, whatever its tests do: in a scratch copy with files that pass, fail, cannot be imported or die."""
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAD = 'import os, time, unittest\n'


class RunnerTest(unittest.TestCase):
    QUICK = True

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ('run', 'classes.py'):
            os.makedirs(os.path.join(self.folder, 'tests'), exist_ok=True)
            shutil.copy(os.path.join(TESTS, name), os.path.join(self.folder, 'tests'))
        for part in ('readme', 'integration', 'faults'):
            os.mkdir(os.path.join(self.folder, 'tests', part))

    def write(self, part, name, text):
        os.makedirs(os.path.join(self.folder, 'tests', part), exist_ok=True)
        with open(os.path.join(self.folder, 'tests', part, f'{name}.py'), 'w', encoding='utf-8') as file:
            file.write(HEAD + text)

    def run_tests(self, *wishes, **settings):
        environment = {**{name: value for name, value in os.environ.items() if name not in ('V', 'SAMPLE')}, **settings}
        result = subprocess.run([sys.executable, 'tests/run', *wishes], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=60)
        return result.returncode, result.stdout + result.stderr

    def assert_sum(self, printed, passed, failed):
        self.assertEqual(printed.rstrip().rpartition('\n')[2], f'{passed} passed, {failed} failed', printed)

    def test_all_that_pass_are_counted_and_each_class_has_a_line(self):
        self.write('integration', 'test_good', 'class GoodTest(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): print("quiet")\n')
        self.write('faults', 'test_other', 'class OtherTest(unittest.TestCase):\n    @unittest.skip("no disk")\n    def test_c(self): pass\n'
                   '    def test_d(self): pass\n')
        status, printed = self.run_tests('integration', 'faults')
        self.assertEqual(status, 0, printed)
        self.assert_sum(printed, 3, 0)
        for words in ('integration:test_good.GoodTest: 2 passed in ', 'faults:test_other.OtherTest: 1 passed in ', 'no disk', ' 0 left'):
            self.assertIn(words, printed)
        self.assertNotIn('quiet', printed)

    def test_a_service_s_own_tests_lie_in_a_folder_within_or_beside_its_sample(self):
        text = 'class {}(unittest.TestCase):\n    def test_a(self): pass\n'
        for part, name in (('integration', 'all'), ('integration/orders', 'ours'), ('faults', 'every'), ('../examples/tickets', 'theirs')):
            self.write(part, f'test_{name}', text.format(name.capitalize()))
        status, printed = self.run_tests('integration:test_ours', 'integration', 'faults')
        self.assertEqual((status, 'Ours' in printed, 'Theirs' in printed), (0, True, False), printed)
        self.assert_sum(printed, 3, 0)
        status, printed = self.run_tests('integration', 'faults', SAMPLE='examples/tickets/sample.py')
        self.assertEqual((status, 'Ours' in printed, 'Theirs' in printed), (0, False, True), printed)
        self.assert_sum(printed, 3, 0)

    def test_another_service_is_asked_what_is_marked_and_its_own_or_all_by_name(self):
        good, bad = 'class {}(unittest.TestCase):\n{}    def test_a(self): pass\n', 'class {}(unittest.TestCase):\n{}    def test_a(self): self.fail()\n'
        service = 'examples/tickets/tests'
        self.write(f'../{service}', 'sample', '')
        for part, name, text, mark in [('integration', 'all', good, ''), ('faults', 'every', bad, '    EVERY_SERVICE = True\n'),
                                       (f'../{service}', 'theirs', good, ''), ('integration/orders', 'ours', good, '')]:
            self.write(part, f'test_{name}', f'assert (os.environ.get("SAMPLE") == "{service}/sample.py") or {name!r} != "theirs"\n'
                       + text.format(name.capitalize(), mark))
        for wishes, passed, failed in [
                (['faults', 'tickets'], 1, 2), (['tickets'], 1, 1), (['tickets/integration'], 2, 0), (['examples/tickets/integration:test_all'], 1, 0),
                (['tickets', 'integration:test_all'], 2, 1), (['tickets/faults:test_every.Every'], 0, 1)]:
            with self.subTest(wishes):
                _, printed = self.run_tests(*wishes)
                self.assert_sum(printed, passed, failed)
                if failed:
                    self.assertIn('\nagain: tests/run tickets/faults:test_every.Every\n', printed)
        for wish in ('tickets/browser', 'orders/integration', 'tickets/faults:test_none'):
            self.assertEqual(self.run_tests(wish)[0], 1)

    def test_each_way_to_fail_is_one_failure_and_named(self):
        ways = {'fails': ('class T(unittest.TestCase):\n    def test_a(self): self.fail("seen")\n    def test_b(self): pass\n', 1),
                'subtests': ('class T(unittest.TestCase):\n    def test_a(self):\n        for n in (1, 2):\n            with self.subTest(n): self.fail()\n', 0),
                'set_up': ('class T(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls): 1 / 0\n    def test_a(self): pass\n', 0),
                'dies': ('class T(unittest.TestCase):\n    def test_a(self): os._exit(0)\n', 0),
                'hangs': ('class T(unittest.TestCase):\n    HANGS_AFTER_S = 1\n    def test_a(self): time.sleep(50)\n', 0),
                'expects_to_fail': ('class T(unittest.TestCase):\n    @unittest.expectedFailure\n    def test_a(self): pass\n', 0),
                'cannot_be_imported': ('import no_such_module\n', 0)}
        for name, (text, _) in ways.items():
            self.write('integration', f'test_{name}', text)
        self.write('integration', 'test_well', 'class T(unittest.TestCase):\n    def test_a(self): pass\n')
        status, printed = self.run_tests('integration')
        self.assertEqual(status, 1)
        self.assert_sum(printed, 1 + sum(passed for _, passed in ways.values()), len(ways))
        self.assertIn('seen', printed)
        for name in ways:
            again = next(line for line in printed.splitlines() if line.startswith(f'again: tests/run integration:test_{name}.'))
            status, once_more = self.run_tests(again.rpartition(' ')[2])
            self.assertEqual(status, 1, once_more)

    def test_a_class_that_is_alone_begins_when_all_others_have_ended(self):
        note = os.path.join(self.folder, 'note')
        for name, mark in (('a', '    ALONE = True\n'), ('b', '    LASTS_S = 50\n'), ('c', '')):
            self.write('integration', f'test_{name}', f'class T(unittest.TestCase):\n{mark}    def test_a(self):\n'
                       f'        with open({note!r}, "a") as note: note.write("{name}")\n')
        status, printed = self.run_tests('integration')
        self.assertEqual(status, 0, printed)
        with open(note, encoding='utf-8') as file:
            self.assertEqual(file.read()[-1], 'a')

    def test_calm_ones_begin_when_all_others_have_begun_and_few_run_beside_them(self):
        loader = importlib.machinery.SourceFileLoader('runner', os.path.join(TESTS, 'run'))
        runner = importlib.util.module_from_spec(importlib.util.spec_from_loader('runner', loader))
        with unittest.mock.patch.object(sys, 'path', [TESTS, *sys.path]):
            loader.exec_module(runner)
        others, calm = runner.AT_ONCE, runner.CALM_AT_ONCE
        self.assertLess(calm, others)
        jobs = runner.Waiting([runner.Job(f'integration:calm_{n}', None, calm=True, lasts_s=90) for n in range(calm + 1)]
                              + [runner.Job(f'integration:other_{n}', None) for n in range(others)])
        begun = [jobs.take(None) for _ in range(others)]
        self.assertFalse(any('calm' in job.name for job in begun))
        for job in begun[calm - 1:]:
            self.assertFalse(any(map(jobs.may_begin, jobs.jobs)))
            jobs.done(job)
        begun = [*begun[:calm - 1], jobs.take(None)]
        self.assertIn('calm', begun[-1].name)
        self.assertFalse(any(map(jobs.may_begin, jobs.jobs)))
        for job in begun:
            jobs.done(job)
            self.assertIn('calm', jobs.take(None).name)

    def test_a_part_without_a_test_has_failed_and_a_name_without_one_is_refused(self):
        status, printed = self.run_tests('faults')
        self.assertEqual(status, 1)
        self.assert_sum(printed, 0, 1)
        for wish in ('nothing', 'integration:test_none'):
            status, printed = self.run_tests(wish)
            self.assertEqual(status, 1)
            self.assertIn(wish.partition(':')[2] or wish, printed)


if __name__ == '__main__':
    unittest.main()
