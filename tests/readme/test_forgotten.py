"""Whoever forgets is told: breaks, in a scratch copy of the checkout, what a service must say in two places, for visitors and for the
services in examples/, and looks that lint, the build or the compiler says so by name. What only a database knows is broken on purpose
where it runs: a column in test_statements.py, a grant in test_changed_database.py, what a restore loses in test_backup.py."""
import concurrent.futures
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOT_COPIED = ('.git', 'build', 'var*', 'backups', 'secrets', 'node_modules', '__pycache__', 'docs')

SQL, TICKETS_SQL, MACHINERY_SQL = 'sql/statements.sql', 'examples/tickets/sql/statements.sql', 'sql/machinery/statements.sql'
NOTES_SQL, NOTES_API = 'examples/notes/sql/statements.sql', 'examples/notes/html/openapi.json'
API, TICKETS_API = 'html/openapi.json', 'examples/tickets/openapi.json'
SOURCE, BOOK, STORE = (f'fcgi-app/src/visitors/{name}.cpp' for name in ('handlers', 'postgres_book', 'store'))
TICKETS = 'examples/tickets/src/tickets.cpp'
PHRASES, TITLES, PASSED = 'fcgi-app/src/http/problem.cpp', 'nginx/snippets/problems.conf', 'nginx/snippets/fastcgi.conf'
ERRORS = 'nginx/snippets/error_pages.conf'

# The check of tests/lint, a file, what stands there, what somebody makes of it, what lint must say.
TOLD_BY_LINT = [
    ('routes', SOURCE, '{"GET", "/api/stats"', '{"GET", "/api/counts"', f'{SOURCE} has the route GET /api/counts, but {API} does not describe it'),
    ('routes', SOURCE, '{"DELETE", "/api/visitors/{id}"', '{"PUT", "/api/visitors/{id}"',
     f'{API} describes DELETE /api/visitors/{{id}}, but no source of that service has such a route'),
    ('routes', TICKETS, '{"PATCH", "/api/tickets/{id}"', '{"POST", "/api/tickets/{id}/close"',
     f'{TICKETS} has the route POST /api/tickets/{{id}}/close, but {TICKETS_API} does not describe it'),
    ('routes', TICKETS_API, '"/api/projects": {', '"/api/boards": {', f'{TICKETS_API} describes GET /api/boards, but no source'),
    ('statements', SQL, 'PREPARE rows_above', 'PREPARE rows_below', f'{SQL}: nobody calls rows_below'),
    ('statements', TICKETS_SQL, 'PREPARE remove_ticket', 'PREPARE drop_ticket', f'{TICKETS_SQL}: nobody calls drop_ticket'),
    ('routes', NOTES_API, '"/api/notes": {', '"/api/note": {', f'{NOTES_API} describes GET /api/note, but no source'),
    ('statements', NOTES_SQL, 'PREPARE one_of_notes', 'PREPARE any_of_notes', f'{NOTES_SQL}: nobody calls any_of_notes'),
    ('statements', MACHINERY_SQL, 'PREPARE forget_keys', 'PREPARE drop_keys', f'{MACHINERY_SQL}: nobody calls drop_keys'),
    ('statements', TICKETS_SQL, 'PREPARE one_ticket', 'PREPARE claim_keys', f'{TICKETS_SQL}: claim_keys is the name of a statement of the machinery'),
    ('statuses', SOURCE, '.status = 204', '.status = 410', f'{SOURCE} answers 410, for which {PHRASES} has no phrase'),
    ('statuses', TICKETS, '.status = 428', '.status = 451', f'{TICKETS} answers 451, for which {PHRASES} has no phrase'),
    ('statuses', TICKETS, 'reply_of(201, ', 'reply_of(202, ', f'{TICKETS} answers 202, for which {PHRASES} has no phrase'),
    ('statuses', TICKETS, 'is_new ? 201 : 200', 'is_new ? 201 : 205', f'{TICKETS} answers 205, for which {PHRASES} has no phrase'),
    ('statuses', PHRASES, '        {415, "Unsupported Media Type"},\n', '', f'answers 415, for which {PHRASES} has no phrase'),
    ('statuses', ERRORS, 'error_page 400 ', 'error_page 400 408 ', f'{ERRORS} answers 408, for which {TITLES} has no title'),
    ('statuses', TITLES, '    414     "The address is too long.";\n', '', f'{ERRORS} answers 414, for which {TITLES} has no detail'),
    ('statuses', TITLES, '    413     "Content Too Large"', '    413     "Payload Too Large"', '413 is "Payload Too Large" in'),
    ('headers', SOURCE, 'header("Idempotency-Key")', 'header("Prefer")', f'{SOURCE} reads the header Prefer, but {PASSED} does not pass HTTP_PREFER'),
    ('headers', TICKETS, 'header("If-Match")', 'header("Accept")', f'{TICKETS} reads the header Accept, but {PASSED} does not pass HTTP_ACCEPT'),
    ('headers', PASSED, 'fastcgi_param HTTP_IF_MATCH ', '# ', f'reads the header If-Match, but {PASSED} does not pass HTTP_IF_MATCH'),
    ('headers', PASSED, 'fastcgi_param REQUEST_ID ', 'fastcgi_param HTTP_RANGE $http_range;\nfastcgi_param REQUEST_ID ',
     f'{PASSED} passes HTTP_RANGE, which no source reads'),
    ('headers', PASSED, 'fastcgi_param REQUEST_ID ', 'fastcgi_param SERVER_NAME $server_name;\nfastcgi_param REQUEST_ID ',
     f'{PASSED} passes SERVER_NAME, which no source reads'),
    ('settings', 'fcgi-app/src/config.cpp', '"APP_DRAIN_MS"', '"APP_DRAINS_MS"', '< APP_DRAINS_MS'),
    ('settings', '.env.example', '# APP_DRAIN_MS=', '# APP_NEW=1\n# APP_DRAIN_MS=', '> APP_NEW'),
    ('compose', 'compose.yaml', 'APP_DRAIN_MS: ', 'APP_OTHER: ', "config.cpp and compose.yaml differ in ['APP_DRAIN_MS', 'APP_OTHER']"),
]

# A statements.sql, what the build makes of it, a statement in it.
TOLD_BY_THE_BUILD = [(SQL, 'build/release/app/statements.hpp', 'count_days'),
                     (MACHINERY_SQL, 'build/release/app/machinery_statements.hpp', 'forget_keys'),
                     (TICKETS_SQL, 'build/release/services/tickets/statements.hpp', 'change_ticket')]

# A source, and in it what stands there, what somebody makes of it, and the words that the compiler must say.
TOLD_BY_THE_COMPILER = {
    BOOK: [
        ('call<skip_used_ids>()', 'call<skip_ids>()', ['skip_ids']),
        ('call<purge_old_keys>(rows_max)', 'call<purge_old_keys>()', ['another number of parameters', 'statements::purge_old_keys']),
        ('remove_visitor::removed', 'remove_visitor::vanished', ['vanished', 'statements::remove_visitor']),
        ('call<some_visitors>(list)', 'call<count_days>(1)', ["the statement's columns are others", 'statements::count_days']),
    ],
    # A lane cannot be made without the list that stops it.
    STORE: [('removes_(limits, 1, connect.for_writes, lanes, ', 'removes_(limits, 1, connect.for_writes, ', ['no matching', 'Lane<', 'Lanes&'])],
    TICKETS: [
        ('call<some_projects>(project)', 'call<the_projects>(project)', ['the_projects']),
        ('call<some_projects>(key)', 'call<some_projects>()', ['another number of parameters', 'statements::some_projects']),
        ('put_project::is_new', 'put_project::new_one', ['new_one', 'statements::put_project']),
        ('call<one_ticket>(id)', 'call<remove_ticket>(id, 1)', ["the statement's columns are others", 'statements::remove_ticket']),
    ],
    'fcgi-app/src/program.cpp': [('parts.lanes, log);', 'log);', ['no matching', 'Operations', 'Lanes&'])],
}


class ScratchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = os.path.join(tempfile.mkdtemp(prefix='v-', dir='/tmp'), 'copy')
        cls.addClassCleanup(shutil.rmtree, os.path.dirname(cls.folder))
        shutil.copytree(PROJECT, cls.folder, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding='utf-8') as file:
            return file.read()

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)

    @contextlib.contextmanager
    def changed(self, name, *replacements):
        """`with self.changed('README.md', ('old', 'new')):` the file says new meanwhile."""
        before = text = self.read(name)
        for old, new in replacements:
            self.assertIn(old, text, name)
            text = text.replace(old, new)
        self.write(name, text)
        try:
            yield
        finally:
            self.write(name, before)

    def run_command(self, *command):
        """Exit status, and all that it says."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('MAKE') and name not in ('MFLAGS', 'SANITIZE', 'DEBUG', 'V', 'SERVICE')}
        result = subprocess.run(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=120)
        return result.returncode, result.stdout


class LintTest(ScratchTest):
    QUICK = True

    def test_nothing_is_wrong_before(self):
        self.assertEqual(self.run_command('tests/lint', *dict.fromkeys(check for check, *_ in TOLD_BY_LINT)),
                         (0, 'lint: nothing to complain of\n'))

    def test_what_is_forgotten_is_told_by_lint(self):
        for check, name, old, new, message in TOLD_BY_LINT:
            with self.subTest(f'{name}: {new or "without " + old}'), self.changed(name, (old, new)):
                status, said = self.run_command('tests/lint', check)
                self.assertEqual(status, 1, said)
                self.assertIn(message, said)


class StatementsBuildTest(ScratchTest):
    QUICK = True

    def test_a_statement_without_its_columns_or_its_end_is_told_by_the_build(self):
        for name, header, statement in TOLD_BY_THE_BUILD:
            text = self.read(name)
            at = text.index(f'PREPARE {statement} ')
            columns, end = text.rindex('-- gives:', 0, at), text.index(';\n', at)
            make = ['make', '--no-print-directory', header]
            if name.startswith('examples/'):
                make.append(f'SERVICE={name.partition("/sql/")[0]}')
            for broken, words in [(text[:columns] + text[at:], 'has no line `-- gives: …` above it'),
                                  (text[:end] + text[end + 1:], 'has no line that ends in a semicolon')]:
                with self.subTest(f'{statement} {words}'):
                    self.write(name, broken)
                    status, said = self.run_command(*make)
                    self.write(name, text)
                    self.assertNotEqual(status, 0)
                    self.assertIn(f'{name}: {statement} {words}', said)
                    self.assertFalse(os.path.exists(self.path(header)))


class CompilerTest(ScratchTest):
    LASTS_S = 20

    def compile(self, name):
        service = name.partition('/src/')[0]
        own = [f'-iquote{service}/src', f'-iquotebuild/release/services/{os.path.basename(service)}'] if name.startswith('examples/') else []
        compiler = shlex.split(os.environ.get('CXX', 'g++'))
        return self.run_command(*compiler, '-std=c++20', '-fsyntax-only', *own, '-Ifcgi-app/src', '-Ibuild/release/app', name)

    def test_what_is_forgotten_is_told_by_the_compiler(self):
        for name, header, _ in TOLD_BY_THE_BUILD:
            status, said = self.run_command('make', header, f'SERVICE={name.rpartition("sql/")[0]}' if name.startswith('examples/') else 'SERVICE=')
            self.assertEqual(status, 0, said)
        with contextlib.ExitStack() as changes, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, cases in TOLD_BY_THE_COMPILER.items():
                changes.enter_context(self.changed(name, *((old, new) for old, new, _ in cases)))
            said_of = dict(zip(TOLD_BY_THE_COMPILER, pool.map(self.compile, TOLD_BY_THE_COMPILER)))
        for name, cases in TOLD_BY_THE_COMPILER.items():
            status, said = said_of[name]
            self.assertNotEqual(status, 0, name)
            for _, new, words in cases:
                for word in words:
                    with self.subTest(f'{name}: {new}', word=word):
                        self.assertTrue(word in said, '\n'.join(line for line in said.splitlines() if 'error' in line))


if __name__ == '__main__':
    unittest.main()
