"""Whoever added a visitor may take it back: DELETE with the key that added it, within ten minutes, without the admin token.
(Where no token is configured: test_api_errors.py. In doubt: store_test.cpp.)"""
import concurrent.futures
import os
import threading
import unittest

import stack as stacks
from visitor_contract import VisitorTest

ABSENT = '/api/visitors/9223372036854775807'


def new_key():
    return f'back-{os.urandom(8).hex()}'


class TakingBackTest(VisitorTest):
    QUICK = True

    def add_with_key(self, name='taken back'):
        """The path of a visitor that is added for a test's sake, and the key that added it."""
        key = new_key()
        return f'/api/visitors/{self.add(name, key)["id"]}', key

    def take_back(self, path, key, headers=None):
        return self.stack.request('DELETE', path, {'Idempotency-Key': key, **(headers or {})})

    def insert_with_key(self, age):
        """As add_with_key, but the visitor is as old as this SQL interval."""
        key = new_key()
        id_ = self.stack.sql(f"""
            WITH added AS (INSERT INTO visitors (name, created_at)
                           VALUES ('aged', clock_timestamp() - interval '{age}') RETURNING id, created_at)
            INSERT INTO idempotency_keys (key, requested_name, visitor_id, created_at)
            SELECT '{key}', 'aged', id, created_at FROM added RETURNING visitor_id""")[0][0]
        return f'/api/visitors/{id_}', key

    def test_it_answers_204_and_the_visitor_is_gone_everywhere(self):
        path, key = self.add_with_key('back and gone')
        before = self.table_count()
        answer = self.take_back(path, key)
        self.assertEqual((answer.status, answer.body), (204, b''))
        self.assert_every_answer(answer)
        self.assert_problem(self.stack.get(path), 404, path=path)
        ids = [visitor['id'] for visitor in self.stack.get('/api/visitors?limit=100').json()['visitors']]
        self.assertNotIn(int(path.rsplit('/', 1)[1]), ids)
        self.assertEqual(self.stack.get('/api/visitors?q=back+and+gone').json()['total'], 0)
        self.assertEqual(self.table_count(), before - 1)

    def test_an_unnamed_visitor_is_taken_back_too(self):
        self.assertEqual(self.take_back(*self.add_with_key(None)).status, 204)

    def test_the_log_tells_it_from_a_deletion_by_the_admin(self):
        path, key = self.add_with_key()
        answer = self.take_back(path, key)
        line, = self.stack.log_of('backend', answer.headers['X-Request-Id'])
        self.assertEqual((line['event'], f'/api/visitors/{line["id"]}'), ('visitor_taken_back', path))
        for name in ('access', 'backend', 'error'):
            self.assertNotIn(key, self.stack.log_text(name))

    def test_once_it_is_taken_back_it_is_not_there(self):
        path, key = self.add_with_key()
        self.assertEqual(self.take_back(path, key).status, 204)
        self.assert_problem(self.take_back(path, key), 404, path=path)

    def test_what_the_admin_deleted_is_not_there(self):
        path, key = self.add_with_key()
        self.assertEqual(self.stack.as_admin('DELETE', path).status, 204)
        self.assert_problem(self.take_back(path, key), 404, path=path)

    def test_what_never_was_is_not_there(self):
        _, key = self.add_with_key()
        for path in (ABSENT, '/api/visitors/0', '/api/visitors/one', '/api/visitors/9223372036854775808'):
            for title, one in (('a key in use', key), ('a key of nobody', new_key())):
                with self.subTest(path, key=title):
                    self.assert_problem(self.take_back(path, one), 404, path=path)

    def test_what_is_sent_again_still_answers_the_first_201_and_adds_nothing(self):
        for name in ('sent again', None):
            with self.subTest(name=name):
                key = new_key()
                visitor = self.add(name, key)
                self.assertEqual(self.take_back(f'/api/visitors/{visitor["id"]}', key).status, 204)
                before = self.table_count()
                again = self.stack.post('/api/visitors', None if name is None else {'name': name},
                                        {'Idempotency-Key': key})
                self.assertEqual(self.assert_added(again, name, replayed=True), visitor)
                self.assertEqual(self.table_count(), before)
                self.assert_problem(self.take_back(f'/api/visitors/{visitor["id"]}', key), 404)

    def test_only_the_key_that_added_it_takes_it_back(self):
        path, key = self.add_with_key()
        _, others = self.add_with_key()
        without = f'/api/visitors/{self.add("without a key")["id"]}'
        for title, target, one in [('a key of nobody', path, new_key()), ('another visitor\'s key', path, others),
                                   ('a part of the key', path, key[:-1]), ('more than the key', path, f'{key}x'),
                                   ('in other case', path, key.upper()), ('a pattern', path, '%'),
                                   ('added without a key', without, key)]:
            with self.subTest(title):
                problem = self.assert_problem(self.take_back(target, one), 403, path=target)
                self.assertIn('Idempotency-Key', problem['detail'])
                self.assertEqual(self.stack.get(target).status, 200)
        self.assertEqual(self.take_back(path, key).status, 204)

    def test_ten_minutes_are_the_limit(self):
        for age, status in (('9 minutes 30 seconds', 204), ('10 minutes', 403), ('1 day', 403)):
            with self.subTest(age):
                path, key = self.insert_with_key(age)
                self.assertEqual(self.take_back(path, key).status, status)
                self.assertEqual(self.stack.get(path).status, 404 if status == 204 else 200)

    def test_another_visitor_under_the_same_number_is_not_the_one_that_the_key_added(self):
        """Somebody deletes by hand and inserts with the same id, as an import may."""
        path, key = self.add_with_key()
        id_ = path.rsplit('/', 1)[1]
        self.stack.sql(f"DELETE FROM visitors WHERE id = {id_}; INSERT INTO visitors (id, name) VALUES ({id_}, 'other')")
        self.assert_problem(self.take_back(path, key), 403)

    def test_the_first_addition_with_a_key_is_the_one_that_it_takes_back(self):
        path, key = self.add_with_key()
        self.assertEqual(self.stack.post('/api/visitors', {'name': 'other'}, {'Idempotency-Key': key}).status, 422)
        self.assertEqual(self.take_back(path, key).status, 204)

    def test_a_malformed_key_gets_400(self):
        path, key = self.add_with_key()
        for title, one in [('65 characters', 'k' * 65), ('a space inside', f'{key} b'), ('Latin-1', f'{key}\xe9')]:
            for target in (path, ABSENT):
                with self.subTest(title, path=target):
                    self.assert_problem(self.take_back(target, one), 400, path=target)
        self.assertEqual(self.stack.get(path).status, 200)

    def test_a_parameter_gets_400(self):
        path, key = self.add_with_key()
        self.assert_problem(self.take_back(f'{path}?x=1', key), 400, path=path)
        self.assertEqual(self.stack.get(path).status, 200)

    def test_an_empty_key_is_none(self):
        path, _ = self.add_with_key()
        for key in ('', '  '):
            self.assert_problem(self.take_back(path, key), 401, path=path)

    def test_a_request_with_authorization_is_the_admin_s_whatever_key_it_has(self):
        admin = {'Authorization': f'Bearer {self.stack.token}'}
        path, key = self.add_with_key()
        for authorization in ('Bearer wrong', 'Basic Og==', 'x'):
            answer = self.take_back(path, key, {'Authorization': authorization})
            self.assert_problem(answer, 401, path=path)
        self.assertEqual(self.stack.get(path).status, 200)
        self.assertEqual(self.take_back(path, 'k' * 65, admin).status, 204)
        self.assert_problem(self.take_back(path, key, admin), 404)
        old, _ = self.insert_with_key('1 day')
        self.assertEqual(self.take_back(old, new_key(), admin).status, 204)

    def test_another_site_s_page_cannot_do_it(self):
        path, key = self.add_with_key()
        for site in ('cross-site', 'same-site', 'other'):
            self.assert_problem(self.take_back(path, key, {'Sec-Fetch-Site': site}), 403, path=path)
        self.assertEqual(self.stack.get(path).status, 200)
        self.assertEqual(self.take_back(path, key, {'Sec-Fetch-Site': 'same-origin'}).status, 204)

    def test_of_many_at_once_one_takes_it_back(self):
        path, key = self.add_with_key()
        before = self.table_count()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: self.take_back(path, key), range(16)))
        self.assertEqual(sorted(answer.status for answer in answers), [204] + [404] * 15)
        self.assertEqual(self.table_count(), before - 1)

    def test_whoever_meets_a_deletion_under_way_is_told_that_it_is_gone(self):
        """The statement saw the visitor, and waits for another one that deletes it."""
        path, key = self.add_with_key()
        answers = []
        with self.stack.sql_session() as session:
            session.execute(f"BEGIN; DELETE FROM visitors WHERE id = {path.rsplit('/', 1)[1]};")
            thread = threading.Thread(target=lambda: answers.append(self.take_back(path, key)))
            thread.start()
            stacks.wait_until(lambda: self.stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted') != [('0',)], 5,
                              'the service waits for the row')
            session.execute('COMMIT;')
            thread.join()
        self.assert_problem(answers[0], 404, path=path)

    def test_if_match_is_honoured(self):
        key = f'match-{os.urandom(8).hex()}'
        path = f'/api/visitors/{self.add("matched", key)["id"]}'
        tag = self.stack.get(path).headers['ETag']
        for headers, status in [({'Idempotency-Key': f'{key}x', 'If-Match': '"no-such-tag"'}, 403),
                                ({'Idempotency-Key': f'{key}x', 'If-Match': tag}, 403),
                                ({'Idempotency-Key': f'{key} x', 'If-Match': '"no-such-tag"'}, 400),
                                ({'Idempotency-Key': key, 'If-Match': '"no-such-tag"'}, 412),
                                ({'Idempotency-Key': key, 'If-Match': tag}, 204),
                                ({'Idempotency-Key': key, 'If-Match': tag}, 404),
                                ({'Idempotency-Key': key, 'If-Match': '"no-such-tag"'}, 404)]:
            with self.subTest(headers):
                self.assertEqual(self.stack.request('DELETE', path, headers).status, status)


class WithoutTokenTest(VisitorTest):
    """A service that has no admin token."""

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.Stack(token=None)
        cls.addClassCleanup(cls.stack.stop)

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


if __name__ == '__main__':
    unittest.main()
