"""What people get who open an address in a browser: the page's files, the words in it that are settings, and a page in
both languages where an address leads nowhere. Knows nothing of what the page does (tests/browser)."""
import html
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import contract
from stack import PROJECT

BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'


class NowhereTest(contract.ContractTest):
    """Outside /api, where there is nothing: HTML to whoever names it, a problem to everybody else."""

    def nowhere(self, accept, path='/nope', method='GET'):
        return self.stack.request(method, path, {'Accept': accept} if accept else {})

    def test_a_browser_gets_a_page_in_both_languages(self):
        for accept in (BROWSER, 'text/html', 'TEXT/HTML;level=1', 'application/json, text/html;q=0.1'):
            for path in ('/nope', '/nope/deep.html?a=b', '/app.js/', '/not-found.html'):
                with self.subTest(accept=accept, path=path):
                    answer = self.nowhere(accept, path)
                    self.assert_every_answer(answer)
                    self.assertEqual(answer.status, 404)
                    self.assertEqual(answer.headers['Content-Type'], 'text/html; charset=utf-8')
                    self.assertEqual(answer.headers['Cache-Control'], 'no-store')
                    self.assertRegex(answer.headers['Content-Security-Policy'], r"^default-src 'none'; style-src 'self';")
                    text = answer.body.decode()
                    for wanted in ('lang="en"', 'lang="pt-BR"', 'href="/?lang=en"', 'href="/?lang=pt-BR"'):
                        self.assertIn(wanted, text)

    def test_head_has_the_same_without_a_body(self):
        answer = self.nowhere(BROWSER, method='HEAD')
        self.assertEqual((answer.status, answer.body), (404, b''))
        self.assertEqual(answer.headers['Content-Type'], 'text/html; charset=utf-8')

    def test_a_program_gets_a_problem(self):
        for accept in (None, '*/*', 'application/json', 'text/plain', 'text/html;q=0', 'text/html ; q=0.0, */*'):
            with self.subTest(accept=accept):
                self.assert_problem(self.nowhere(accept), 404, path='/nope')

    def test_under_api_everybody_gets_a_problem(self):
        for path in ('/api/nope', '/api/visitors/999999999'):
            with self.subTest(path):
                self.assert_problem(self.nowhere(BROWSER, path), 404, path=path)


class FilesTest(contract.ContractTest):
    """The files beside the page."""

    def test_each_has_its_type(self):
        for path, type_ in (('/', 'text/html; charset=utf-8'), ('/app.js', 'text/javascript; charset=utf-8'),
                            ('/operators.js', 'text/javascript; charset=utf-8'),
                            ('/removal.js', 'text/javascript; charset=utf-8'), ('/style.css', 'text/css; charset=utf-8'),
                            ('/icon.svg', 'image/svg+xml'), ('/apple-touch-icon.png', 'image/png'),
                            ('/card.png', 'image/png'), ('/robots.txt', 'text/plain; charset=utf-8')):
            with self.subTest(path):
                answer = self.stack.get(path)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers['Content-Type'], type_)
                self.assertEqual(answer.headers['Cache-Control'], 'no-cache')
                self.assertTrue(answer.headers['ETag'])


class WordsTest(unittest.TestCase):
    """BOOK_TITLE and BOOK_LEAD, as local/page writes them into the page's files."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ('index.html', 'not-found.html'):
            shutil.copy2(os.path.join(PROJECT, 'html', name), self.folder)

    def write(self, **settings):
        environment = {'PATH': os.environ['PATH'], **settings}
        return subprocess.run([os.path.join(PROJECT, 'local/page'), self.folder], env=environment, capture_output=True,
                              text=True, timeout=30)

    def read(self, name='index.html', folder=None):
        with open(os.path.join(folder or self.folder, name), encoding='utf-8') as file:
            return file.read()

    def marked(self, setting, name='index.html'):
        """What stands in the places that data-book marks."""
        lines = [line for line in self.read(name).splitlines() if f'data-book="{setting}"' in line]
        places = [re.search(r'content="([^"]*)"', line) or re.search(r'>([^<]*)</', line) for line in lines]
        return [html.unescape(place[1]) for place in places]

    def test_without_them_nothing_is_touched(self):
        for settings in ({}, {'BOOK_TITLE': '', 'BOOK_LEAD': ''}):
            self.assertEqual(self.write(**settings).returncode, 0)
            for name in ('index.html', 'not-found.html'):
                self.assertEqual(self.read(name), self.read(name, os.path.join(PROJECT, 'html')))
                self.assertEqual(os.stat(os.path.join(self.folder, name)).st_mtime,
                                 os.stat(os.path.join(PROJECT, 'html', name)).st_mtime, 'nor is its ETag')

    def test_they_are_text_in_every_place(self):
        for title in ('Casa Lúcia', '<script>alert(1)</script>', r'A & B "C" \1 \& $1 {n}', '&amp;', "it's 100 %", 'x' * 100):
            with self.subTest(title):
                self.assertEqual(self.write(BOOK_TITLE=title, BOOK_LEAD=title + '!').returncode, 0)
                self.assertEqual(set(self.marked('title')), {title})
                self.assertEqual(set(self.marked('lead')), {title + '!'})
                self.assertEqual(set(self.marked('title', 'not-found.html')), {title})
                self.assertEqual(len(self.marked('title')), 4)
                self.assertEqual(len(self.marked('lead')), 4)
                self.assertNotIn('<script>alert', self.read())

    def test_one_alone_leaves_the_other(self):
        lead = self.marked('lead')
        self.write(BOOK_TITLE='Casa Lúcia')
        self.assertEqual(self.marked('lead'), lead)
        self.assertEqual(set(self.marked('title')), {'Casa Lúcia'})

    def test_what_start_deploys_has_them(self):
        environment = {'PATH': os.environ['PATH'], 'STATE_DIR': self.folder + '/state', 'BOOK_TITLE': 'Casa & Lúcia'}
        release = [os.path.join(PROJECT, 'local/release'), '/bin/true']
        result = subprocess.run(release, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(set(self.marked('title', 'state/release/html/index.html')), {'Casa & Lúcia'})

    def test_a_wrong_one_is_refused_by_name(self):
        before = self.read()
        for name, value in (('BOOK_TITLE', 'x' * 101), ('BOOK_LEAD', 'x' * 301), ('BOOK_TITLE', 'a\nb'), ('BOOK_LEAD', 'a\tb'),
                            ('BOOK_TITLE', 'x\n'), ('BOOK_TITLE', '\x7f')):
            with self.subTest(f'{name} {value[:10]!r}'):
                result = self.write(**{name: value})
                self.assertEqual(result.returncode, 1)
                self.assertIn(name, result.stderr)
                self.assertEqual(self.read(), before)
        self.assertEqual(self.write(BOOK_LEAD='x' * 300).returncode, 0)
