"""Whoever can open the app's FastCGI socket, or get bytes into it through nginx, can neither stop it, nor slow it, nor
slip a request in. libfcgi trusts its peer (silent peers, half records, management records, lengths that overflow,
bodies left unread): these are the known ways to misuse that, each tried against the real service."""
import fcntl
import json
import os
import random
import resource
import select
import socket
import stat
import struct
import termios
import time
import unittest

import stack as stacks
from contract import ContractTest
from stack import (FCGI_ABORT, FCGI_BEGIN, FCGI_END, FCGI_GET_VALUES, FCGI_KEEP_CONNECTION, FCGI_PARAMS, FCGI_STDIN,
                   FCGI_STDOUT, fastcgi_begin, fastcgi_pairs, fastcgi_params, fastcgi_read, fastcgi_record,
                   fastcgi_request, sample)

# A request that nobody slows is answered in milliseconds; the machine may be busy with other things.
PROMPT_S = 0.7
# The app's APP_REQUEST_READ_MS (1000), and room for a busy machine.
READ_DEADLINE_S = 4


def unread_bytes(connection):
    return struct.unpack('i', fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))[0]


def whole(**params):
    return fastcgi_request(fastcgi_params('GET', '/api', **params))


def adding(text, content_length=None, body=None):
    body = json.dumps(sample.new(text)).encode() if body is None else body
    params = fastcgi_params('POST', sample.COLLECTION, body=body)
    if content_length is not None:
        params['CONTENT_LENGTH'] = content_length
    return params, body


GET_VALUES = fastcgi_record(FCGI_GET_VALUES, fastcgi_pairs({name: '' for name in (
    'FCGI_MAX_CONNS', 'FCGI_MAX_REQS', 'FCGI_MPXS_CONNS')}) * 5, request_id=0)
PARAMS = fastcgi_record(FCGI_PARAMS, fastcgi_pairs(fastcgi_params('GET', '/api')))
NO_PARAMS, NO_STDIN = fastcgi_record(FCGI_PARAMS), fastcgi_record(FCGI_STDIN)


def params_of(content):
    return fastcgi_begin() + fastcgi_record(FCGI_PARAMS, content) + NO_PARAMS + NO_STDIN


MALFORMED = [  # what is sent: it gets no answer but the end of the connection, or an error
    ('HTTP', b'GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    ('zeros', bytes(64)),
    ('ones', b'\xff' * 64),
    ('a version of 0', fastcgi_record(FCGI_BEGIN, bytes(8), version=0) + PARAMS + NO_PARAMS + NO_STDIN),
    ('a version of 2', fastcgi_record(FCGI_BEGIN, b'\0\1\0\0\0\0\0\0', version=2) + PARAMS + NO_PARAMS + NO_STDIN),
    ('a second record of another version', fastcgi_begin() + fastcgi_record(FCGI_PARAMS, version=7) + NO_STDIN),
    ('parameters before the beginning', PARAMS + fastcgi_begin() + NO_PARAMS + NO_STDIN),
    ('a body before the beginning', NO_STDIN + whole()),
    ('a body before the parameters', fastcgi_begin() + NO_STDIN + PARAMS + NO_PARAMS),
    ('two beginnings', fastcgi_begin() + whole()),
    ('a beginning of 7 bytes', fastcgi_record(FCGI_BEGIN, bytes(7)) + PARAMS + NO_PARAMS + NO_STDIN),
    ('a beginning of 9 bytes', fastcgi_record(FCGI_BEGIN, b'\0\1' + bytes(7)) + PARAMS + NO_PARAMS + NO_STDIN),
    ('a role that is none', fastcgi_begin(role=0) + PARAMS + NO_PARAMS + NO_STDIN),
    ('an authorizer', fastcgi_begin(role=2) + PARAMS + NO_PARAMS + NO_STDIN),
    ('a filter', fastcgi_begin(role=3) + PARAMS + NO_PARAMS + NO_STDIN),
    ('parameters of another request', fastcgi_begin() + fastcgi_record(FCGI_PARAMS, request_id=2) + NO_STDIN),
    ('a request with the number 0', fastcgi_record(FCGI_BEGIN, b'\0\1' + bytes(6), request_id=0) + PARAMS + NO_STDIN),
    ('the records of an answer', fastcgi_record(FCGI_STDOUT, b'x') + fastcgi_record(FCGI_END, bytes(8)) + whole()),
    ('a type that is none', fastcgi_begin() + fastcgi_record(12, b'x' * 100) + PARAMS + NO_PARAMS + NO_STDIN),
    ('the last type', fastcgi_record(255, b'x' * 100) + whole()),
    ('an abort', fastcgi_begin() + PARAMS + fastcgi_record(FCGI_ABORT)),
    ('an abort of nothing', fastcgi_record(FCGI_ABORT)),
    ('management records, many names', GET_VALUES),
    ('management records before a request', GET_VALUES + whole()),
    ('management records between parameters', fastcgi_begin() + PARAMS + GET_VALUES + NO_PARAMS + NO_STDIN),
    ('management records in the body', fastcgi_begin() + PARAMS + NO_PARAMS + GET_VALUES + NO_STDIN),
    ('an unknown management record', fastcgi_record(200, b'x' * 8, request_id=0) + whole()),
    ('a thousand management records', fastcgi_record(FCGI_GET_VALUES, request_id=0) * 1000),
    ('a length of 0x7ffffffe twice', params_of(struct.pack('>II', 0xfffffffe, 0xfffffffe) + b'x')),
    ('a length of 0x7fffffff twice', params_of(struct.pack('>II', 0xffffffff, 0xffffffff) + b'x')),
    ('a name that is longer than all', params_of(struct.pack('>IB', 0x80001000, 1) + b'x' * 50)),
    ('a value that is longer than all', params_of(struct.pack('>BI', 1, 0x80100000) + b'x' * 50)),
    ('a length that is cut', params_of(b'\x80\0')),
    ('a name length alone', params_of(b'\x05')),
    ('a pair that is cut', params_of(b'\x05\x05name')),
    ('parameters beyond 64 KiB', fastcgi_begin() + fastcgi_record(FCGI_PARAMS, b'x' * 65535) * 3 + NO_PARAMS),
    ('a value of 100 KiB', fastcgi_begin() + b''.join(
        fastcgi_record(FCGI_PARAMS, part) for part in (struct.pack('>BI', 1, 0x80019000) + b'x' * 50000, b'x' * 52401))
     + NO_PARAMS + NO_STDIN),
    ('a body beyond 64 KiB', fastcgi_begin() + PARAMS + NO_PARAMS + fastcgi_record(FCGI_STDIN, b'x' * 65535) * 3),
    ('records of nothing but padding', fastcgi_record(FCGI_PARAMS, padding=255) * 300),
]
HALF_SENT = [  # what is sent before the peer falls silent
    ('one byte', b'\x01'),
    ('half a record header', whole()[:4]),
    ('a record header', whole()[:8]),
    ('a beginning', fastcgi_begin()),
    ('half the parameters', whole()[:60]),
    ('no end of the parameters', fastcgi_begin() + PARAMS),
    ('no end of the body', fastcgi_begin() + PARAMS + NO_PARAMS),
    ('all but the last byte', whole()[:-1]),
    ('less than a record says', fastcgi_begin() + struct.pack('>BBHHBx', 1, FCGI_PARAMS, 1, 65535, 255) + b'x' * 10),
]


class HostilePeersTest(ContractTest):
    CALM = True  # it measures how promptly others are answered

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not os.access(cls.stack.socket_path(), os.R_OK | os.W_OK):
            raise unittest.SkipTest('the socket is not for this user, as it should be')

    def setUp(self):
        self.pid = self.stack.pid('app')

    def assert_prompt(self, count=5):
        """The app is the same and answers at once, directly and through nginx."""
        for _ in range(count):
            for path in ('/api', sample.LIST):
                start = time.monotonic()
                self.assertEqual(self.stack.get(path).status, 200)
                self.assertLess(time.monotonic() - start, PROMPT_S)
        self.assertEqual(self.stack.pid('app'), self.pid)
        os.kill(self.pid, 0)

    def assert_ended(self, connections):
        """The app ends each of these (title, connection) by the deadline; a reset is an end, too."""
        deadline = time.monotonic() + READ_DEADLINE_S
        for title, connection in connections:
            with self.subTest(title):
                connection.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    while connection.recv(65536):
                        pass
                except ConnectionError:
                    pass

    def connect(self):
        connection = self.stack.fastcgi_connect()
        self.addCleanup(connection.close)
        return connection

    def test_only_nginx_and_the_app_may_open_the_sockets(self):
        for name in ('app', 'health'):
            with self.subTest(name):
                self.assertEqual(stat.S_IMODE(os.stat(self.stack.socket_path(name)).st_mode) & 0o007, 0)

    def test_a_plain_request_is_answered(self):
        answer = self.stack.fastcgi(fastcgi_params('GET', '/api'))
        self.assertEqual((answer.status, answer.json()['name']), (200, sample.NAME))
        self.assertEqual(self.stack.fastcgi(fastcgi_params('GET', '/health'), socket='health').status, 200)

    def test_a_request_that_comes_in_pieces_is_answered(self):
        data = whole()
        for size in (1000, 100, 9, 1):
            with self.subTest(size), self.connect() as connection:
                for position in range(0, len(data), size):
                    connection.sendall(data[position:position + size])
                self.assertEqual(fastcgi_read(connection).status, 200)

    def test_the_largest_body_may_come_in_records_of_one_byte_one_at_a_time(self):
        params, body = adding('', body=json.dumps(sample.new('in single bytes')).encode().ljust(sample.BODY_MAX_BYTES))
        params['HTTP_IDEMPOTENCY_KEY'] = os.urandom(16).hex()

        def answer():
            with self.connect() as connection:
                try:
                    connection.sendall(fastcgi_begin() + fastcgi_record(FCGI_PARAMS, fastcgi_pairs(params)) + NO_PARAMS)
                    for position in range(len(body)):
                        connection.sendall(fastcgi_record(FCGI_STDIN, body[position:position + 1], padding=7))
                    connection.sendall(NO_STDIN)
                except ConnectionError:
                    return None  # A busy machine: it took longer than APP_REQUEST_READ_MS.
                return fastcgi_read(connection)

        self.assertEqual(stacks.wait_until(answer, 20, 'there is an answer').json()[sample.TEXT], 'in single bytes')

    def test_a_peer_that_sends_no_more_is_answered(self):
        for path, params, body, status in [
                ('app', fastcgi_params('GET', '/api'), b'', 200), ('app', fastcgi_params('GET', sample.LIST, 'limit=7'), b'', 200),
                ('app', *adding('half-closed'), 201), ('health', fastcgi_params('GET', '/health'), b'', 200)]:
            for flags in (0, FCGI_KEEP_CONNECTION):
                with self.subTest(path, flags=flags), self.stack.fastcgi_connect(path) as connection:
                    connection.sendall(fastcgi_request(params, body, flags))
                    connection.shutdown(socket.SHUT_WR)
                    self.assertEqual(fastcgi_read(connection).status, status)
                    self.assertEqual(connection.recv(1), b'')  # and nobody keeps it

    def test_what_is_not_read_has_one_line_in_the_log_that_says_why(self):
        def begun(title):
            ids[title] = os.urandom(16).hex()
            return fastcgi_begin() + fastcgi_record(FCGI_PARAMS, fastcgi_pairs(fastcgi_params('GET', '/api', REQUEST_ID=ids[title])))

        ids = {}
        connections = []
        for title, more in [('not whole in time', b''), ('malformed', b'x' * 20), ('too large', NO_PARAMS + 6 * fastcgi_record(
                FCGI_STDIN, b'x' * 65535)), ('ended before it was whole', None)]:
            connection = self.connect()
            connection.sendall(begun(title))
            try:
                connection.sendall(more) if more is not None else connection.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass
            connections.append((title, connection))
        self.assert_ended(connections)
        for title in ids:
            with self.subTest(title):
                lines = self.stack.log_of('backend', ids[title])
                self.assertEqual([(line['level'], line['event'], line['reason']) for line in lines],
                                 [('warning', 'request_refused', title)])
                self.assertGreater(lines[0]['bytes'], 0)

    def test_a_connection_that_is_kept_is_answered_again(self):
        with self.connect() as connection:
            for _ in range(20):
                connection.sendall(fastcgi_request(fastcgi_params('GET', '/api'), flags=FCGI_KEEP_CONNECTION))
                self.assertEqual(fastcgi_read(connection).status, 200)

    def test_malformed_records_are_answered_by_nothing_good(self):
        for title, data in MALFORMED:
            for socket_name in ('app', 'health'):
                with self.subTest(title, socket=socket_name), self.stack.fastcgi_connect(socket_name) as connection:
                    try:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                    except ConnectionError:
                        pass
                    start = time.monotonic()
                    answer = stacks.read_all(connection)
                    self.assertNotIn(f'"name":"{sample.NAME}"'.encode(), answer)
                    self.assertNotIn(b'"status":"OK"', answer)
                    self.assertLess(time.monotonic() - start, READ_DEADLINE_S)
        self.assert_prompt()

    def test_malformed_records_end_the_connection_though_the_peer_stays(self):
        connections = [(title, self.connect()) for title, _ in MALFORMED]
        for (_, data), (_, connection) in zip(MALFORMED, connections):
            try:
                connection.sendall(data)
            except ConnectionError:
                pass
        self.assert_prompt()
        self.assert_ended(connections)

    def test_random_bytes(self):
        source = random.Random(20261124)  # the same bytes each time: a failure can be looked into
        for n in range(150):
            data = source.randbytes(source.randrange(1, 3000))
            if n % 3 == 0:  # a valid start, so that some of it gets further in
                data = whole()[:source.randrange(1, 100)] + data
            elif n % 3 == 1:  # a whole request with some bytes changed
                mutated = bytearray(fastcgi_request(*adding(f'random {n}')))
                for _ in range(3):
                    mutated[source.randrange(len(mutated))] = source.randrange(256)
                data = bytes(mutated)
            with self.stack.fastcgi_connect() as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                except ConnectionError:
                    continue
                stacks.read_all(connection)
        self.assert_prompt()

    def test_silent_and_half_sent_connections_slow_nobody(self):
        for _ in range(100):
            self.connect()
        halves = []
        for _ in range(4):  # more of each than there are workers
            for title, data in HALF_SENT:
                connection = self.connect()
                connection.sendall(data)
                halves.append((title, connection))
        self.assert_prompt(20)
        self.assert_ended(halves)
        self.assert_prompt()

    def test_a_dripping_peer_is_ended_at_the_deadline(self):
        """A byte now and then does not win more time."""
        data, start = whole(**{'HTTP_AUTHORIZATION': 'x' * 2000}), time.monotonic()
        drips = [self.connect() for _ in range(8)]
        for position in range(len(data)):
            if not drips or time.monotonic() - start > READ_DEADLINE_S:
                break
            for connection in list(drips):
                try:
                    connection.send(data[position:position + 1])
                except ConnectionError:
                    drips.remove(connection)
            beginning = time.monotonic()
            self.assertEqual(self.stack.get('/api').status, 200)
            self.assertLess(time.monotonic() - beginning, PROMPT_S)
            time.sleep(0.02)  # what makes it a drip
        self.assertEqual(drips, [])

    def test_a_peer_that_does_not_read_slows_nobody(self):
        for n in range(60):
            self.add(f'long text {n} '.ljust(50, 'x'))
        for _ in range(16):
            connection = self.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            params = fastcgi_params('GET', sample.LIST, 'limit=100')
            connection.sendall(fastcgi_request(params, flags=FCGI_KEEP_CONNECTION))
        self.assert_prompt()

    def test_a_peer_that_asks_on_and_reads_no_answer_is_cut_off(self):
        for n in range(60):
            self.add(f'long text {n} '.ljust(50, 'x'))
        connection, end = self.connect(), select.poll()
        end.register(connection, select.POLLRDHUP)
        request = fastcgi_request(fastcgi_params('GET', sample.LIST, 'limit=100'), flags=FCGI_KEEP_CONNECTION)
        sizes = [0]
        while not end.poll(0):
            connection.sendall(request)
            stacks.wait_until(lambda: unread_bytes(connection) > sizes[-1] or end.poll(0), PROMPT_S, 'an answer, or the end')
            sizes.append(unread_bytes(connection))
            self.assertLess(sizes[-1], 1 << 20)
        self.assertGreater(len(sizes), 5)  # a whole answer has room, and others
        self.assert_prompt()

    def test_a_peer_that_leaves_at_once_costs_nothing(self):
        before = len(os.listdir(f'/proc/{self.pid}/fd'))
        for _ in range(300):
            with self.stack.fastcgi_connect() as connection:
                connection.sendall(whole())
        self.assert_prompt()
        stacks.wait_until(lambda: len(os.listdir(f'/proc/{self.pid}/fd')) < before + 20, 5, 'descriptors are closed')

    def test_a_body_that_is_not_as_long_as_announced_adds_nothing(self):
        text = f'short {os.urandom(4).hex()}'
        body = adding(text)[1]
        for title, content_length in [
                ('one more', str(len(body) + 1)), ('one less', str(len(body) - 1)), ('none', '0'), ('negative', '-1'),
                ('with a sign', f'+{len(body)}'), ('with a space', f' {len(body)}'), ('with a letter', f'{len(body)}x'),
                ('hexadecimal', hex(len(body))), ('beyond 64 bits', str(2 ** 64 + len(body))), ('a word', 'all'),
                ('beyond the limit', '4097'), ('with NUL', f'{len(body)}\0')]:
            with self.subTest(title):
                answer = self.stack.fastcgi(*adding(text, content_length))
                self.assertTrue(answer is None or 400 <= answer.status < 500, answer)
        for title, data in [
                ('cut', fastcgi_request(*adding(text))[:-20]),
                ('aborted', fastcgi_request(*adding(text))[:-8] + fastcgi_record(FCGI_ABORT)),
                ('aborted before it', fastcgi_begin() + fastcgi_record(FCGI_PARAMS, fastcgi_pairs(adding(text)[0]))
                 + NO_PARAMS + fastcgi_record(FCGI_ABORT) + NO_STDIN)]:
            with self.subTest(title), self.connect() as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = fastcgi_read(connection)
                self.assertTrue(answer is None or 400 <= answer.status < 500, answer)
        self.assertEqual(self.ids_of(text), [])
        self.assert_prompt()

    def test_a_body_too_large_is_refused_here_too(self):
        text = f'large {os.urandom(4).hex()}'
        answer = self.stack.fastcgi(*adding(text, body=json.dumps(sample.new(text)).encode().ljust(sample.BODY_MAX_BYTES + 1)))
        self.assertTrue(answer is None or answer.status == 413, answer)
        self.assertEqual(self.ids_of(text), [])

    def test_a_body_in_many_records_is_one_body(self):
        params, body = adding('in many records')
        data = (fastcgi_begin() + fastcgi_record(FCGI_PARAMS, fastcgi_pairs(params)) + NO_PARAMS
                + b''.join(fastcgi_record(FCGI_STDIN, body[n:n + 1], padding=n) for n in range(len(body))) + NO_STDIN)
        with self.connect() as connection:
            connection.sendall(data)
            self.assertEqual(fastcgi_read(connection).json()[sample.TEXT], 'in many records')

    def test_a_body_of_records_smuggles_no_request(self):
        """A body is chosen by a client. Left unread on a kept connection, its bytes would be taken for the next
        request, past nginx's limits and logs."""
        text = f'smuggled {os.urandom(4).hex()}'
        params, body = adding(text)
        params['REQUEST_ID'] = 'f' * 32
        forged = fastcgi_request(params, body, flags=FCGI_KEEP_CONNECTION)
        sled = fastcgi_record(0, request_id=0) * 40
        client = self.stack.client()
        self.addCleanup(client.close)
        for offset in range(16):
            payload = b' ' * offset + sled + forged
            for method, path, media_type in [
                    ('POST', sample.COLLECTION, 'application/json'),
                    ('POST', sample.COLLECTION, 'text/plain'),
                    ('POST', f'{sample.COLLECTION}?x=1', 'application/json'),
                    ('POST', '/api/none', 'x/x'),
                    ('PUT', sample.LIST, 'x/x'),
                    ('DELETE', sample.item(1), 'x/x'),
                    ('GET', '/api', 'x/x')]:
                for data in (payload, payload.ljust(4096)):
                    answer = client.request(method, path, {'Content-Type': media_type}, data)
                    self.assertTrue(answer.status == 200 if path == '/api' else 400 <= answer.status < 500, answer)
                    # The next one on the same connections is answered as what it is.
                    self.assertEqual(client.get('/api').json()['name'], sample.NAME)
        self.assertEqual(self.ids_of(text), [])
        for log in ('access', 'backend'):
            self.assertNotIn('f' * 32, self.stack.log_text(log))
        self.assert_prompt()

    def test_more_connections_than_the_app_takes(self):
        """At its maximum it takes no more, and says 503 or answers late; it is whole again once they have gone."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 700  # APP_CONNECTIONS_MAX is 512
        if hard != resource.RLIM_INFINITY and hard < wanted + 100:
            self.skipTest('too few descriptors for this user')
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        peers = []
        try:
            for _ in range(wanted):
                peers.append(self.stack.fastcgi_connect(timeout_s=0.2))
        except (BlockingIOError, TimeoutError):
            pass  # the queue of those who wait to be taken is full
        self.assertGreater(len(peers), 500)
        answer = self.stack.get(sample.LIST)
        if answer.status != 200:
            self.assert_problem(answer, 503, path=sample.LIST)
        self.assertEqual(self.stack.get('/health').status, 200)  # it has a socket of its own
        for peer in peers:
            peer.close()
        stacks.wait_until(lambda: self.stack.get(sample.LIST).status == 200, 3, 'it answers again')
        self.assert_prompt()


if __name__ == '__main__':
    unittest.main()
