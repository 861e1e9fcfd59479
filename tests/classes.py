#!/usr/bin/env python3
"""Runs test classes of Python's unittest, one after the other, for tests/run: it reads their names, a line each, and tells of each what
came of it. Classes that run in one such process share one service (stack.shared()). Knows nothing of other processes beside it.

    tests/classes.py --list PART…    JSON: each class of these folders, with what its marks say of it
    tests/classes.py --serve FD      reads `PART:MODULE.CLASS` from standard input, writes a line of JSON to descriptor FD for each
"""
import importlib
import inspect
import json
import os
import sys
import tempfile
import traceback
import unittest

TESTS = os.path.dirname(os.path.abspath(__file__))
# Their files have names of their own, since one process may run classes of all. Not every project has all of them.
PARTS = tuple(part for part in ('readme', 'integration', 'faults', 'cluster') if os.path.isdir(os.path.join(TESTS, part)))


class CountingResult(unittest.TextTestResult):
    """Counts tests, where unittest counts failures: several subtests of one test may fail, and so may no test but
    the set-up of its class."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.succeeded = set()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.succeeded.add(test.id())

    def failed(self):
        def whole(test):
            return getattr(test, 'test_case', test).id()

        return {whole(test) for test, _ in self.failures + self.errors} | {test.id() for test in self.unexpectedSuccesses}


def classes_of(module):
    """Those with tests that are defined in it."""
    found = [value for _, value in inspect.getmembers(module, inspect.isclass)
             if issubclass(value, unittest.TestCase) and value.__module__ == module.__name__]
    return [value for value in found if unittest.defaultTestLoader.getTestCaseNames(value)]


def described(part, name):
    """The classes of one file, with the marks that a class may bear: `CALM`, where it measures seconds, so that only few may run beside
    it; `ALONE`, where it fills the machine, or measures less; `QUICK`, where it is part of `make check`; `AFTER_UNIT`, where it compiles
    the unit tests itself; `EVERY_SERVICE`, where `make test` also asks the services in examples/; `LASTS_S`, where it is much longer than
    most, so that it begins early; `HANGS_AFTER_S`, where it hangs if it lasts so long. A file that cannot be imported is one class
    without a name: running it says why."""
    try:
        classes = classes_of(importlib.import_module(name))
    except Exception:
        return [{'name': f'{part}:{name}.'}]
    marks = ('ALONE', 'CALM', 'QUICK', 'AFTER_UNIT', 'EVERY_SERVICE', 'LASTS_S', 'HANGS_AFTER_S')
    return [{'name': f'{part}:{name}.{value.__name__}', **{mark.lower(): getattr(value, mark) for mark in marks if hasattr(value, mark)}}
            for value in classes]


def run(name):
    """What came of the class, with all that it and what it started wrote."""
    module, _, class_name = name.partition(':')[2].rpartition('.')
    try:
        test_class = getattr(importlib.import_module(module), class_name or 'no class')
    except Exception:
        traceback.print_exc()
        return {'passed': 0, 'failed': 1, 'skipped': []}
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(test_class)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=CountingResult).run(suite)
    failed = result.failed()
    return {'passed': len(result.succeeded - failed), 'failed': len(failed),
            'skipped': [f'{test}: {reason}' for test, reason in result.skipped]}


def run_recorded(name):
    """Descriptors 1 and 2 go to a file meanwhile, whoever writes to them."""
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile('w+b') as record:
        os.dup2(record.fileno(), 1)
        os.dup2(record.fileno(), 2)
        try:
            outcome = run(name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept, 1)
            os.dup2(kept, 2)
            os.close(kept)
        record.seek(0)
        return {**outcome, 'output': record.read().decode(errors='replace')}


def folders(part):
    """Where the files of a part are: in its folder, and in those within it, which are of this checkout's service. The tests of
    another one (SAMPLE, see stack.py) lie beside its sample."""
    top, sample = os.path.join(TESTS, part), os.environ.get('SAMPLE')
    if sample:
        return [top, os.path.dirname(os.path.abspath(sample))] if part == 'integration' else [top]
    return [top, *sorted(entry.path for entry in os.scandir(top) if entry.is_dir() and not entry.name.startswith(('.', '_')))]


def main(arguments):
    sys.path[:0] = [folder for part in PARTS for folder in folders(part)]
    if arguments[0] == '--list':
        files = [(part, folder, file[:-3]) for part in arguments[1:] for folder in folders(part) for file in sorted(os.listdir(folder))
                 if file.startswith('test_') and file.endswith('.py')]
        # A service's own tests are always for it.
        print(json.dumps([{'every_service': not folder.startswith(TESTS), **found}
                          for part, folder, name in files for found in described(part, name)]))
        return
    names = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what a test starts must not read the names
    with os.fdopen(int(arguments[1]), 'w') as outcomes:
        for line in names:
            print(json.dumps(run_recorded(line.strip())), file=outcomes, flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
