"""The index, the health; what every answer carries; who may do what where."""
import unittest

import stack as stacks
from contract import ContractTest
from stack import sample

UNKNOWN_PATHS = ['/api/', f'{sample.item(1)}/', f'{sample.item(1)}/{sample.TEXT}', f'{sample.LIST}.json', f'{sample.LIST}x',
                 sample.LIST[:-1], f'/api/{sample.LIST[5:].capitalize()}', '/api/health', '/api/index.html',
                 '/api/%E2%82%AC', '/api/%FF', '/api/' + 'x' * 1000]
READS = [sample.LIST, *([sample.STATS] if sample.STATS else [])]
# What stands for an id in a path and is none.
NO_IDS = ['', 'x', '1x', 'x1', '-1', '+1', '1.5', '1e3', '0x10', '%20', '1%20', '%D9%A1', '%FF', '9' * 1000, '1.csv']


def allowed(answer):
    return set((answer.headers['Allow'] or '').replace(' ', '').split(','))


class IndexTest(ContractTest):
    QUICK = True

    def test_the_index_names_the_service_and_its_links(self):
        index = self.assert_json(self.stack.get('/api'))
        self.assertEqual(set(index), {'name', 'version', 'links'})
        self.assertEqual(index['name'], sample.NAME)
        self.assertRegex(index['version'], r'\S')
        self.assertLessEqual({'health': '/health', 'openapi': '/openapi.json'}.items(), index['links'].items())
        self.assertIn(sample.LIST, index['links'].values())

    def test_every_link_of_the_index_leads_somewhere(self):
        for name, path in self.stack.get('/api').json()['links'].items():
            with self.subTest(name):
                self.assertEqual(self.stack.get(path).status, 200)

    def test_get_adds_nothing(self):
        before = self.table_count()
        for path in ('/api', sample.item(1), '/health', *READS, *([f'{sample.SEARCH}?q=x'] if sample.SEARCH else [])):
            for method in ('GET', 'HEAD', 'OPTIONS'):
                self.stack.request(method, path)
        self.assertEqual(self.table_count(), before)


class HealthTest(ContractTest):
    QUICK = True

    def test_health_is_ok_and_never_stored(self):
        answer = self.stack.get('/health')
        self.assertEqual(self.assert_json(answer), {'status': 'OK'})
        self.assertEqual(answer.headers['Cache-Control'], 'no-store')

    def test_health_looks_at_no_table(self):
        with self.stack.locked(sample.TABLE):
            self.assertEqual(self.stack.get('/health').status, 200)


class MethodsTest(ContractTest):
    QUICK = True

    def test_options_answers_204_with_allow(self):
        for path, methods in sample.ROUTES.items():
            with self.subTest(path):
                answer = self.stack.request('OPTIONS', path, {'Origin': 'http://elsewhere.example',
                                                              'Access-Control-Request-Method': 'POST'})
                self.assertEqual((answer.status, answer.body), (204, b''))
                self.assertEqual(allowed(answer), set(methods.split()))
                self.assert_every_answer(answer)  # no CORS headers among them

    def test_any_other_method_gets_405_with_allow(self):
        for path, methods in sample.ROUTES.items():
            for method in ('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'BREW', 'X' * 30):
                if method in methods.split():
                    continue
                with self.subTest(f'{method} {path}'):
                    answer = self.stack.request(method, path)
                    self.assert_problem(answer, 405, path=path)
                    self.assertEqual(allowed(answer), set(methods.split()))

    def test_a_wrong_method_adds_and_deletes_nothing(self):
        item = self.add('stays')
        before = self.table_count()
        path = sample.item(item['id'])
        for method in {'POST', 'PUT', 'PATCH'} - set(sample.ROUTES[sample.item(1)].split()):
            self.assert_problem(self.stack.request(method, path, body=sample.new('other')), 405)
        self.assertEqual(self.stack.get(path).json(), item)
        self.assertEqual(self.table_count(), before)

    def test_head_has_the_headers_of_get_and_no_body(self):
        item = self.add('for HEAD')
        token = f'Authorization: Bearer {self.stack.token}\r\n'
        paths = ['/api', '/health', f'{sample.LIST}?limit=1', f'{sample.LIST}?limit=0', '/api/none', sample.item(item['id']),
                 sample.item(2 ** 63 - 1), *READS, *([f'{sample.SEARCH}?q=HEAD&limit=100'] if sample.SEARCH else [])]
        exports = [(sample.EXPORT, ''), (sample.EXPORT, token)] if sample.EXPORT else []
        for path, extra in [(path, '') for path in paths] + exports:
            with self.subTest(path=path, token=bool(extra)):
                get, head = (stacks.Answer.parse(self.stack.raw(
                    f'{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{extra}\r\n'.encode()))
                    for method in ('GET', 'HEAD'))
                self.assertEqual(head.status, get.status)
                self.assertEqual(head.body, b'')
                # A streamed answer has no length to tell; a problem's body has an id of the request's own.
                own = {'date', 'x-request-id', 'transfer-encoding'} | ({'content-length'} if token == extra else set())
                self.assertEqual(*({(name.lower(), value) for name, value in answer.headers.items()
                                    if name.lower() not in own} for answer in (head, get)))
                self.assert_every_answer(head)

    def test_any_other_path_under_api_gets_404(self):
        for path in UNKNOWN_PATHS:
            for method in ('GET', 'POST', 'DELETE', 'OPTIONS'):
                with self.subTest(f'{method} {path[:40]}'):
                    self.assert_problem(self.stack.request(method, path), 404)

    def test_what_cannot_be_an_id_is_nobody_s(self):
        for id_ in NO_IDS:
            with self.subTest(id_[:40]):
                self.assert_problem(self.stack.get(sample.item(id_)), 404)
                self.assert_problem(self.stack.as_admin('DELETE', sample.item(id_)), 404)

    def test_a_404_names_the_path_without_the_query(self):
        problem = self.assert_problem(self.stack.get('/api/none?a=b'), 404)
        self.assertEqual(problem['instance'], '/api/none')


class OtherSitesTest(ContractTest):
    QUICK = True

    ALLOWED = ['same-origin', 'none']
    FORBIDDEN = ['cross-site', 'same-site', 'SAME-ORIGIN', 'same-origin, cross-site', 'x', '"none"']

    def test_what_is_added_comes_from_the_page_itself_or_from_no_page(self):
        for value in self.ALLOWED:
            with self.subTest(value):
                self.assert_added(self.stack.post(sample.COLLECTION, sample.new('here'), {'Sec-Fetch-Site': value}), 'here')

    def test_no_other_site_can_add(self):
        before = self.table_count()
        for value in self.FORBIDDEN:
            for body in (sample.new('there'), None):
                with self.subTest(value, body=body):
                    self.assert_problem(self.stack.post(sample.COLLECTION, body, {'Sec-Fetch-Site': value}), 403,
                                        path=sample.COLLECTION)
        self.assertEqual(self.table_count(), before)

    def test_no_other_site_can_delete(self):
        path = sample.item(self.add('stays')['id'])
        for value in self.FORBIDDEN:
            with self.subTest(value):
                self.assert_problem(self.stack.as_admin('DELETE', path, {'Sec-Fetch-Site': value}), 403, path=path)
        self.assertEqual(self.stack.get(path).status, 200)
        self.assertEqual(self.stack.as_admin('DELETE', path, {'Sec-Fetch-Site': 'same-origin'}).status, 204)

    def test_other_sites_may_read(self):
        for path in ('/api', '/health', *READS):
            with self.subTest(path):
                answer = self.stack.get(path, {'Sec-Fetch-Site': 'cross-site', 'Origin': 'http://elsewhere.example'})
                self.assertEqual(answer.status, 200)
                self.assert_every_answer(answer)  # but no CORS header shows a page's script what it read


class EveryAnswerTest(ContractTest):
    QUICK = True

    def test_the_page_and_its_files(self):
        for path, media_type in sample.FILES.items():
            with self.subTest(path):
                answer = self.stack.get(path)
                self.assertEqual(answer.status, 200)
                self.assert_every_answer(answer)
                self.assertEqual(answer.headers['Content-Type'], media_type)
                self.assertEqual(answer.headers['Cache-Control'], 'no-cache')
                etag = answer.headers['ETag']
                self.assertTrue(etag)
                self.assertEqual(self.stack.get(path, {'If-None-Match': etag}).status, 304)

    def test_what_is_text_comes_compressed_where_asked(self):
        for path in sample.FILES:
            with self.subTest(path):
                answer = self.stack.get(path, {'Accept-Encoding': 'gzip'})
                self.assertEqual(answer.headers['Content-Encoding'], 'gzip')
                self.assertIsNone(self.stack.get(path).headers['Content-Encoding'])

    @unittest.skipUnless('/' in sample.FILES, 'the service has no page')
    def test_the_page_has_the_full_set_of_security_headers(self):
        headers = self.stack.get('/').headers
        for name in ('Content-Security-Policy', 'Referrer-Policy', 'Permissions-Policy', 'X-Frame-Options',
                     'Cross-Origin-Opener-Policy', 'Cross-Origin-Resource-Policy'):
            with self.subTest(name):
                self.assertEqual(len(headers.get_all(name, [])), 1)
        policy = headers['Content-Security-Policy']
        self.assertIn('frame-ancestors', policy)
        self.assertNotIn('unsafe', policy)

    def test_a_request_s_id_is_the_service_s_own_and_stands_in_both_logs(self):
        for title, answer in [
                ('an addition', self.stack.post(sample.COLLECTION, sample.new('logged'), {'X-Request-Id': '1' * 32})),
                ('a refusal', self.stack.post(sample.COLLECTION, sample.new(''))),
                ('a path that is not there', self.stack.get('/api/none', {'X-Request-Id': 'mine'}))]:
            with self.subTest(title):
                id_ = answer.headers['X-Request-Id']
                self.assertNotIn(id_, ('1' * 32, 'mine'))
                self.assertTrue(self.stack.log_of('access', id_))
                for line in self.stack.log_of('backend', id_):
                    self.assertEqual(line['request_id'], id_)
                if answer.status >= 400:
                    self.assertEqual(answer.json()['request_id'], id_)

    def test_no_two_requests_share_an_id(self):
        with self.stack.client() as client:
            ids = {client.get('/api').headers['X-Request-Id'] for _ in range(50)}
        self.assertEqual(len(ids), 50)

    def test_every_line_of_both_logs_is_json(self):
        self.stack.get('/api/%22%5C%0A%ff?"\\', {'User-Agent': '"\\\t\x80', 'Referer': '\\x"}'})
        self.assertTrue(self.stack.log('access'))
        for line in self.stack.log('backend'):
            self.assertTrue({'time', 'level', 'event'} <= set(line), line)


if __name__ == '__main__':
    unittest.main()
