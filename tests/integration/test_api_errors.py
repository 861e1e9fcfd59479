"""The errors where something is amiss or configured otherwise: the database away, a table that
nobody can read, too many additions, no token. A 503 says when to come again and whether anything was added."""
import os
import threading
import time
import unittest

import stack as stacks
from contract import (DATABASE_AWAY, OUTCOME_UNKNOWN, OVERLOADED, RATE_LIMITED, ContractTest)
from stack import ROLE, sample


# Each of these may have a connection to the database of its own.
READS = [sample.LIST, *([f'{sample.SEARCH}?q=x'] if sample.SEARCH else []), *([sample.STATS] if sample.STATS else [])]


def refuse_the_app(stack):
    """The database refuses the app, as with a wrong password or while it is being restored."""
    stack.sql(f'ALTER ROLE {ROLE} NOLOGIN; '
              f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
    stacks.wait_until(lambda: stack.get(sample.LIST).status == 503, 5, 'reading answers 503')
    # The first addition may meet a connection that was cut just now, and is then of unknown outcome.
    stacks.wait_until(lambda: stack.post(sample.COLLECTION, sample.new('away')).json().get('type') == DATABASE_AWAY, 5,
                      'adding answers database-away')


def let_the_app_in(stack):
    stack.sql(f'ALTER ROLE {ROLE} LOGIN')
    stacks.wait_until(lambda: stack.healthy() and all(stack.get(path).status == 200 for path in READS)
                      and stack.post(sample.COLLECTION, sample.new('back')).status == 201,
                      10, 'the app is back in the database')


class DatabaseAwayTest(ContractTest):
    EVERY_SERVICE = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.item = cls.stack.post(sample.COLLECTION, sample.new('there before')).json()
        cls.addClassCleanup(let_the_app_in, cls.stack)
        refuse_the_app(cls.stack)

    def test_every_answer_that_needs_the_database_is_503_database_away(self):
        path = sample.item(self.item['id'])
        for method, target, body in [*(('GET', path, None) for path in READS), ('GET', path, None), ('DELETE', path, None),
                                     *([('GET', sample.EXPORT, None)] if sample.EXPORT else []),
                                     ('POST', sample.COLLECTION, sample.new('no'))]:
            with self.subTest(f'{method} {target}'):
                start = time.monotonic()
                headers = {'Authorization': f'Bearer {self.stack.token}'}
                answer = self.stack.request(method, target, headers, body)
                self.assert_problem(answer, 503, DATABASE_AWAY, target.split('?')[0])
                self.assertLess(time.monotonic() - start, 4)
        self.assertEqual(self.ids_of('no'), [])
        self.assertIn(self.item['id'], self.ids_of('there before'))

    def test_health_says_so_and_nothing_of_the_inside(self):
        answer = stacks.wait_until(lambda: (lambda a: a if a.status == 503 else None)(self.stack.get('/health')), 5,
                                   '/health answers 503')
        self.assert_every_answer(answer)
        self.assertEqual(answer.headers['Cache-Control'], 'no-store')
        health = answer.json()
        self.assertEqual(set(health), {'status', 'details'})
        self.assertEqual(health['status'], 'error')
        self.assertTrue(health['details'])
        for secret in (ROLE, 'password', 'SELECT', '127.0.0.1', self.stack.state_dir, 'localhost', 'role '):
            self.assertNotIn(secret, health['details'])

    def test_what_needs_no_database_is_answered_as_always(self):
        for title, answer, status in [
                ('the index', self.stack.get('/api'), 200), ('no such path', self.stack.get('/api/none'), 404),
                ('a bad parameter', self.stack.get(f'{sample.LIST}?limit=0'), 400),
                ('a wrong method', self.stack.request('PUT', sample.LIST), 405),
                ('a bad text', self.stack.post(sample.COLLECTION, sample.new('')), 422),
                ('no token', self.stack.request('DELETE', sample.item(1)), 401),
                ('OPTIONS', self.stack.request('OPTIONS', sample.COLLECTION), 204)]:
            with self.subTest(title):
                self.assertEqual(answer.status, status)

    def test_the_log_has_a_line_for_a_change_and_none_for_a_try(self):
        def tries():
            return self.stack.log_text('postgres').count('not permitted to log in')

        def lines_of_no_request():
            return [line for line in self.stack.log('backend') if not line.get('request_id')]

        self.assertTrue(any('database' in line['event'] for line in lines_of_no_request()))
        for path in (*READS, '/health'):
            stacks.wait_until(lambda: self.stack.get(path).status == 503, 5, f'{path} answers 503')
        counts = []
        for _ in range(2):
            before = tries()
            stacks.wait_until(lambda: tries() >= before + 5, 20, 'the app has tried five times more')
            counts.append(len(lines_of_no_request()))
        self.assertEqual(counts[0], counts[1])


class DatabaseBackTest(ContractTest):
    EVERY_SERVICE = True

    def test_a_key_that_met_no_database_is_not_used_up(self):
        pid = self.stack.pid('app')
        self.addCleanup(let_the_app_in, self.stack)
        refuse_the_app(self.stack)
        headers = {'Idempotency-Key': f'away-{os.urandom(8).hex()}'}
        self.assert_problem(self.stack.post(sample.COLLECTION, sample.new('again'), headers), 503, DATABASE_AWAY)
        let_the_app_in(self.stack)
        self.assert_added(self.stack.post(sample.COLLECTION, sample.new('again'), headers), 'again')
        self.assertEqual(self.stack.pid('app'), pid)  # it passed without a restart


class TableLockedTest(ContractTest):
    """Nobody can read or write the table for a while, as during a careless ALTER TABLE."""

    EVERY_SERVICE = True
    LASTS_S = 20

    # As nginx/snippets/fastcgi.conf has it: 2 s where only the lock is waited for, more where the machine stalls and the call is cut.
    LIMIT_S = 4.9

    def test_reads_and_searches_are_given_up(self):
        with self.stack.locked(sample.TABLE):
            for path in [sample.LIST, *([f'{sample.SEARCH}?q=locked'] if sample.SEARCH else [])]:
                with self.subTest(path):
                    start = time.monotonic()
                    answer = self.stack.get(path)
                    self.assert_problem(answer, 503, (DATABASE_AWAY, OVERLOADED), path.partition('?')[0])
                    self.assertLess(time.monotonic() - start, self.LIMIT_S)
        stacks.wait_until(lambda: self.stack.get(sample.LIST).status == 200, 5, 'reading works again')

    def test_an_addition_that_is_given_up_was_not_made_or_says_that_nobody_knows(self):
        text, key = f'given up {os.urandom(4).hex()}', os.urandom(8).hex()
        with self.stack.locked(sample.TABLE):
            start = time.monotonic()
            answer = self.stack.post(sample.COLLECTION, sample.new(text), {'Idempotency-Key': key})
            problem = self.assert_problem(answer, 503, (DATABASE_AWAY, OVERLOADED, OUTCOME_UNKNOWN), sample.COLLECTION)
            self.assertLess(time.monotonic() - start, self.LIMIT_S)
        if problem['type'] != OUTCOME_UNKNOWN:
            self.assertEqual(self.ids_of(text), [])
        again = stacks.wait_until(
            lambda: (lambda a: a if a.status == 201 else None)(
                self.stack.post(sample.COLLECTION, sample.new(text), {'Idempotency-Key': key})), 5, 'adding works again')
        self.assertEqual(self.ids_of(text), [again.json()['id']])

    def test_a_deletion_that_is_given_up_was_not_made_or_says_that_nobody_knows(self):
        id_ = self.add('not deleted')['id']
        with self.stack.locked(sample.TABLE):
            answer = self.stack.as_admin('DELETE', sample.item(id_))
            problem = self.assert_problem(answer, 503, (DATABASE_AWAY, OVERLOADED, OUTCOME_UNKNOWN))
        if problem['type'] != OUTCOME_UNKNOWN:
            self.assertEqual(self.stack.get(sample.item(id_)).status, 200)

    def test_what_waits_is_answered_when_the_lock_goes(self):
        answers = []

        def ask(method, path, body):
            answers.append(self.stack.request(method, path, body=body))

        with self.stack.locked(sample.TABLE):
            threads = [threading.Thread(target=ask, args=arguments)
                       for arguments in [('POST', sample.COLLECTION, sample.new('waited')), ('GET', sample.LIST, None)] * 5]
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
        [[id_]] = self.stack.sql(sample.row('stays'))
        for authorization in (None, 'Bearer', 'Bearer ', 'Bearer x', f'Bearer {stacks.TOKEN}', 'Basic Og=='):
            headers = {'Authorization': authorization} if authorization is not None else {}
            exports = [(method, sample.EXPORT) for method in ('GET', 'HEAD') if sample.EXPORT]
            for method, path in [('DELETE', sample.item(id_)), ('DELETE', sample.item(0)), *exports[:1]]:
                with self.subTest(f'{method} {path}', authorization=authorization):
                    self.assert_problem(self.stack.request(method, path, headers), 403, path=path)
            for method, path in exports:
                self.assertEqual(self.stack.request(method, path, headers).status, 403)
        self.assertEqual(self.stack.get(sample.item(id_)).status, 200)

    def test_too_many_additions_from_one_address_get_429(self):
        keys = [os.urandom(8).hex() for _ in range(300)]
        client = self.stack.client()
        self.addCleanup(client.close)
        refused = None
        for key in keys:
            answer = client.post(sample.COLLECTION, sample.new(f'{key} flood'), {'Idempotency-Key': key})
            if answer.status == 429:
                refused = key
                break
            self.assertEqual(answer.status, 201)
        self.assertIsNotNone(refused, '300 additions in a row were not too many')
        self.assert_problem(answer, 429, RATE_LIMITED, sample.COLLECTION)
        wait_s = int(answer.headers['Retry-After'])

        with self.subTest('nothing was added'):
            self.assertEqual(self.ids_of(f'{refused} flood'), [])
        with self.subTest('reading goes on'):
            for path in ('/api', '/health', *READS):
                self.assertEqual(client.get(path).status, 200)
        with self.subTest('the key is not used up, and works after as long as was said'):
            deadline = time.monotonic() + wait_s + 2
            while True:
                answer = client.post(sample.COLLECTION, sample.new(f'{refused} flood'), {'Idempotency-Key': refused})
                if answer.status != 429 or time.monotonic() > deadline:
                    break
                self.assert_problem(answer, 429, RATE_LIMITED)
                time.sleep(0.2)  # a client's patience, not a synchronisation
            self.assert_added(answer, f'{refused} flood')


if __name__ == '__main__':
    unittest.main()
