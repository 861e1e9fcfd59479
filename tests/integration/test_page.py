"""What people get who open an address in a browser: the page's files, and a page in both languages where an address
leads nowhere. Knows nothing of what the page does (tests/browser)."""
import contract

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
