"""GET /api/visitors.csv: every visitor as CSV. The table has a hundred thousand rows of its own for it."""
import csv
import io
import socket
import time
import unittest

import stack as stacks
from visitor_contract import VisitorTest

ROWS = 100_000
# What RFC 4180 quotes, and what else has broken an export before.
NAMES = ['plain', 'comma, inside', '"quoted"', '"', '""', ',', "apostrophe's", 'semicolon; tab\\t', '=1+1', '@SUM(A1)',
         '-1', '+1', 'é', '😀', '\u2027', 'null', 'NULL', '\\N', '\\', 'a\u00a0b', '<b>', '%', '1e9', '007']
PATH = '/api/visitors.csv'


class CsvTest(VisitorTest):
    CALM = True  # it measures how long others wait beside slow readers

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in NAMES:
            cls.stack.post('/api/visitors', {'name': name})
        # By SQL also line breaks, which the API would not take.
        cls.stack.sql("INSERT INTO visitors (name) VALUES (E'two\\nlines'), (E'two\\r\\nlines'), (E'cr\\rhere')")
        cls.stack.sql(f"INSERT INTO visitors (name, created_at) SELECT 'row ' || n || ', \"quoted\"', "
                      f"timestamptz '2020-01-01 UTC' + n * interval '1 minute' FROM generate_series(1, {ROWS}) AS n")

    @classmethod
    def tearDownClass(cls):
        # The tests that follow want a small table.
        cls.stack.sql("DELETE FROM visitors WHERE created_at < '2021-01-01' AND name LIKE 'row %'")
        cls.stack.sql('VACUUM ANALYZE visitors')

    def test_the_export_is_the_table_row_for_row_oldest_first(self):
        answer = self.stack.as_admin('GET', PATH)
        self.assert_every_answer(answer)
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer.headers['Content-Type'].lower(), r'^text/csv; ?(header=present; ?)?charset=utf-8'
                                                                 r'(; ?header=present)?$')
        rows = list(csv.reader(io.StringIO(answer.body.decode('utf-8'), newline=''), strict=True))
        self.assertEqual(rows[0], ['id', 'name', 'created_at'])
        table = self.stack.sql("SELECT id, name, to_char(created_at AT TIME ZONE 'UTC', "
                               "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM visitors ORDER BY id")
        self.assertGreater(len(table), ROWS)
        if rows[1:] != [list(row) for row in table]:  # a diff of a hundred thousand rows would help nobody
            wrong = [pair for pair in zip(rows[1:], table) if tuple(pair[0]) != pair[1]]
            self.fail(f'{len(rows) - 1} rows for {len(table)}, {len(wrong)} differ: {wrong[:5]}')

    def test_lines_end_with_cr_lf_and_fields_are_quoted_where_they_must_be(self):
        self.stack.sql("INSERT INTO visitors (name) VALUES ('last \"one\", quoted')")
        body = self.stack.as_admin('GET', PATH).body
        self.assertTrue(body.startswith(b'id,name,created_at\r\n'))
        self.assertTrue(body.endswith(b'Z\r\n'))
        self.assertIn(b',"last ""one"", quoted",', body)
        self.assertIn(b',"two\nlines",', body)
        self.assertIn(b',"two\r\nlines",', body)
        self.assertNotIn(b'\xef\xbb\xbfid', body)

    def test_the_export_has_no_row_twice_and_none_missing(self):
        """Whatever is added and deleted meanwhile: of those that are there all the time."""
        with socket.create_connection(('127.0.0.1', self.stack.port), 15) as reader:
            reader.sendall(self.request_bytes())
            data = reader.recv(1000)
            first = self.stack.sql("SELECT min(id) FROM visitors")[0][0]
            added = self.add('meanwhile')
            data += stacks.read_all(reader)
        ids = [int(line.split(b',')[0]) for line in data.split(b'\r\n\r\n', 1)[1].split(b'\r\n')
               if line.count(b',') >= 2 and line.split(b',')[0].isdigit()]
        self.assertEqual(ids[0], int(first))
        self.assertEqual(ids, sorted(set(ids)))
        self.assertGreaterEqual(len(ids), ROWS)
        self.stack.as_admin('DELETE', f'/api/visitors/{added["id"]}')

    def test_head_checks_the_token_and_reads_no_table(self):
        with self.stack.locked('visitors'):
            start = time.monotonic()
            answer = self.stack.as_admin('HEAD', PATH)
            self.assertEqual((answer.status, answer.body), (200, b''))
            self.assertLess(time.monotonic() - start, 1)
            self.assertEqual(self.stack.request('HEAD', PATH).status, 401)
        self.assertEqual(self.stack.as_admin('GET', PATH).headers['Content-Type'], answer.headers['Content-Type'])

    def request_bytes(self):
        # HTTP/1.0, so that the body comes without the sizes of its chunks in between.
        return (f'GET {PATH} HTTP/1.0\r\nHost: localhost\r\n'
                f'Authorization: Bearer {self.stack.token}\r\n\r\n').encode()

    def test_slow_readers_hold_nobody_up(self):
        readers = []
        for _ in range(8):
            reader = socket.socket()
            self.addCleanup(reader.close)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that little of it fits in between
            reader.settimeout(15)
            reader.connect(('127.0.0.1', self.stack.port))
            reader.sendall(self.request_bytes())
            readers.append(reader)
        heads = [reader.recv(200) for reader in readers]
        self.assertTrue(any(head.startswith(b'HTTP/1.1 200') for head in heads), heads)
        for head in heads:  # the service may say that this is too many at once, and nothing else
            self.assertIn(head.split(b' ')[1], (b'200', b'503'))
        client = self.stack.client()
        self.addCleanup(client.close)
        worst = 0
        for n in range(20):
            for method, path, body in [('GET', '/api/visitors', None), ('GET', '/api/stats', None),
                                       ('POST', '/api/visitors', {'name': f'beside {n}'}), ('GET', '/health', None)]:
                start = time.monotonic()
                self.assertLess(client.request(method, path, body=body).status, 300)
                worst = max(worst, time.monotonic() - start)
        self.assertLess(worst, 1)
        # What nobody reads waits in memory, and is little.
        self.assertNotIn('response is buffered to a temporary file', self.stack.log_text('error'))
        first = next(n for n, head in enumerate(heads) if head.startswith(b'HTTP/1.1 200'))
        readers[first].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        whole = heads[first] + stacks.read_all(readers[first])
        self.assertGreaterEqual(whole.count(b'Z\r\n'), ROWS)

    def test_a_reader_who_leaves_early_costs_nothing_later(self):
        for _ in range(20):
            with socket.create_connection(('127.0.0.1', self.stack.port), 15) as reader:
                reader.sendall(self.request_bytes())
                reader.recv(100)
        start = time.monotonic()
        self.assertEqual(self.stack.as_admin('GET', PATH).status, 200)
        self.assertLess(time.monotonic() - start, 10)


if __name__ == '__main__':
    unittest.main()
