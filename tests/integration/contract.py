"""What is promised of every answer (html/openapi.json, README), as assertions, and a base class for the tests of its
sentences. Knows the contract and nothing of how it is kept; what is the service's own of it, `sample` knows."""
import concurrent.futures
import re
import unittest

import stack as stacks
from stack import ROLE, sample, wait_until

# RFC 9110's phrases: the title of a problem whose type is about:blank.
PHRASES = {400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
           412: 'Precondition Failed', 413: 'Content Too Large', 415: 'Unsupported Media Type',
           422: 'Unprocessable Content', 428: 'Precondition Required', 429: 'Too Many Requests', 502: 'Bad Gateway', 503: 'Service Unavailable',
           504: 'Gateway Timeout'}
BLANK = 'about:blank'
KEY_REUSED = '/problems/key-reused'
RATE_LIMITED = '/problems/rate-limited'
DATABASE_AWAY = '/problems/database-away'
OVERLOADED = '/problems/overloaded'
OUTCOME_UNKNOWN = '/problems/outcome-unknown'
TYPES = {BLANK, KEY_REUSED, RATE_LIMITED, DATABASE_AWAY, OVERLOADED, OUTCOME_UNKNOWN, *sample.PROBLEMS}

CREATED_AT = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z')
# An item's `created_at` in SQL, as the API writes it.
CREATED_AT_SQL = """to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]+"')
# What would tell a stranger of the inside: SQL, stacks, paths, versions, users, addresses.
INSIDE = re.compile(rf'SELECT |INSERT |DELETE FROM|\bSQL|psql|libpq|pqxx|postgres|{ROLE}|{sample.KEYS}|'
                    r'nginx|fastcgi|\.cpp|\.sock|/tmp/|/run/|/var/|terminate|exception|\d+\.\d+\.\d+', re.I)


def walk(stack):
    """All items by pages, newest first: (id, text, created_at)."""
    items, path = [], f'{sample.LIST}?limit=100'
    with stack.client() as client:
        while path:
            answer = client.get(path)
            if answer.status != 200:
                raise AssertionError(f'{path}: {answer}')
            page = answer.json()
            items += [(item['id'], item[sample.TEXT], item['created_at']) for item in page[sample.ITEMS]]
            path = page['next']
    return items


def verify_all(test, stack):
    """What holds when all is quiet, read by pages, by SQL, and in what other ways the service has; returns the rows by id."""
    rows = [(int(id_), text, created_at) for id_, text, created_at in stack.sql(
        f'SELECT id, {sample.TEXT}, {CREATED_AT_SQL} FROM {sample.TABLE} ORDER BY id')]
    test.assertEqual(walk(stack)[::-1], rows, 'the pages and the table')
    for path in filter(None, (f'{sample.LIST}?limit=1', sample.STATS)):
        test.assertEqual(stack.get(path).json()['total'], len(rows), path)
    for counted, there in sample.COUNTED:
        test.assertEqual(stack.sql(counted), stack.sql(there))
    sample.verify(test, stack, rows)
    return rows


class ContractTest(unittest.TestCase):
    """Its tests run against the service that the whole process shares."""

    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.shared()

    def table_count(self):
        return int(self.stack.sql(f'SELECT count(*) FROM {sample.TABLE}')[0][0])

    def ids_of(self, text):
        """Of those in the table that have this text, or, with a % in it, one like it."""
        return [int(id_) for id_, in self.stack.sql(f"SELECT id FROM {sample.TABLE} WHERE {sample.TEXT} LIKE '{text}' ORDER BY id")]

    def add(self, text='added', key=None):
        """One that is added for a test's sake."""
        answer = self.stack.post(sample.COLLECTION, sample.new(text), {'Idempotency-Key': key} if key else None)
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

    def ask(self, status, method, path, body=None, headers=None, wanted=None):
        """What is answered; it has this status, and these members or this type of problem."""
        answer = self.stack.request(method, path, headers, body)
        with self.subTest(f'{method} {path}', body=str(body)[:60], headers=headers):
            if status >= 400:
                self.assert_problem(answer, status, wanted or BLANK, path.split('?')[0])
            else:
                self.assertEqual(answer.status, status, answer)
                self.assertEqual({name: answer.json().get(name) for name in wanted or ()}, wanted or {})
        return answer

    def in_a_batch(self, *requests):
        """The answers to these (method, path, headers, body), which are sent to the database together: they wait behind an
        addition to a locked table. In which order is not certain."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            with self.stack.locked(sample.TABLE):
                pool.submit(self.stack.post, sample.COLLECTION, sample.new('first'))
                wait_until(lambda: self.stack.sql(f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' "
                                                  "AND wait_event_type = 'Lock'"), 5, 'the first one waits')
                waiting = []
                for request in requests:
                    waiting.append(pool.submit(self.stack.request, *request))
                    self.assertEqual(self.stack.get('/api').status, 200)  # probably behind it
            return [one.result() for one in waiting]

    def assert_every_answer(self, answer):
        """The section "On every answer"."""
        for name in ('X-Request-Id', 'X-Content-Type-Options', 'Server'):
            self.assertEqual(len(answer.headers.get_all(name, [])), 1, f'{name} once: {answer}')
        self.assertRegex(answer.headers['X-Request-Id'], r'^[0-9a-f]{32}$')
        self.assertEqual(answer.headers['X-Content-Type-Options'], 'nosniff')
        self.assertNotRegex(answer.headers['Server'], r'[0-9]')
        if (answer.headers['Content-Type'] or '').startswith('text/'):
            self.assertRegex(answer.headers['Content-Type'].lower(), r'charset=utf-8')
        self.assertEqual([name for name in answer.headers if name.lower().startswith('access-control-')], [])
        self.assert_retry_after(answer)

    def assert_retry_after(self, answer):
        if answer.status in (429, 503):
            self.assertRegex(answer.headers['Retry-After'] or 'none', r'^[1-9][0-9]*$', answer)
        else:
            self.assertIsNone(answer.headers['Retry-After'], answer)

    def assert_json(self, answer, status=200):
        self.assert_every_answer(answer)
        self.assertEqual(answer.status, status, answer)
        self.assertRegex(answer.headers['Content-Type'].lower(), r'^application/json(; ?charset=utf-8)?$')
        return answer.json()

    def assert_problem(self, answer, status, type=BLANK, path=None):
        """A problem of this status (or one of these) and type (or one of these), whole and well-formed; returns it.
        `path` is what `instance` must be."""
        self.assert_every_answer(answer)
        self.assertIn(answer.status, status if isinstance(status, (set, tuple)) else (status,), answer)
        self.assertRegex(answer.headers['Content-Type'] or 'none',
                         r'^application/problem\+json(; ?charset=utf-8)?$', answer)
        problem = answer.json()
        self.assertEqual(set(problem), {'type', 'title', 'status', 'detail', 'instance', 'request_id'}, problem)
        self.assertEqual(problem['status'], answer.status)
        self.assertEqual(problem['request_id'], answer.headers['X-Request-Id'])
        self.assertIn(problem['type'], TYPES)
        self.assertIn(problem['type'], type if isinstance(type, (set, tuple)) else (type,), problem)
        if problem['type'] == BLANK:
            self.assertEqual(problem['title'], PHRASES[answer.status])
        for member in ('title', 'detail'):
            self.assertTrue(problem[member].strip(), problem)
            self.assertNotRegex(problem[member], INSIDE)
        if path is not None:
            self.assertEqual(problem['instance'], path)
        return problem

    def assert_item(self, item):
        self.assertEqual(set(item), sample.MEMBERS)
        self.assertIs(type(item['id']), int)
        self.assertGreater(item['id'], 0)
        self.assertRegex(item['created_at'], CREATED_AT)
        self.assertIsInstance(item[sample.TEXT], str)

    def assert_added(self, answer, text, replayed=False):
        """A 201 with one of this text (None: whichever), well-formed; returns it."""
        item = self.assert_json(answer, 201)
        self.assert_item(item)
        self.assertEqual(item[sample.TEXT], item[sample.TEXT] if text is None else text)
        self.assertEqual(answer.headers['Location'], sample.item(item['id']))
        self.assertEqual(answer.headers['Idempotent-Replayed'], 'true' if replayed else None)
        return item

    def assert_stored(self, items):
        """Each of `items` is in the table byte for byte, by SQL and not by the service's word."""
        ids = ','.join(str(item['id']) for item in items)
        rows = self.stack.sql(f"SELECT id, encode(convert_to({sample.TEXT}, 'UTF8'), 'hex'), {CREATED_AT_SQL} "
                              f'FROM {sample.TABLE} WHERE id IN ({ids}) ORDER BY id')
        expected = sorted((item['id'], item[sample.TEXT].encode().hex(), item['created_at']) for item in items)
        self.assertEqual([(int(id_), text, created_at) for id_, text, created_at in rows], expected)
