"""The errors where something is amiss or configured otherwise: the database away, a table that
nobody can read, too many additions, no token. A 503 says when to come again and whether anything was added."""
import os
import threading
import time
import unittest

import stack as stacks
from contract import (DATABASE_AWAY, OUTCOME_UNKNOWN, OVERLOADED, RATE_LIMITED, ContractTest)


def refuse_the_app(stack):
    """The database refuses the app, as with a wrong password or while it is being restored."""
    stack.sql('ALTER ROLE visitors_app NOLOGIN; '
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'visitors_app'")
    stacks.wait_until(lambda: stack.get('/api/visitors').status == 503, 5, 'reading answers 503')
    # The first addition may meet a connection that was cut just now, and is then of unknown outcome.
    stacks.wait_until(lambda: stack.post('/api/visitors').json().get('type') == DATABASE_AWAY, 5,
                      'adding answers database-away')


def let_the_app_in(stack):
    stack.sql('ALTER ROLE visitors_app LOGIN')
    stacks.wait_until(lambda: stack.healthy() and stack.get('/api/visitors').status == 200
                      and stack.get('/api/visitors?q=back').status == 200 and stack.get('/api/stats').status == 200
                      and stack.post('/api/visitors', {'name': 'back'}).status == 201,
                      10, 'the app is back in the database')


class DatabaseAwayTest(ContractTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.visitor = cls.stack.post('/api/visitors', {'name': 'there before'}).json()
        cls.addClassCleanup(let_the_app_in, cls.stack)
        refuse_the_app(cls.stack)

    def test_every_answer_that_needs_the_database_is_503_database_away(self):
        path = f'/api/visitors/{self.visitor["id"]}'
        for method, target, body in [('GET', '/api/visitors', None), ('GET', '/api/visitors?q=x', None),
                                     ('GET', path, None), ('GET', '/api/stats', None), ('DELETE', path, None),
                                     ('GET', '/api/visitors.csv', None), ('POST', '/api/visitors', {'name': 'no'})]:
            with self.subTest(f'{method} {target}'):
                start = time.monotonic()
                headers = {'Authorization': f'Bearer {self.stack.token}'}
                answer = self.stack.request(method, target, headers, body)
                self.assert_problem(answer, 503, DATABASE_AWAY, target.split('?')[0])
                self.assertLess(time.monotonic() - start, 4)
        self.assertEqual(self.stack.sql("SELECT count(*) FROM visitors WHERE name = 'no'"), [('0',)])
        self.assertEqual(self.stack.sql(f"SELECT count(*) FROM visitors WHERE id = {self.visitor['id']}"), [('1',)])

    def test_health_says_so_and_nothing_of_the_inside(self):
        answer = stacks.wait_until(lambda: (lambda a: a if a.status == 503 else None)(self.stack.get('/health')), 5,
                                   '/health answers 503')
        self.assert_every_answer(answer)
        self.assertEqual(answer.headers['Cache-Control'], 'no-store')
        health = answer.json()
        self.assertEqual(set(health), {'status', 'details'})
        self.assertEqual(health['status'], 'error')
        self.assertTrue(health['details'])
        for secret in ('visitors_app', 'password', 'SELECT', '127.0.0.1', self.stack.state_dir, 'localhost', 'role '):
            self.assertNotIn(secret, health['details'])

    def test_what_needs_no_database_is_answered_as_always(self):
        for title, answer, status in [
                ('the index', self.stack.get('/api'), 200), ('no such path', self.stack.get('/api/none'), 404),
                ('a bad parameter', self.stack.get('/api/visitors?limit=0'), 400),
                ('a wrong method', self.stack.request('PUT', '/api/visitors'), 405),
                ('a bad name', self.stack.post('/api/visitors', {'name': ''}), 422),
                ('no token', self.stack.request('DELETE', '/api/visitors/1'), 401),
                ('OPTIONS', self.stack.request('OPTIONS', '/api/visitors'), 204)]:
            with self.subTest(title):
                self.assertEqual(answer.status, status)

    def test_the_log_has_a_line_for_a_change_and_none_for_a_try(self):
        def tries():
            return self.stack.log_text('postgres').count('not permitted to log in')

        def lines_of_no_request():
            return [line for line in self.stack.log('backend') if not line.get('request_id')]

        self.assertTrue(any('database' in line['event'] for line in lines_of_no_request()))
        for path in ('/api/visitors', '/api/visitors?q=x', '/api/stats', '/health'):  # each may have a connection
            stacks.wait_until(lambda: self.stack.get(path).status == 503, 5, f'{path} answers 503')
        counts = []
        for _ in range(2):
            before = tries()
            stacks.wait_until(lambda: tries() >= before + 5, 20, 'the app has tried five times more')
            counts.append(len(lines_of_no_request()))
        self.assertEqual(counts[0], counts[1])


class DatabaseBackTest(ContractTest):
    def test_a_key_that_met_no_database_is_not_used_up(self):
        pid = self.stack.pid('app')
        self.addCleanup(let_the_app_in, self.stack)
        refuse_the_app(self.stack)
        headers = {'Idempotency-Key': f'away-{os.urandom(8).hex()}'}
        self.assert_problem(self.stack.post('/api/visitors', {'name': 'again'}, headers), 503, DATABASE_AWAY)
        let_the_app_in(self.stack)
        self.assert_added(self.stack.post('/api/visitors', {'name': 'again'}, headers), 'again')
        self.assertEqual(self.stack.pid('app'), pid)  # it passed without a restart


class TableLockedTest(ContractTest):
    """Nobody can read or write the table for a while, as during a careless ALTER TABLE."""

    LASTS_S = 20

    LIMIT_S = 4  # well above the deadlines of the service, well below those of any client

    def test_reads_and_searches_are_given_up(self):
        with self.stack.locked('visitors'):
            for path in ('/api/visitors', '/api/visitors?q=locked'):
                with self.subTest(path):
                    start = time.monotonic()
                    answer = self.stack.get(path)
                    self.assert_problem(answer, 503, (DATABASE_AWAY, OVERLOADED), '/api/visitors')
                    self.assertLess(time.monotonic() - start, self.LIMIT_S)
        self.assertEqual(self.stack.get('/api/visitors').status, 200)

    def test_an_addition_that_is_given_up_was_not_made_or_says_that_nobody_knows(self):
        name, key = f'given up {os.urandom(4).hex()}', os.urandom(8).hex()
        with self.stack.locked('visitors'):
            start = time.monotonic()
            answer = self.stack.post('/api/visitors', {'name': name}, {'Idempotency-Key': key})
            problem = self.assert_problem(answer, 503, (DATABASE_AWAY, OVERLOADED, OUTCOME_UNKNOWN), '/api/visitors')
            self.assertLess(time.monotonic() - start, self.LIMIT_S)
        if problem['type'] != OUTCOME_UNKNOWN:
            self.assertEqual(self.stack.sql(f"SELECT count(*) FROM visitors WHERE name = '{name}'"), [('0',)])
        again = stacks.wait_until(
            lambda: (lambda a: a if a.status == 201 else None)(
                self.stack.post('/api/visitors', {'name': name}, {'Idempotency-Key': key})), 5, 'adding works again')
        self.assertEqual(self.stack.sql(f"SELECT id FROM visitors WHERE name = '{name}'"), [(str(again.json()['id']),)])

    def test_a_deletion_that_is_given_up_was_not_made_or_says_that_nobody_knows(self):
        id_ = self.add('not deleted')['id']
        with self.stack.locked('visitors'):
            answer = self.stack.as_admin('DELETE', f'/api/visitors/{id_}')
            problem = self.assert_problem(answer, 503, (DATABASE_AWAY, OVERLOADED, OUTCOME_UNKNOWN))
        if problem['type'] != OUTCOME_UNKNOWN:
            self.assertEqual(self.stack.get(f'/api/visitors/{id_}').status, 200)

    def test_what_waits_is_answered_when_the_lock_goes(self):
        answers = []

        def ask(method, body):
            answers.append(self.stack.request(method, '/api/visitors', body=body))

        with self.stack.locked('visitors'):
            threads = [threading.Thread(target=ask, args=arguments)
                       for arguments in [('POST', {'name': 'waited'}), ('GET', None)] * 5]
            for thread in threads:
                thread.start()
            stacks.wait_until(lambda: self.stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted')[0][0] != '0', 2,
                              'a statement of the service waits for the lock')
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answer.status for answer in answers), [200] * 5 + [201] * 5)


class ConfiguredOtherwiseTest(ContractTest):
    """A service with its limits on and without an admin token: the defaults."""

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.Stack(rate_limit=None, token=None)
        cls.addClassCleanup(cls.stack.stop)

    def test_without_a_token_configured_admins_get_403_whatever_is_sent(self):
        id_ = self.stack.sql("INSERT INTO visitors (name) VALUES ('stays') RETURNING id")[0][0]
        for authorization in (None, 'Bearer', 'Bearer ', 'Bearer x', f'Bearer {stacks.TOKEN}', 'Basic Og=='):
            headers = {'Authorization': authorization} if authorization is not None else {}
            for method, path in [('DELETE', f'/api/visitors/{id_}'), ('DELETE', '/api/visitors/0'),
                                 ('GET', '/api/visitors.csv')]:
                with self.subTest(f'{method} {path}', authorization=authorization):
                    self.assert_problem(self.stack.request(method, path, headers), 403, path=path)
            self.assertEqual(self.stack.request('HEAD', '/api/visitors.csv', headers).status, 403)
        self.assertEqual(self.stack.get(f'/api/visitors/{id_}').status, 200)

    def test_without_a_token_configured_who_added_a_visitor_takes_it_back(self):
        key = f'back-{os.urandom(8).hex()}'
        id_ = self.stack.sql('WITH added AS (INSERT INTO visitors (name) VALUES (\'taken back\') RETURNING *) '
                             'INSERT INTO idempotency_keys (key, requested_name, visitor_id, created_at) '
                             f"SELECT '{key}', name, id, created_at FROM added RETURNING visitor_id")[0][0]
        path = f'/api/visitors/{id_}'
        for headers in ({'Idempotency-Key': ''}, {'Idempotency-Key': f'{key}x'},
                        {'Idempotency-Key': key, 'Authorization': f'Bearer {stacks.TOKEN}'}):
            with self.subTest(headers):
                self.assert_problem(self.stack.request('DELETE', path, headers), 403, path=path)
        self.assertEqual(self.stack.request('DELETE', path, {'Idempotency-Key': key}).status, 204)
        self.assert_problem(self.stack.request('DELETE', path, {'Idempotency-Key': key}), 404, path=path)

    def test_too_many_additions_from_one_address_get_429(self):
        keys = [os.urandom(8).hex() for _ in range(300)]
        client = self.stack.client()
        self.addCleanup(client.close)
        refused = None
        for key in keys:
            answer = client.post('/api/visitors', {'name': f'{key} flood'}, {'Idempotency-Key': key})
            if answer.status == 429:
                refused = key
                break
            self.assertEqual(answer.status, 201)
        self.assertIsNotNone(refused, '300 additions in a row were not too many')
        self.assert_problem(answer, 429, RATE_LIMITED, '/api/visitors')
        wait_s = int(answer.headers['Retry-After'])

        with self.subTest('nothing was added'):
            self.assertEqual(self.stack.sql(f"SELECT count(*) FROM visitors WHERE name = '{refused} flood'"), [('0',)])
        with self.subTest('reading goes on'):
            for path in ('/api', '/api/visitors', '/api/stats', '/health'):
                self.assertEqual(client.get(path).status, 200)
        with self.subTest('the key is not used up, and works after as long as was said'):
            deadline = time.monotonic() + wait_s + 2
            while True:
                answer = client.post('/api/visitors', {'name': f'{refused} flood'}, {'Idempotency-Key': refused})
                if answer.status != 429 or time.monotonic() > deadline:
                    break
                self.assert_problem(answer, 429, RATE_LIMITED)
                time.sleep(0.2)  # a client's patience, not a synchronisation
            self.assert_added(answer, f'{refused} flood')


if __name__ == '__main__':
    unittest.main()
