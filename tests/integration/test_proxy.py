"""Behind a proxy: who the client is, and which id a request has, is believed of those whom TRUSTED_PROXY names and of nobody
else. One proxy is real: an nginx with deploy/proxy/nginx.conf, which ends TLS. (deploy/proxy's others were tried by hand.)"""
import json
import os
import re
import shutil
import ssl
import socket
import subprocess
import tempfile
import unittest

import sample
import stack as stacks
from stack import Stack, wait_until

PROXY_CONF = os.path.join(stacks.PROJECT, 'deploy/proxy/nginx.conf')
# As many additions as one address may make at once, and more than it may in the seconds that this takes.
BURST, MANY = 41, 60
GOOD_IDS = ('abcdefgh', 'a' * 64, 'A.b_c-9.x')
BAD_IDS = ('abcdefg', 'a' * 65, 'abc defgh', 'abcdefg"', 'abcdefgé', '')


class ProxyTest(unittest.TestCase):
    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(RATE_LIMIT='on', **cls.SETTINGS)
        cls.addClassCleanup(cls.stack.stop)
        cls.count = 0

    def ask(self, forwarded_for=None, request_id=None):
        """The answer's X-Request-Id and the client in its line of the log."""
        headers = {'X-Forwarded-For': forwarded_for, 'X-Request-Id': request_id}
        answer = self.stack.request('GET', '/openapi.json', {name: value for name, value in headers.items() if value is not None})
        self.assertEqual(answer.status, 200)
        return answer.headers['X-Request-Id'], self.client_of(answer.headers['X-Request-Id'])

    def client_of(self, request_id):
        def line():
            lines = [json.loads(text) for text in self.stack.log_text('access').splitlines() if f'"{request_id}"' in text]
            return lines[-1] if lines else None

        wait_until(line, 5, f'{request_id} is in the log')
        return line()['remote_addr']

    def add(self, forwarded_for):
        type(self).count += 1
        return self.stack.request('POST', sample.COLLECTION, {'X-Forwarded-For': forwarded_for},
                                  sample.new(f'behind a proxy {self.count}')).status


class TrustedTest(ProxyTest):
    SETTINGS = {'TRUSTED_PROXY': '127.0.0.1, 10.1.0.0/16 2001:db8::/32'}

    def test_the_client_is_the_last_address_that_is_no_proxy(self):
        for forwarded_for, client in [('203.0.113.7', '203.0.113.7'), ('198.51.100.1, 203.0.113.7', '203.0.113.7'),
                                      ('203.0.113.7, 10.1.2.3', '203.0.113.7'), ('203.0.113.7, 2001:db8::1', '203.0.113.7'),
                                      ('203.0.113.7, 10.2.0.1', '10.2.0.1'), ('2001:db9::7', '2001:db9::7'),
                                      ('unknown', '127.0.0.1'), (None, '127.0.0.1')]:
            with self.subTest(forwarded_for):
                self.assertEqual(self.ask(forwarded_for)[1], client)

    def test_each_client_has_its_own_limit(self):
        self.assertEqual({self.add(f'203.0.113.{n}') for n in range(MANY)}, {201})
        statuses = [self.add('198.51.100.9') for _ in range(MANY)]
        self.assertEqual(statuses[:BURST], [201] * BURST)
        self.assertIn(429, statuses)

    def test_an_id_that_a_proxy_gave_is_kept_if_it_has_the_form_of_one(self):
        for request_id in GOOD_IDS:
            with self.subTest(request_id):
                self.assertEqual(self.ask(request_id=request_id)[0], request_id)
        for request_id in BAD_IDS:
            with self.subTest(request_id):
                self.assertRegex(self.ask(request_id=request_id)[0], r'^[0-9a-f]{32}$')

    def test_the_id_is_the_same_in_the_answer_of_the_app_and_in_its_log(self):
        answer = self.stack.request('GET', '/api/nothing', {'X-Request-Id': 'of-a-proxy.1'})
        self.assertEqual((answer.status, answer.json()['request_id']), (404, 'of-a-proxy.1'))
        self.assertIn('"request_id":"of-a-proxy.1"', self.stack.log_text('backend'))
        answer = self.stack.request('GET', '/nothing', {'X-Request-Id': 'of-a-proxy.2'})
        self.assertEqual((answer.status, answer.json()['request_id']), (404, 'of-a-proxy.2'))


class StrangerTest(ProxyTest):
    """Nobody is named, or somebody else."""

    SETTINGS = {'TRUSTED_PROXY': '10.1.0.0/16'}

    def test_what_a_stranger_says_is_not_believed(self):
        given, client = self.ask('203.0.113.7', 'abcdefgh')
        self.assertRegex(given, r'^[0-9a-f]{32}$')
        self.assertEqual(client, '127.0.0.1')

    def test_forged_addresses_share_one_limit(self):
        self.assertIn(429, [self.add(f'203.0.113.{n}') for n in range(MANY)])


class RefusedTest(unittest.TestCase):
    def test_what_is_no_address_is_refused_by_name(self):
        for proxy in ('proxy.example.org', '10.0.0.0/8/8', '10.0.0.1;', '/8'):
            with self.subTest(proxy), self.assertRaises(stacks.StartFailed) as failed:
                Stack(TRUSTED_PROXY=proxy)
            self.assertIn('TRUSTED_PROXY has "', failed.exception.result.stderr)


class TlsTest(ProxyTest):
    """nginx in front, on this host, with the configuration that deploy/ has."""

    SETTINGS = {'TRUSTED_PROXY': '127.0.0.1'}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        certificate, key = os.path.join(cls.folder, 'book.pem'), os.path.join(cls.folder, 'book.key')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                        '-subj', '/CN=book.example.org', '-keyout', key, '-out', certificate], check=True, capture_output=True)
        cls.port = stacks.free_port()
        with open(PROXY_CONF, encoding='utf-8') as file:
            server = file.read()
        for old, new in [('listen      443 ssl;', f'listen 127.0.0.1:{cls.port} ssl;'), ('127.0.0.1:8080', f'127.0.0.1:{cls.stack.port}'),
                         ('/etc/ssl/certs/book.example.org.pem', certificate), ('/etc/ssl/private/book.example.org.key', key)]:
            assert old in server, old
            server = server.replace(old, new)
        whole = (f'daemon off; master_process off; pid {cls.folder}/nginx.pid; events {{ }} http {{ access_log off; '
                 f'client_body_temp_path {cls.folder}/body; proxy_temp_path {cls.folder}/proxy; fastcgi_temp_path {cls.folder}/fastcgi; '
                 f'uwsgi_temp_path {cls.folder}/uwsgi; scgi_temp_path {cls.folder}/scgi; {server} }}')
        with open(os.path.join(cls.folder, 'nginx.conf'), 'w', encoding='utf-8') as file:
            file.write(whole)
        proxy = subprocess.Popen(['nginx', '-c', f'{cls.folder}/nginx.conf', '-p', cls.folder, '-e', f'{cls.folder}/error.log'],
                                 env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin'})
        cls.addClassCleanup(proxy.wait, 10)
        cls.addClassCleanup(proxy.terminate)
        cls.trust = ssl.create_default_context(cafile=certificate)
        wait_until(cls.reached, 10, 'the proxy answers')

    @classmethod
    def reached(cls):
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', cls.port)) == 0

    def through(self, head, source='127.0.0.1'):
        with socket.create_connection(('127.0.0.1', self.port), 15, (source, 0)) as plain, \
                self.trust.wrap_socket(plain, server_hostname='book.example.org') as secure:
            secure.sendall(f'{head}\r\nHost: book.example.org\r\nConnection: close\r\n\r\n'.encode())
            return stacks.Answer.parse(stacks.read_all(secure))

    def test_the_page_and_the_api_are_there_by_tls(self):
        self.assertEqual(self.through('GET /health HTTP/1.1').json(), {'status': 'OK'})
        self.assertEqual(self.through('GET /api HTTP/1.1').json()['name'], sample.NAME)

    def test_the_log_has_the_client_whatever_it_says_of_itself(self):
        for said in ('', '\r\nX-Forwarded-For: 203.0.113.7', '\r\nX-Forwarded-For: 127.0.0.1'):
            with self.subTest(said):
                answer = self.through(f'GET /openapi.json HTTP/1.1{said}', '127.0.0.2')
                self.assertEqual(self.client_of(answer.headers['X-Request-Id']), '127.0.0.2')

    def test_the_id_is_the_proxys_and_not_the_clients(self):
        answer = self.through('GET /api/nothing HTTP/1.1\r\nX-Request-Id: of-a-client')
        self.assertTrue(re.fullmatch(r'[0-9a-f]{32}', answer.headers['X-Request-Id']))
        self.assertEqual(answer.json()['request_id'], answer.headers['X-Request-Id'])


if __name__ == '__main__':
    unittest.main()
