"""What is promised of every answer (html/openapi.json, README), as assertions, and a base class for the tests of its
sentences. Knows the contract and nothing of how it is kept."""
import re
import unittest

import stack as stacks

# RFC 9110's phrases: the title of a problem whose type is about:blank.
PHRASES = {400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
           412: 'Precondition Failed', 413: 'Content Too Large', 415: 'Unsupported Media Type',
           422: 'Unprocessable Content', 429: 'Too Many Requests', 502: 'Bad Gateway', 503: 'Service Unavailable',
           504: 'Gateway Timeout'}
BLANK = 'about:blank'
NAME_LENGTH = '/problems/name-length'
NAME_CHARACTERS = '/problems/name-characters'
KEY_REUSED = '/problems/key-reused'
RATE_LIMITED = '/problems/rate-limited'
DATABASE_AWAY = '/problems/database-away'
OVERLOADED = '/problems/overloaded'
OUTCOME_UNKNOWN = '/problems/outcome-unknown'
SEARCH_TOO_BROAD = '/problems/search-too-broad'
TYPES = {BLANK, NAME_LENGTH, NAME_CHARACTERS, KEY_REUSED, RATE_LIMITED, DATABASE_AWAY, OVERLOADED, OUTCOME_UNKNOWN,
         SEARCH_TOO_BROAD}

CREATED_AT = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z')
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]+"')
# What would tell a stranger of the inside: SQL, stacks, paths, versions, users, addresses.
INSIDE = re.compile(r'SELECT |INSERT |DELETE FROM|\bSQL|psql|libpq|pqxx|postgres|visitors_app|idempotency_keys|'
                    r'nginx|fastcgi|\.cpp|\.sock|/tmp/|/run/|/var/|terminate|exception|\d+\.\d+\.\d+', re.I)


class ContractTest(unittest.TestCase):
    """Its tests run against the service that the whole process shares."""

    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.shared()

    def table_count(self):
        return int(self.stack.sql('SELECT count(*) FROM visitors')[0][0])

    def add(self, name=None, key=None):
        """A visitor that is added for a test's sake."""
        answer = self.stack.post('/api/visitors', None if name is None else {'name': name},
                                 {'Idempotency-Key': key} if key else None)
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

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

    def assert_visitor(self, visitor):
        self.assertEqual(set(visitor), {'id', 'name', 'created_at'})
        self.assertIs(type(visitor['id']), int)
        self.assertGreater(visitor['id'], 0)
        self.assertRegex(visitor['created_at'], CREATED_AT)
        self.assertIsInstance(visitor['name'], str)

    def assert_added(self, answer, name=None, replayed=False):
        """A 201 with this visitor (name None: an unnamed one), which is in the table just so; returns it."""
        visitor = self.assert_json(answer, 201)
        self.assert_visitor(visitor)
        self.assertEqual(visitor['name'], f'Visitor_{visitor["id"]}' if name is None else name)
        self.assertEqual(answer.headers['Location'], f'/api/visitors/{visitor["id"]}')
        self.assertEqual(answer.headers['Idempotent-Replayed'], 'true' if replayed else None)
        return visitor

    def assert_stored(self, visitors):
        """Each of `visitors` is in the table byte for byte, by SQL and not by the service's word."""
        ids = ','.join(str(visitor['id']) for visitor in visitors)
        rows = self.stack.sql(f"SELECT id, encode(convert_to(name, 'UTF8'), 'hex'), "
                              f"to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
                              f"FROM visitors WHERE id IN ({ids}) ORDER BY id")
        expected = sorted((visitor['id'], visitor['name'].encode().hex(), visitor['created_at'])
                          for visitor in visitors)
        self.assertEqual([(int(id_), name, created_at) for id_, name, created_at in rows], expected)
