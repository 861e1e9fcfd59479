"""Keys of visitors who gave no name, and of such who did only at one of two tries. What holds of every key: test_api_keys.py."""
import unittest

from contract import KEY_REUSED
from test_api_keys import keyed, new_key
from visitor_contract import VisitorTest


class UnnamedKeyTest(VisitorTest):
    QUICK = True

    def post(self, key, body, headers=None):
        return self.stack.post('/api/visitors', body, headers or keyed(key))

    def test_an_unnamed_visitor_is_replayed_too(self):
        key = new_key()
        visitor = self.assert_added(self.post(key, None, {'Idempotency-Key': key}))
        before = self.table_count()
        for body in (None, b'', b'{}', b'{"name":null}'):
            with self.subTest(body):
                self.assertEqual(self.assert_added(self.post(key, body), replayed=True), visitor)
        self.assertEqual(self.table_count(), before)

    def test_the_name_given_to_an_unnamed_visitor_is_another_name(self):
        key = new_key()
        visitor = self.assert_added(self.post(key, None))
        self.assert_problem(self.post(key, {'name': visitor['name']}), 422, KEY_REUSED)

    def test_no_name_and_a_name_are_not_the_same(self):
        for title, first, second in [
                ('no name after one', b'{"name":"Ada"}', b'{}'), ('no body after a name', b'{"name":"Ada"}', None),
                ('a name after none', None, b'{"name":"Ada"}')]:
            with self.subTest(title):
                key = new_key()
                added = self.post(key, first)
                self.assertEqual(added.status, 201)
                before = self.table_count()
                self.assert_problem(self.post(key, second), 422, KEY_REUSED, '/api/visitors')
                self.assertEqual(self.table_count(), before)
                self.assertEqual(self.post(key, first).json(), added.json())

    def test_a_replay_after_a_deletion_answers_the_first_201(self):
        key = new_key()
        visitor = self.assert_added(self.post(key, None))
        path = f'/api/visitors/{visitor["id"]}'
        self.assertEqual(self.stack.as_admin('DELETE', path).status, 204)
        before = self.table_count()
        self.assertEqual(self.assert_added(self.post(key, None), replayed=True), visitor)
        self.assertEqual(self.table_count(), before)
        self.assert_problem(self.stack.get(path), 404)
        self.assert_problem(self.post(key, b'{"name":"other"}'), 422, KEY_REUSED)


if __name__ == '__main__':
    unittest.main()
