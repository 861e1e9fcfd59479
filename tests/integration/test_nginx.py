"""What nginx answers by itself, for the real service: its errors, the headers of every answer, files, limits, the access
log, and how it stands before an app that is frozen, gone or at its limit. Knows what the service promises, and of the
configuration only its limits, which stand here by name."""
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import os
import re
import resource
import select
import signal
import socket
import statistics
import subprocess
import threading
import time
import unittest

import stack as stacks
from contract import BLANK, ContractTest, OUTCOME_UNKNOWN, OVERLOADED, RATE_LIMITED
from stack import sample

BODY_MAX_BYTES = sample.BODY_MAX_BYTES
ADDITIONS_BURST = 40          # besides one a second
SEARCHES_BURST = 20           # besides two a second
APP_REQUESTS_MAX = 384        # at a time, then 503 at once
APP_ANSWER_MAX_S = 5          # what nginx waits for the app
REQUESTS_MAX = 1024           # in hand from one address
# What is shipped: how long a client may take for a head in all, and for each further piece of a body and of an answer; how long what
# was refused is still read; and for how long a worker that is to end still works.
TIMEOUTS = {'client_header_timeout': {'10s'}, 'client_body_timeout': {'10s'}, 'send_timeout': {'10s'}, 'lingering_time': {'5s'},
            'worker_shutdown_timeout': {'10s'}, 'fastcgi_connect_timeout': {'1s'}, 'fastcgi_send_timeout': {'2s'},
            # For /api, and for /health.
            'fastcgi_read_timeout': {'5s', '2s'}, 'fastcgi_next_upstream_timeout': {'2s'}}
# With this in the place of such a time, a test sees the rule sooner.
SHORT_S = 2

PHRASES = {400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed', 412: 'Precondition Failed',
           413: 'Content Too Large', 414: 'URI Too Long', 429: 'Too Many Requests',
           431: 'Request Header Fields Too Large', 501: 'Not Implemented', 503: 'Service Unavailable',
           505: 'HTTP Version Not Supported'}
PAGE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
               "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
FILES = sample.FILES
FILE_METHODS = {'GET', 'HEAD', 'OPTIONS'}

END = 'Host: localhost\r\nConnection: close\r\n\r\n'


def http_request(line, *headers, body=b''):
    """The bytes of a request, for `Stack.raw`. Characters are bytes (latin-1)."""
    head = line + '\r\n' + ''.join(header + '\r\n' for header in headers) + END
    return head.encode('latin-1') + body


def post(body, *headers, path=sample.COLLECTION):
    return http_request(f'POST {path} HTTP/1.1', 'Content-Type: application/json', *headers, body=body)


def spellings(path):
    """Of a path under /api: what nginx takes for the same."""
    rest = path.removeprefix('/api/')
    return [path.replace('/', '//'), f'/api/./{rest}', f'/api/x/../{rest}', f'/%61pi/{rest}', f'/api%2F{rest}',
            f'http://elsewhere.example{path}']


def allowed(answer):
    return set((answer.headers['Allow'] or '').replace(' ', '').split(','))


class NginxTest(ContractTest):
    def raw(self, data):
        return stacks.Answer.parse(self.stack.raw(data))

    def connect(self, data, receive_bytes=None):
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(5)
        connection.connect(('127.0.0.1', self.stack.port))
        connection.sendall(data)
        return connection

    def assert_own_problem(self, answer, status, type=BLANK, instance=None):
        """A problem as nginx words it: whole, with an `instance` or, if None is expected, without."""
        self.assert_every_answer(answer)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers['Content-Type'], 'application/problem+json', answer)
        self.assertEqual(answer.headers['Cache-Control'], 'no-store')
        problem = answer.json()
        expected = {'type': type, 'title': PHRASES[status], 'status': status, 'detail': problem['detail'],
                    'request_id': answer.headers['X-Request-Id']}
        if instance is not None:
            expected['instance'] = instance
        self.assertEqual(problem, expected)
        self.assertNotRegex(problem['detail'], r'(?i)nginx|fastcgi|upstream|\.sock|request failed')
        return problem


class OwnErrorsTest(NginxTest):
    """Every error that nginx makes is a problem, also where it understood nothing."""

    QUICK = True

    def test_what_is_no_request_gets_400_and_names_no_path(self):
        for title, data in [
                ('garbage', b'hello\r\n\r\n'),
                ('a TLS client', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(64)),
                ('a space in the path', http_request('GET /a b HTTP/1.1')),
                ('a NUL', http_request('GET /a\0b HTTP/1.1')),
                ('a control byte', http_request('GET /a\x01b HTTP/1.1')),
                ('an encoded NUL', http_request(f'GET {sample.item(1)}%00 HTTP/1.1')),
                ('a broken escape', http_request('GET /api/%zz HTTP/1.1')),
                ('above the root', http_request('GET /../../etc/passwd HTTP/1.1')),
                ('above the root, encoded', http_request('GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1')),
                ('above the root, by slashes', http_request('GET /x/..%2f..%2f..%2fetc/passwd HTTP/1.1')),
                ('a method in lower case', http_request('get / HTTP/1.1'))]:
            with self.subTest(title):
                self.assert_own_problem(self.raw(data), 400)

    def test_a_request_whose_head_contradicts_itself_gets_400(self):
        for title, path, data in [
                ('no Host', '/', b'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'),
                ('two Hosts', '/', http_request('GET / HTTP/1.1', 'Host: elsewhere')),
                ('NUL in a header', '/', http_request('GET / HTTP/1.1', 'X: a\0b')),
                ('two lengths', sample.COLLECTION, post(b'{}', 'Content-Length: 2', 'Content-Length: 3')),
                ('a negative length', sample.COLLECTION, post(b'', 'Content-Length: -1')),
                ('a broken chunk', sample.COLLECTION, post(b'zz\r\n\r\n', 'Transfer-Encoding: chunked')),
                ('length and chunks', sample.COLLECTION,
                 post(b'0\r\n\r\n', 'Content-Length: 5', 'Transfer-Encoding: chunked'))]:
            with self.subTest(title):
                self.assert_own_problem(self.raw(data), 400, instance=path)

    def test_nothing_is_smuggled_behind_a_request(self):
        inner = b'GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'
        chunked = b'0\r\n\r\n' + inner
        for headers, body in [
                ((f'Content-Length: {len(chunked)}', 'Transfer-Encoding: chunked'), chunked),
                (('Transfer-Encoding: chunked', 'Content-Length: 5'), chunked),
                (('Transfer-Encoding: chunked, identity',), chunked),
                (('Transfer-Encoding: identity, chunked',), chunked),
                (('Content-Length: 0', f'Content-Length: {len(inner)}'), inner),
                (('Content-Length: 0,0',), inner), (('Content-Length: +2',), b'{}' + inner)]:
            with self.subTest(headers):
                data = post(body, *headers).replace(b'Connection: close\r\n', b'')
                answer = self.stack.raw(data, timeout_s=2)
                self.assertEqual(answer.count(b'HTTP/1.1 '), 1, answer)
                self.assertNotIn(b'smuggled', answer)

    def test_too_long_a_line_gets_414_and_too_long_a_head_431(self):
        self.assert_own_problem(self.raw(http_request('GET /api/' + 'a' * 9000 + ' HTTP/1.1')), 414)
        self.assert_own_problem(self.raw(http_request('GET /api?q=' + 'a' * 20000 + ' HTTP/1.1')), 414)
        self.assert_own_problem(self.raw(http_request('GET /api/x HTTP/1.1', 'X: ' + 'a' * 9000)), 431, instance='/api/x')
        many = [f'X{number}: ' + 'a' * 1000 for number in range(40)]
        self.assert_own_problem(self.raw(http_request('GET /api/x?q HTTP/1.1', *many)), 431, instance='/api/x')

    def test_an_unknown_version_or_transfer_coding_is_named(self):
        self.assert_own_problem(self.raw(http_request('GET / HTTP/2.0')), 505)
        self.assert_own_problem(self.raw(post(b'', 'Transfer-Encoding: gzip')), 501, instance=sample.COLLECTION)

    def test_trace_gets_405_and_allow_is_right_for_the_path(self):
        files = {path: ' '.join(FILE_METHODS) for path in ('/none', *FILES)}
        cases = [(path, path, methods) for path, methods in {**files, **sample.ROUTES}.items()]
        cases += [(path.replace('/', '//'), path, methods) for path, methods in sample.ROUTES.items()]
        cases += [(spelling, sample.COLLECTION, sample.ROUTES[sample.COLLECTION]) for spelling in spellings(f'{sample.COLLECTION}?a=b')]
        for sent, path, methods in cases:
            for method in ('TRACE', 'CONNECT'):
                with self.subTest(f'{method} {sent}'):
                    answer = self.stack.request(method, sent)
                    self.assert_own_problem(answer, 405, instance=path)
                    self.assertEqual(allowed(answer), set(methods.split()))
        self.assert_problem(self.stack.request('TRACE', '/api/none'), 404)
        self.assertIn(self.raw(http_request('CONNECT localhost:443 HTTP/1.1')).status, (400, 405))

    def test_an_unknown_page_is_a_problem_too(self):
        for path in ('/none', '/none.html', '/.git/config', '/app.js/', '/apix', '/healthz', '/health/', '/problem',
                     '/%22%5c%FF%01', '/' + 'x' * 1000, '/release/nginx/nginx.conf'):
            for method in ('GET', 'POST', 'OPTIONS'):
                with self.subTest(f'{method} {path[:40]}'):
                    self.assert_own_problem(self.stack.request(method, path + '?a=b'), 404, instance=path)

    def test_the_problem_is_json_whatever_the_path_is(self):
        """A byte that no URI has is no reason for a broken answer; the path is then left out."""
        for code in [*range(0x21, 0x100)]:
            character = chr(code)
            if character in '?#%':
                continue
            with self.subTest(f'{code:02x}'):
                answer = self.raw(http_request(f'GET /none{character} HTTP/1.1'))
                self.assertIn(answer.status, (400, 404))  # 0x7f is refused
                whole = 0x20 < code < 0x7f and character not in '"\\'
                self.assert_own_problem(answer, answer.status, instance='/none' + character if whole else None)

    def test_head_has_no_body(self):
        answer = self.raw(http_request('HEAD /none HTTP/1.1'))
        self.assertEqual((answer.status, answer.body), (404, b''))
        self.assertEqual(answer.headers['Content-Type'], 'application/problem+json')


class BodyTest(NginxTest):
    """A body has at most 4 KiB, however it comes."""

    @staticmethod
    def body(size):
        """Valid JSON of `size` bytes that adds nobody."""
        return b'{"x":"' + b'a' * (size - 8) + b'"}'

    @staticmethod
    def chunked(body, chunk_bytes):
        chunks = [body[start:start + chunk_bytes] for start in range(0, len(body), chunk_bytes)]
        return b''.join(b'%x\r\n%s\r\n' % (len(chunk), chunk) for chunk in chunks) + b'0\r\n\r\n'

    def test_4096_bytes_reach_the_app(self):
        body = self.body(BODY_MAX_BYTES)
        self.assert_problem(self.raw(post(body, f'Content-Length: {len(body)}')), 422)
        for chunk_bytes in (4096, 1000, 1):
            with self.subTest(chunk_bytes=chunk_bytes):
                self.assert_problem(self.raw(post(self.chunked(body, chunk_bytes), 'Transfer-Encoding: chunked')), 422)

    def test_the_largest_body_goes_to_no_file_and_its_longest_head_with_it(self):
        """In chunks of one byte, with all that the app is sent of a head as long as nginx reads it."""
        size = os.path.getsize(self.error_log())
        fields = [f'{name}: {"x" * 8000}' for name in ('If-None-Match', 'Idempotency-Key', 'Authorization')]
        data = post(self.chunked(self.body(BODY_MAX_BYTES), 1), 'Transfer-Encoding: chunked', *fields,
                    path=f'{sample.COLLECTION}?q=' + 'x' * 7900)
        for sent in (data, post(self.chunked(self.body(BODY_MAX_BYTES), 1), 'Transfer-Encoding: chunked')):
            self.assert_problem(self.raw(sent), (400, 422))
        with open(self.error_log(), encoding='utf-8') as file:
            file.seek(size)
            self.assertNotIn('temporary file', file.read())

    def error_log(self):
        return os.path.join(self.stack.state_dir, 'log', 'error.log')

    def test_one_more_gets_413(self):
        body = self.body(BODY_MAX_BYTES + 1)
        sent = (post(body, f'Content-Length: {len(body)}'), post(b'', f'Content-Length: {len(body)}'),
                post(b'', 'Expect: 100-continue', f'Content-Length: {len(body)}'),
                post(b'', 'Content-Length: 9223372036854775807'),
                post(self.chunked(body, 4097), 'Transfer-Encoding: chunked'),
                post(self.chunked(body, 1000), 'Transfer-Encoding: chunked'),
                post(self.chunked(body, 1), 'Transfer-Encoding: chunked'))
        # Side by side: after its answer nginx waits for the rest of a body, which does not come.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for data, answer in zip(sent, pool.map(self.raw, sent)):
                with self.subTest(data[:200]):
                    self.assert_own_problem(answer, 413, instance=sample.COLLECTION)

    def test_a_body_in_single_bytes_arrives(self):
        body = json.dumps(sample.new('drip')).encode()
        with socket.create_connection(('127.0.0.1', self.stack.port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(post(b'', f'Content-Length: {len(body)}'))
            for byte in body:
                connection.sendall(bytes([byte]))
                time.sleep(0.002)
            self.assert_added(stacks.Answer.parse(stacks.read_all(connection)), 'drip')


class HeadersTest(NginxTest):
    """What every answer has, for each kind of answer; the page's policy word for word."""

    QUICK = True

    FIXED = {'X-Content-Type-Options': 'nosniff', 'X-Frame-Options': 'DENY', 'Referrer-Policy': 'no-referrer',
             'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Resource-Policy': 'same-origin', 'Server': 'nginx'}

    def assert_headers(self, answer, policy):
        self.assert_every_answer(answer)
        for name, value in {**self.FIXED, 'Content-Security-Policy': policy}.items():
            self.assertEqual(answer.headers.get_all(name), [value], f'{name}: {answer}')
        for feature in ('camera', 'geolocation', 'microphone', 'payment'):
            self.assertIn(f'{feature}=()', answer.headers['Permissions-Policy'])
        for name in ('Cache-Control', 'Allow', 'Retry-After', 'Content-Type', 'Vary'):
            self.assertLessEqual(len(answer.headers.get_all(name, [])), 1, f'{name}: {answer}')

    @unittest.skipUnless('/' in FILES, 'the service has no page')
    def test_on_the_page(self):
        page = self.stack.get('/')
        self.assert_headers(page, PAGE_POLICY)
        self.assert_headers(self.stack.request('HEAD', '/'), PAGE_POLICY)
        # A browser puts the headers of a 304 in place of the ones that it has.
        unchanged = self.stack.get('/', {'If-None-Match': page.headers['ETag']})
        self.assertEqual(unchanged.status, 304)
        self.assert_headers(unchanged, PAGE_POLICY)

    def test_on_everything_else(self):
        etag = self.stack.get(sample.LIST).headers['ETag']
        unchanged = self.stack.get(sample.LIST, {'If-None-Match': etag})
        self.assertEqual(unchanged.status, 304)
        self.assert_headers(unchanged, DATA_POLICY)
        self.assert_headers(self.stack.post(sample.COLLECTION, sample.new('with headers')), DATA_POLICY)
        for method, path, status in [
                *(('GET', path, 200) for path in FILES if path != '/'), ('OPTIONS', '/openapi.json', 204),
                ('POST', '/openapi.json', 405), ('GET', '/none', 404), ('GET', '/api', 200),
                ('HEAD', '/api', 200), ('GET', sample.LIST, 200), ('GET', '/api/none', 404),
                ('OPTIONS', sample.COLLECTION, 204), ('PUT', sample.LIST, 405), ('DELETE', sample.item(1), 401),
                *([('GET', sample.STATS, 200)] if sample.STATS else []), *([('GET', sample.EXPORT, 401)] if sample.EXPORT else []),
                ('GET', '/health', 200), ('PUT', '/health', 405), ('TRACE', '/api', 405)]:
            with self.subTest(f'{method} {path}'):
                answer = self.stack.request(method, path)
                self.assertEqual(answer.status, status, answer)
                self.assert_headers(answer, DATA_POLICY)
        self.assert_headers(self.raw(b'hello\r\n\r\n'), DATA_POLICY)
        self.assert_headers(self.raw(http_request('GET /' + 'a' * 9000 + ' HTTP/1.1')), DATA_POLICY)

    def test_the_request_id_is_nginxs_own_and_new_each_time(self):
        ids = {self.stack.get(path, {'X-Request-Id': '1' * 32}).headers['X-Request-Id']
               for path in ('/', '/api', '/health', '/none') for _ in range(3)}
        self.assertEqual(len(ids), 12)
        self.assertNotIn('1' * 32, ids)


class FilesTest(NginxTest):
    """The page's files: type, caching, compression, methods."""

    QUICK = True

    def test_each_file_has_its_type_and_is_asked_for_again_each_time(self):
        for path, content_type in FILES.items():
            with self.subTest(path):
                answer = self.stack.get(path)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers['Content-Type'], content_type)
                self.assertEqual(answer.headers['Cache-Control'], 'no-cache')
                self.assertEqual(answer.headers['Vary'], 'Accept-Encoding')
                self.assertEqual(answer.headers['Content-Length'], str(len(answer.body)))
                self.assertRegex(answer.headers['ETag'], r'^"[^"]+"$')
                self.assertEqual(answer.body, self.stack.get(path, {'Range': 'bytes=0-1'}).body)
                self.assert_every_answer(answer)

    def test_an_unchanged_file_is_not_sent_again(self):
        for path in FILES:
            for encoding in ('identity', 'gzip'):
                with self.subTest(path, encoding=encoding):
                    headers = {'Accept-Encoding': encoding}
                    etag = self.stack.get(path, headers).headers['ETag']
                    again = self.stack.get(path, {**headers, 'If-None-Match': etag})
                    self.assertEqual((again.status, again.body), (304, b''))
                    self.assertEqual(again.headers['Cache-Control'], 'no-cache')
                    self.assertEqual(again.headers['Vary'], 'Accept-Encoding')
                    other = self.stack.get(path, {**headers, 'If-None-Match': '"other"'})
                    self.assertEqual(other.status, 200)

    def test_each_file_is_sent_compressed_to_who_can_read_that(self):
        for path in FILES:
            with self.subTest(path):
                plain, packed = self.stack.get(path), self.stack.get(path, {'Accept-Encoding': 'gzip'})
                self.assertEqual(packed.headers['Content-Encoding'], 'gzip')
                self.assertEqual(gzip.decompress(packed.body), plain.body)
                self.assertTrue(packed.headers['ETag'].startswith('W/'), packed)
                proxied = self.stack.get(path, {'Accept-Encoding': 'gzip', 'Via': '1.1 proxy'})
                self.assertEqual(proxied.headers['Content-Encoding'], 'gzip')

    def test_a_compressed_answer_of_the_api_has_a_weak_etag_that_matches(self):
        path = sample.LIST
        self.add('x' * 50)  # something that is worth it
        plain = self.stack.get(path)
        packed = self.stack.get(path, {'Accept-Encoding': 'gzip'})
        self.assertEqual(packed.headers['Content-Encoding'], 'gzip')
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertEqual(packed.headers['ETag'], 'W/' + plain.headers['ETag'])
        again = self.stack.get(path, {'Accept-Encoding': 'gzip', 'If-None-Match': packed.headers['ETag']})
        self.assertEqual((again.status, again.headers['Vary']), (304, 'Accept-Encoding'))

    @unittest.skipUnless('/' in FILES, 'the service has no page')
    def test_the_page_is_index_html(self):
        self.assertEqual(self.stack.get('/').body, self.stack.get('/index.html').body)
        self.assertEqual(self.stack.get('/?lang=pt-BR').body, self.stack.get('/').body)

    def test_files_are_read_only(self):
        for path in FILES:
            options = self.stack.request('OPTIONS', path)
            self.assertEqual((options.status, options.body, allowed(options)), (204, b'', FILE_METHODS))
            get, head = (self.raw(http_request(f'{method} {path} HTTP/1.1')) for method in ('GET', 'HEAD'))
            self.assertEqual((head.status, head.body), (200, b''))
            changing = ('Date', 'X-Request-Id')
            self.assertEqual(*([(name, value) for name, value in answer.headers.items() if name not in changing]
                               for answer in (get, head)))
            for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'BREW'):
                with self.subTest(f'{method} {path}'):
                    answer = self.stack.request(method, path, body=b'{}')
                    self.assert_own_problem(answer, 405, instance=path)
                    self.assertEqual(allowed(answer), FILE_METHODS)


class PathsTest(NginxTest):
    QUICK = True

    def test_every_spelling_of_a_path_is_one_path(self):
        for path in spellings(sample.LIST):
            with self.subTest(path):
                self.assertEqual(self.raw(http_request(f'GET {path} HTTP/1.1')).status, 200)


class HalfClosedTest(NginxTest):
    """A checker that has sent all and closes the way there still gets its answer. (Under /api it looks like a client that has gone, for
    which no work is done: faults/test_app.)"""

    QUICK = True

    def test_the_answer_comes(self):
        for line in ('GET /health', 'HEAD /health', 'GET //health', *(f'GET {path}' for path in FILES)):
            with self.subTest(line), socket.create_connection(('127.0.0.1', self.stack.port), timeout=5) as connection:
                connection.sendall(http_request(line + ' HTTP/1.1'))
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(stacks.Answer.parse(stacks.read_all(connection)).status, 200)


class KeepAliveTest(NginxTest):
    def test_a_connection_serves_thousands_of_requests(self):
        client = self.stack.client()
        client.get('/')
        first = client.connection.sock.getsockname()
        for number in range(3000):
            self.assertEqual(client.get('/openapi.json' if number % 10 else '/api').status, 200)
        self.assertEqual(client.connection.sock.getsockname(), first)
        client.close()

    def test_an_error_ends_no_connection(self):
        client = self.stack.client()
        client.get('/')
        first = client.connection.sock.getsockname()
        for method, path, body in [('GET', '/none', None), ('POST', '/', b'{}'), ('GET', '/api/none', None),
                                   ('POST', sample.COLLECTION, b'nonsense'), ('OPTIONS', '/', None), ('DELETE', '/none', b'x' * 4096)]:
            client.request(method, path, body=body)
        self.assertEqual(client.connection.sock.getsockname(), first)
        client.close()


class AccessLogTest(NginxTest):
    """One JSON object a line, whatever a client sends."""

    NUMBERS = {'status', 'bytes', 'request_time', 'connection_requests'}
    TEXTS = {'time', 'request_id', 'remote_addr', 'method', 'path', 'protocol', 'user_agent', 'limit_req', 'limit_conn',
             'upstream_connect_time', 'upstream_header_time', 'upstream_response_time', 'upstream_status'}

    def line_of(self, answer):
        lines = self.stack.log_of('access', answer.headers['X-Request-Id'])
        self.assertEqual(len(lines), 1)
        return lines[0]

    def test_a_line_says_what_an_operator_asks(self):
        before = time.time()
        query = 'q=secret' if sample.SEARCH else 'before=424242424242'
        line = self.line_of(self.stack.get(f'{sample.LIST}?{query}', {'User-Agent': 'a "b" \\ c'}))
        self.assertEqual(set(line), self.NUMBERS | self.TEXTS)
        self.assertTrue(all(isinstance(line[name], (int, float)) for name in self.NUMBERS), line)
        self.assertTrue(all(isinstance(line[name], str) for name in self.TEXTS), line)
        self.assertEqual((line['method'], line['path'], line['protocol'], line['status'], line['remote_addr']),
                         ('GET', sample.LIST, 'HTTP/1.1', 200, '127.0.0.1'))
        self.assertEqual((line['user_agent'], line['upstream_status']), ('a "b" \\ c', '200'))
        self.assertLess(float(line['upstream_response_time']), 5)
        self.assertRegex(line['time'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$')
        at = time.strptime(line['time'][:19], '%Y-%m-%dT%H:%M:%S')
        self.assertLess(abs((time.mktime(at) - before) % 900), 900)  # a time of day; zones differ
        self.assertNotIn(query.partition('=')[2], json.dumps(line))

    def test_errors_are_logged_under_the_method_that_was_sent(self):
        for method, path, status in [('POST', '/none', 404), ('DELETE', '/openapi.json', 405), ('TRACE', '/api', 405)]:
            line = self.line_of(self.stack.request(method, path))
            self.assertEqual((line['method'], line['path'], line['status']), (method, path, status))
        line = self.line_of(self.raw(b'hello\r\n\r\n'))
        self.assertEqual((line['method'], line['path'], line['status']), ('', '', 400))

    def test_every_line_is_json_in_utf8(self):
        size = os.path.getsize(os.path.join(self.stack.state_dir, 'log', 'access.log'))
        sent = 0
        for code in range(0x100):
            byte = bytes([code])
            end = b' HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
            for data in (b'GET /n' + byte + b'x' + end + b'\r\n', b'GET /n?q=' + byte + b'x' + end + b'\r\n',
                         b'GET /n' + end + b'User-Agent: a' + byte + b'"b\r\n\r\n', byte + b'ET /n' + end + b'\r\n',
                         b'GET /n' + end + b'X' + byte + b': y\r\n\r\n'):
                self.stack.raw(data, timeout_s=0.3)
                sent += 1
        self.stack.raw('GET /zoë☕ HTTP/1.1\r\nHost: x\r\nUser-Agent: Zoë ☕\r\nConnection: close\r\n\r\n'.encode())
        self.stack.raw(b'GET /none\r\n\r\n')  # HTTP/0.9: no head in the answer, a line in the log
        with open(os.path.join(self.stack.state_dir, 'log', 'access.log'), 'rb') as file:
            file.seek(size)
            lines = file.read().split(b'\n')
        self.assertEqual(lines.pop(), b'')
        self.assertGreater(len(lines), sent * 0.9)
        for line in lines:
            parsed = json.loads(line.decode('utf-8'))
            self.assertEqual(set(parsed), self.NUMBERS | self.TEXTS)
        self.assertIn('/zo (cut)', [json.loads(line)['path'] for line in lines])


class SlowClientsTest(NginxTest):
    CALM = True

    def assert_others_are_served(self, open_connection, count=300, seconds=3.0):
        took = []
        with contextlib.ExitStack() as held:
            for _ in range(count):
                held.enter_context(open_connection())
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                for path in ('/', sample.LIST):
                    start = time.monotonic()
                    self.assertEqual(self.stack.get(path).status, 200)
                    took.append(time.monotonic() - start)
        self.assertLess(statistics.quantiles(took, n=100)[98], 1.0)

    def test_heads_that_do_not_end(self):
        self.assert_others_are_served(lambda: self.connect(b'GET / HTTP/1.1\r\nHost: x\r\nX: '))

    def test_bodies_that_do_not_end(self):
        self.assert_others_are_served(lambda: self.connect(post(b'{', 'Content-Length: 4096')))

    def test_answers_that_nobody_reads(self):
        self.assert_others_are_served(
            lambda: self.connect(b''.join(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode()
                                          for path in ('/openapi.json', f'{sample.LIST}?limit=100')) * 20))


class OwnStackTest(NginxTest):
    """Its tests disturb the service: one of their own."""

    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.Stack(**cls.SETTINGS)
        cls.addClassCleanup(cls.stack.stop)


class RateLimitTest(OwnStackTest):
    SETTINGS = {'rate_limit': 'on'}

    def test_additions_are_limited_and_nothing_else(self):
        """A class signs together and is not stopped; a script is, and told truthfully when it may go on."""
        before = self.table_count()
        statuses = [self.add_one().status for _ in range(ADDITIONS_BURST)]
        self.assertEqual(statuses, [201] * ADDITIONS_BURST)
        for _ in range(ADDITIONS_BURST + 20):
            refused = self.add_one()
            if refused.status == 429:
                break
        self.assert_own_problem(refused, 429, RATE_LIMITED, sample.COLLECTION)
        self.assertEqual(self.stack.log_of('access', refused.headers['X-Request-Id'])[0]['limit_req'], 'REJECTED')

        for spelling in (*spellings(sample.COLLECTION), f'{sample.COLLECTION}?x'):
            # One may be permitted again by then.
            statuses = {self.raw(http_request(f'POST {spelling} HTTP/1.1')).status for _ in range(ADDITIONS_BURST)}
            self.assertIn(429, statuses, spelling)
        for line in ('POST /api/none', f'PUT {sample.LIST}', f'PATCH {sample.item(1)}', 'BREW /api', f'TRACE {sample.LIST}'):
            # What adds is told by the method: another route or method that does needs no line in nginx.
            statuses = {self.raw(http_request(f'{line} HTTP/1.1')).status for _ in range(ADDITIONS_BURST)}
            self.assertIn(429, statuses, line)
        added = self.table_count() - before
        for method, path in [('GET', sample.LIST), ('GET', '/'), ('GET', '/health'), ('OPTIONS', sample.COLLECTION),
                             ('DELETE', sample.item(1)), ('POST', '/openapi.json')]:
            for _ in range(ADDITIONS_BURST + 20):
                self.assertNotEqual(self.stack.request(method, path).status, 429, f'{method} {path}')
        self.assertLessEqual(self.table_count() - before, added)

        while (refused := self.add_one()).status == 201:
            pass
        time.sleep(int(refused.headers['Retry-After']))
        self.assertEqual(self.add_one().status, 201)

    def add_one(self):
        return self.stack.post(sample.COLLECTION, sample.new('one of many'))

    @unittest.skipUnless(sample.SEARCH, 'the service has no search')
    def test_searches_are_limited_and_nothing_else(self):
        """Who types meets no limit, who lets a script search does, however it spells the query; others are not touched."""
        def search(query, method='GET', path=sample.SEARCH, address='127.0.0.3'):
            with socket.create_connection(('127.0.0.1', self.stack.port), 5, (address, 0)) as connection:
                connection.sendall(http_request(f'{method} {path}?{query} HTTP/1.1'))
                return stacks.Answer.parse(stacks.read_all(connection))

        self.assertEqual([search('q=ada').status for _ in range(SEARCHES_BURST)], [200] * SEARCHES_BURST)
        for _ in range(SEARCHES_BURST + 20):
            refused = search('q=ada')
            if refused.status == 429:
                break
        problem = self.assert_own_problem(refused, 429, RATE_LIMITED, sample.SEARCH)
        self.assertIn('searches', problem['detail'])
        self.assertNotIn('added', problem['detail'])
        for query in ('q=b', '%71=b', 'limit=5&q=b', 'a&q=b', '&&q=b', 'q=%00', 'q==', 'before=9&%71=b&limit=1'):
            # One or two may be permitted again by then.
            self.assertIn(429, {search(query).status for _ in range(SEARCHES_BURST)}, query)
        for method, path in [('HEAD', sample.SEARCH), *(('GET', path) for path in spellings(sample.SEARCH)), ('GET', '/api/another')]:
            statuses = {search('q=b', method, path).status for _ in range(SEARCHES_BURST)}
            self.assertIn(429, statuses, f'{method} {path}')
        for query in ('limit=20', 'q=', 'q', 'Q=b', 'xq=b', 'before=9&limit=1'):
            self.assertNotIn(429, {search(query).status for _ in range(SEARCHES_BURST + 10)}, query)
        self.assertNotIn(429, {search('q=b', path='/').status for _ in range(SEARCHES_BURST + 10)})
        self.assertNotIn(429, {search('q=b', 'OPTIONS').status for _ in range(SEARCHES_BURST + 10)})
        self.assertEqual(search('q=ada', address='127.0.0.4').status, 200)

        while (refused := search('q=ada')).status == 200:
            pass
        time.sleep(int(refused.headers['Retry-After']))
        self.assertEqual(search('q=ada').status, 200)

    def test_an_address_has_1024_requests_in_hand_and_takes_nothing_from_others(self):
        def connect(address):
            return held.enter_context(socket.create_connection(('127.0.0.1', self.stack.port), 5, (address, 0)))

        def answer(address='127.0.0.1'):
            with connect(address) as connection:
                connection.sendall(http_request('GET /openapi.json HTTP/1.1'))
                return stacks.Answer.parse(stacks.read_all(connection))

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        if soft != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, REQUESTS_MAX + 500), hard))
        with contextlib.ExitStack() as held:
            in_hand = [connect('127.0.0.1') for _ in range(REQUESTS_MAX)]
            for connection in in_hand:
                connection.sendall(http_request('DELETE /api/none HTTP/1.1', 'Content-Length: 2', body=b'{'))
            refused = stacks.wait_until(lambda: (got := answer()).status == 503 and got, 5, 'the address is at its limit')
            self.assert_own_problem(refused, 503, OVERLOADED, '/openapi.json')
            self.assertEqual(self.stack.log_of('access', refused.headers['X-Request-Id'])[0]['limit_conn'], 'REJECTED')
            self.assertEqual(answer('127.0.0.2').status, 200)
            in_hand[0].close()
            stacks.wait_until(lambda: answer().status == 200, 5, 'there is room for one')


class NoRateLimitTest(OwnStackTest):
    SETTINGS = {'rate_limit': 'off'}

    def test_no_answer_is_a_429(self):
        client = self.stack.client()
        statuses = {client.post(sample.COLLECTION, sample.new('one of many')).status for _ in range(ADDITIONS_BURST * 10)}
        self.assertEqual(statuses, {201})
        if sample.SEARCH:
            self.assertEqual({client.get(f'{sample.SEARCH}?q=ada').status for _ in range(SEARCHES_BURST * 10)}, {200})
        client.close()


class AppAwayTest(OwnStackTest):
    """The page stands and every answer is a 503 that says what is known, whatever the app does."""

    CALM = True  # it measures how quick the page is, and each answer
    LASTS_S = 40

    def timed(self, method, path, body=None):
        start = time.monotonic()
        answer = self.stack.request(method, path, body=body)
        return answer, time.monotonic() - start

    def assert_page_is_quick(self):
        for path in FILES:
            answer, took = self.timed('GET', path)
            self.assertEqual(answer.status, 200)
            self.assertLess(took, 0.5)

    def tearDown(self):
        stacks.wait_until(self.stack.healthy, 10, 'the app is back')
        self.assertEqual(self.stack.get(sample.LIST).status, 200)

    def test_nobody_listens(self):
        """Not a byte was sent, so it is known that nothing was added."""
        pid = self.stack.pid('app')
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            supervisor = int(file.read().rpartition(')')[2].split()[1])
        os.kill(supervisor, signal.SIGSTOP)  # else the app would be back in a second
        try:
            self.stack.kill('app')
            time.sleep(0.3)
            self.assert_page_is_quick()
            for method, path in [('GET', '/api'), ('POST', sample.COLLECTION), ('DELETE', sample.item(1)),
                                 ('PATCH', sample.item(1)), ('BREW', '/api'), ('GET', '/health')]:
                with self.subTest(f'{method} {path}'):
                    answer, took = self.timed(method, path)
                    self.assert_own_problem(answer, 503, OVERLOADED, path)
                    self.assertLess(took, 2)
        finally:
            os.kill(supervisor, signal.SIGCONT)

    def test_the_app_is_frozen(self):
        before = self.table_count()
        pid = self.stack.kill('app', signal.SIGSTOP)
        try:
            self.assert_page_is_quick()
            with concurrent.futures.ThreadPoolExecutor() as pool:
                asked = {method: pool.submit(self.timed, method, path, body) for method, path, body in [
                    ('GET', sample.LIST, None), ('HEAD', sample.LIST, None), ('OPTIONS', sample.LIST, None),
                    ('POST', sample.COLLECTION, b''), ('DELETE', sample.item(1), None), ('PATCH', sample.item(1), b'{}'),
                    ('PUT', '/api', b'{}'), ('BREW', '/api/none', None)]}
                health = pool.submit(self.timed, 'GET', '/health')
            for method, type, instance in [
                    ('GET', OVERLOADED, sample.LIST), ('OPTIONS', OVERLOADED, sample.LIST),
                    ('POST', OUTCOME_UNKNOWN, sample.COLLECTION), ('DELETE', OUTCOME_UNKNOWN, sample.item(1)),
                    ('PATCH', OUTCOME_UNKNOWN, sample.item(1)), ('PUT', OUTCOME_UNKNOWN, '/api'),
                    ('BREW', OUTCOME_UNKNOWN, '/api/none')]:
                answer, took = asked[method].result()
                self.assert_own_problem(answer, 503, type, instance)
                self.assertLess(took, APP_ANSWER_MAX_S + 1)
            answer, _ = asked['HEAD'].result()
            self.assertEqual((answer.status, answer.body), (503, b''))
            answer, took = health.result()
            self.assert_own_problem(answer, 503, OVERLOADED, '/health')
            self.assertLess(took, APP_ANSWER_MAX_S + 1)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertLessEqual(self.table_count() - before, 1)

    def test_more_than_the_limit_is_shed_at_once_and_what_was_taken_is_served(self):
        extra = 60
        pid = self.stack.kill('app', signal.SIGSTOP)
        try:
            connections = []
            for _ in range(APP_REQUESTS_MAX + extra):
                connection = socket.create_connection(('127.0.0.1', self.stack.port), timeout=APP_ANSWER_MAX_S + 5)
                connection.sendall(http_request(f'GET {sample.LIST} HTTP/1.1'))
                connections.append(connection)
            time.sleep(1)
            early = 0
            for connection in connections:
                connection.setblocking(False)
                try:
                    early += bool(connection.recv(1, socket.MSG_PEEK))
                except BlockingIOError:
                    pass
                connection.settimeout(APP_ANSWER_MAX_S + 5)
        finally:
            os.kill(pid, signal.SIGCONT)
        answers = []
        for connection in connections:
            with connection:
                answers.append(stacks.Answer.parse(stacks.read_all(connection)))
        self.assertEqual(early, extra)
        shed = [answer for answer in answers if answer.status == 503]
        for answer in shed:
            self.assert_problem(answer, 503, OVERLOADED)
        self.assertEqual({answer.status for answer in answers}, {200, 503})
        self.assertEqual(len(shed), extra)

    def test_a_flood_gets_only_200_201_and_503_each_in_time(self):
        def one(number):
            try:
                return self.timed('POST', sample.COLLECTION, sample.new('flood')) if number % 2 else self.timed('GET', sample.LIST)
            except (OSError, http.client.HTTPException) as error:
                return error, 0

        before = self.table_count()
        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            results = list(pool.map(one, range(4000)))
        statuses = [getattr(answer, 'status', answer) for answer, _ in results]
        self.assertLessEqual(set(statuses), {200, 201, 503}, set(map(str, statuses)))
        self.assertLess(max(took for _, took in results), 3)
        self.assertEqual(self.table_count() - before, statuses.count(201))

    def test_the_app_dies_with_requests_in_hand(self):
        """Each is answered; a read is asked again on another connection if the app is back in time."""
        def one(number):
            return self.stack.get(sample.LIST) if number % 2 else self.stack.post(sample.COLLECTION, sample.new('in hand'))

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            results = [pool.submit(one, number) for number in range(1500)]
            time.sleep(0.1)
            self.stack.kill('app')
            for result in results:
                answer = result.result()
                self.assertIn(answer.status, (200, 201, 503))
                if answer.status == 503:
                    self.assert_problem(answer, 503, (OVERLOADED, OUTCOME_UNKNOWN, '/problems/database-away'))


class CuttingApp:
    """In the app's place: answers the first request of each connection that asks for /first, and cuts off every other once it
    has read it. `methods` has each request that came."""

    def __init__(self, path):
        self.methods = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                with self.listener.accept()[0] as connection:
                    self.serve(connection)

    def serve(self, connection):
        while True:
            data = b''
            while not data.endswith(stacks.fastcgi_record(stacks.FCGI_STDIN)):
                if not (piece := connection.recv(65536)):
                    return
                data += piece
            if b'/first' not in data:
                self.methods.append(re.search(rb'REQUEST_METHOD([A-Z]+)', data)[1].decode())
                return
            connection.sendall(stacks.fastcgi_record(stacks.FCGI_STDOUT, b'Status: 200 OK\r\nContent-Length: 0\r\n\r\n')
                               + stacks.fastcgi_record(stacks.FCGI_END, bytes(8)))


class CutTest(NginxTest):
    """nginx alone, before an app that takes requests and cuts them off: the worst that can be for what must not happen twice."""

    @classmethod
    def setUpClass(cls):
        cls.stack = stack = stacks.Stack(start=False, rate_limit='off')
        cls.addClassCleanup(stack.remove)
        os.chmod(stack.state_dir, 0o755)
        for folder in ('run/app', 'log', 'tmp'):
            os.makedirs(os.path.join(stack.state_dir, folder))
        subprocess.run([os.path.join(stacks.PROJECT, 'local', 'release'), '/bin/true'], env=stack.environment(), check=True)
        path = os.path.join(stack.state_dir, 'release', 'nginx', 'nginx.conf')
        with open(path, encoding='utf-8') as file:
            text = file.read()
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace('worker_processes        auto', 'worker_processes 1'))  # each knows only its own connections
        cls.app = CuttingApp(stack.socket_path())
        cls.addClassCleanup(cls.app.listener.close)
        nginx = subprocess.Popen(['nginx', '-p', stack.state_dir, '-c', path, '-e', 'log/error.log', '-g', 'daemon off;'
                                  + (' user www-data;' if os.geteuid() == 0 else '')],
                                 env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin'}, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(nginx.wait)
        cls.addClassCleanup(nginx.terminate)
        stacks.wait_until(lambda: os.path.exists(os.path.join(stack.state_dir, 'tmp', 'nginx.pid')), 10, 'nginx runs')

    def test_only_what_is_safe_is_sent_again_and_the_rest_is_in_doubt(self):
        for methods, type, times in [(('GET', 'OPTIONS'), OVERLOADED, 2),
                                     (('POST', 'PUT', 'PATCH', 'DELETE', 'LOCK', 'BREW', 'TRACE'), OUTCOME_UNKNOWN, 1)]:
            for method in methods:
                for path in ('/api', sample.LIST, sample.item(1)):
                    with self.subTest(f'{method} {path}'):
                        # A connection to the app that is kept: nginx takes a failure of one for bad luck, and tries again.
                        self.assertEqual(self.stack.get('/api/first').status, 200)
                        self.app.methods.clear()
                        answer = self.stack.request(method, path, body=b'{}' if method == 'PATCH' else None)
                        self.assert_own_problem(answer, 503, type, path)
                        self.assertEqual(self.app.methods, [method] * times)


class ReloadTest(OwnStackTest):
    def test_a_reload_loses_no_request(self):
        statuses = []
        client_count = 4

        def ask(_):
            client = self.stack.client()
            for number in range(150):
                try:
                    statuses.append(client.get(sample.LIST if number % 2 else '/openapi.json').status)
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    pass  # An idle connection that the old worker closes: a client asks again.
            client.close()

        with concurrent.futures.ThreadPoolExecutor(client_count) as pool:
            asked = [pool.submit(ask, number) for number in range(client_count)]
            time.sleep(0.1)
            self.stack.kill('nginx', signal.SIGHUP)
            for each in asked:
                each.result()
        self.assertEqual(set(statuses), {200})
        self.assertGreater(len(statuses), client_count * 140)


class TimeoutsTest(OwnStackTest):
    """Whoever is too slow is left, after times that are shorter here than those that are shipped."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.configure_nginx(client_header_timeout=f'{SHORT_S}s', client_body_timeout=f'{SHORT_S}s', send_timeout=f'{SHORT_S}s',
                                  lingering_time=f'{SHORT_S}s', worker_shutdown_timeout=f'{SHORT_S}s')

    def test_a_body_that_never_ends_is_read_for_a_short_time_only(self):
        with socket.create_connection(('127.0.0.1', self.stack.port), timeout=5) as connection:
            connection.sendall(post(b'', 'Transfer-Encoding: chunked'))
            deadline = time.monotonic() + SHORT_S + 3
            with self.assertRaises(ConnectionError):
                while time.monotonic() < deadline:
                    connection.sendall(b'1000\r\n' + b'a' * 4096 + b'\r\n')
                    time.sleep(0.01)

    def test_a_silent_client_is_left_after_a_time(self):
        """All at once, since each takes long."""
        silent = {'head': self.connect(b'GET / HTTP/1.1\r\nHost: x\r\n'),
                  'body': self.connect(post(b'{', 'Content-Length: 4096')),
                  'answer': self.connect(b'GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n' * 500, receive_bytes=4096)}
        start = time.monotonic()
        with contextlib.ExitStack() as held:
            for connection in silent.values():
                held.enter_context(connection)
            took = self.times_to_end(silent, start)
            self.assertEqual([stacks.read_all(silent[title]) for title in ('head', 'body')], [b'', b''])
        for title in silent:
            with self.subTest(title):
                self.assertAlmostEqual(took.get(title, float('inf')), SHORT_S, delta=1.5)

    @staticmethod
    def times_to_end(connections, start):
        """How long it took until nginx had enough of each; those that it still has by then are missing."""
        took = {}
        poll = select.poll()
        titles = {connection.fileno(): title for title, connection in connections.items()}
        for descriptor in titles:
            poll.register(descriptor, select.POLLRDHUP)  # an answer that nobody reads is no event
        while titles and (left := start + SHORT_S + 5 - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                took[titles.pop(descriptor)] = time.monotonic() - start
        return took

    def test_what_an_old_worker_still_does_after_a_time_is_cut_off(self):
        with socket.create_connection(('127.0.0.1', self.stack.port), 5) as connection:
            connection.sendall(post(b'', 'Expect: 100-continue', 'Content-Length: 4096'))
            self.assertIn(b' 100 ', connection.recv(1000))  # a worker has it
            self.stack.kill('nginx', signal.SIGHUP)
            start = time.monotonic()
            connection.settimeout(0.5)  # a piece each time: for a body it is never too late
            with self.assertRaises(ConnectionError):
                while time.monotonic() < start + SHORT_S + 5:
                    connection.sendall(b' ')
                    with contextlib.suppress(TimeoutError):
                        if not connection.recv(1):
                            raise ConnectionResetError
            self.assertAlmostEqual(time.monotonic() - start, SHORT_S, delta=1.5)


class ConfigurationTest(unittest.TestCase):
    """What cannot be seen from outside: headers stand in one place, as a block's own add_header loses all inherited."""

    QUICK = True

    def test_add_header_stands_in_one_file(self):
        folder = os.path.join(stacks.PROJECT, 'nginx')
        having = []
        for path, _, names in os.walk(folder):
            for name in names:
                text = stacks.read_bytes(os.path.join(path, name))
                if re.search(rb'^\s*add_header ', text, re.M):
                    having.append(name)
        self.assertEqual(having, ['headers.conf'])

    def test_the_times_that_are_shipped(self):
        """TimeoutsTest has others; these are what the comments, the documents and the app's own limits rest on."""
        found = {}
        for path, _, names in os.walk(os.path.join(stacks.PROJECT, 'nginx')):
            for name in names:
                text = stacks.read_bytes(os.path.join(path, name)).decode()
                for directive, value in re.findall(r'^\s*(\w+_time(?:out)?)\s+([^;]+);', text, re.M):
                    found.setdefault(directive, set()).add(value)
        self.assertEqual({name: found.get(name) for name in TIMEOUTS}, TIMEOUTS)


if __name__ == '__main__':
    unittest.main()
