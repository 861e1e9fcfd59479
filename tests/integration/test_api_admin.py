"""Who may delete, and export where there is an export."""
import base64
import unittest

import stack as stacks
from contract import ContractTest
from stack import sample

ABSENT = sample.item(2 ** 63 - 1)


class DeletionTest(ContractTest):
    EVERY_SERVICE = True
    QUICK = True

    def test_a_deletion_answers_204_and_it_is_gone_everywhere(self):
        id_ = self.add('to be deleted')['id']
        path = sample.item(id_)
        before = self.table_count()
        answer = self.stack.as_admin('DELETE', path)
        self.assertEqual((answer.status, answer.body), (204, b''))
        self.assert_every_answer(answer)
        self.assert_problem(self.stack.get(path), 404, path=path)
        for page in [f'{sample.LIST}?limit=100', *([f'{sample.SEARCH}?q=to+be+deleted'] if sample.SEARCH else [])]:
            self.assertNotIn(id_, [item['id'] for item in self.stack.get(page).json()[sample.ITEMS]])
        self.assertEqual(self.table_count(), before - 1)

    def test_a_deletion_is_in_the_log(self):
        id_ = self.add('deleted and logged')['id']
        answer = self.stack.as_admin('DELETE', sample.item(id_))
        line, = self.stack.log_of('backend', answer.headers['X-Request-Id'])
        self.assertEqual((line['event'], line['id']), (sample.REMOVED, id_))

    def test_only_that_one_is_deleted(self):
        ids = [self.add(f'neighbour {n}')['id'] for n in range(3)]
        self.stack.as_admin('DELETE', sample.item(ids[1]))
        self.assertEqual([self.stack.get(sample.item(id_)).status for id_ in ids], [200, 404, 200])

    def test_deleting_what_is_not_there_gets_404(self):
        id_ = self.add('deleted twice')['id']
        self.stack.as_admin('DELETE', sample.item(id_))
        for title, path in [('deleted already', sample.item(id_)), ('never there', ABSENT),
                            ('zero', sample.item(0)), ('beyond an id', sample.item(2 ** 63))]:
            with self.subTest(title):
                self.assert_problem(self.stack.as_admin('DELETE', path), 404, path=path)

    def test_an_id_is_not_given_again(self):
        id_ = self.add('deleted')['id']
        self.stack.as_admin('DELETE', sample.item(id_))
        self.assertGreater(self.add('next')['id'], id_)


class TokenTest(ContractTest):
    QUICK = True

    def wrong(self):
        """Sentence, Authorization."""
        token = self.stack.token
        basic = base64.b64encode(f'admin:{token}'.encode()).decode()
        return [
            ('another token', 'Bearer another'),
            ('one character less', f'Bearer {token[:-1]}'),
            ('one character more', f'Bearer {token}x'),
            ('the first character other', f'Bearer x{token[1:]}'),
            ('the last character other', f'Bearer {token[:-1]}x'),
            ('in other case', f'Bearer {token.swapcase()}'),
            ('twice', f'Bearer {token}{token}'),
            ('twice with a space', f'Bearer {token} {token}'),
            ('in quotes', f'Bearer "{token}"'),
            ('without a scheme', token),
            ('with another scheme', f'Basic {basic}'),
            ('with an unknown scheme', f'Token {token}'),
            ('with a colon', f'Bearer: {token}'),
            ('run together', f'Bearer{token}'),
            ('with a tab', f'Bearer\t{token}'),
            ('no token', 'Bearer'),
            ('an empty token', 'Bearer '),
            ('a long token', 'Bearer ' + 'x' * 4000),
            ('bytes beyond ASCII', 'Bearer \xe9\xff'),
            ('the token with a comma', f'Bearer {token}, Bearer x'),
        ]

    def requests(self):
        deletions = [('DELETE', sample.item(self.add('guarded')['id'])), ('DELETE', ABSENT)]
        return deletions + ([('GET', sample.EXPORT), ('HEAD', sample.EXPORT)] if sample.EXPORT else [])

    def assert_401(self, answer, method, path):
        self.assertEqual(answer.status, 401)
        self.assertRegex(answer.headers['WWW-Authenticate'] or 'none', r'^Bearer( |$)')
        if method != 'HEAD':
            self.assert_problem(answer, 401, path=path)

    def test_a_missing_token_gets_401(self):
        for method, path in self.requests():
            with self.subTest(f'{method} {path}'):
                self.assert_401(self.stack.request(method, path), method, path)

    def test_a_wrong_token_gets_401(self):
        for method, path in self.requests():
            for title, authorization in self.wrong():
                with self.subTest(f'{method} {path}', title=title):
                    answer = self.stack.request(method, path, {'Authorization': authorization})
                    self.assert_401(answer, method, path)
                    if method != 'HEAD':
                        self.assertNotIn(self.stack.token.encode(), answer.body)
            if method == 'DELETE' and path != ABSENT:
                self.assertEqual(self.stack.get(path).status, 200)

    def test_a_wrong_token_learns_nothing(self):
        """Whether it is there, and how wrong the token is, changes nothing in the answer but its ids."""
        def shape(method, path, authorization):
            answer = self.stack.request(method, path, {'Authorization': authorization})
            problem = {**answer.json(), 'request_id': None, 'instance': None}
            headers = {name.lower(): value for name, value in answer.headers.items()
                       if name.lower() not in ('date', 'x-request-id', 'content-length')}
            return problem, headers

        expected = shape('DELETE', ABSENT, 'Bearer x')
        for method, path in self.requests()[:3]:
            for title, authorization in self.wrong():
                if authorization.startswith('Bearer ') and ',' not in authorization:
                    with self.subTest(f'{method} {path}', title=title):
                        self.assertEqual(shape(method, path, authorization), expected)

    def test_the_scheme_s_case_means_nothing(self):
        for scheme in ('bearer', 'BEARER'):
            with self.subTest(scheme):
                headers = {'Authorization': f'{scheme} {self.stack.token}'}
                self.assertEqual(self.stack.request('DELETE', ABSENT, headers).status, 404)
                if sample.EXPORT:
                    self.assertEqual(self.stack.request('HEAD', sample.EXPORT, headers).status, 200)

    def test_a_token_in_the_query_is_an_unknown_parameter(self):
        for name in ('token', 'access_token'):
            query = f'{name}={stacks.TOKEN.replace("+", "%2B")}'
            self.assertIn(self.stack.request('DELETE', f'{ABSENT}?{query}').status, (400, 401))
            if sample.EXPORT:
                self.assertIn(self.stack.get(f'{sample.EXPORT}?{query}').status, (400, 401))

    def test_the_token_stands_in_no_log(self):
        id_ = self.add('logged deletion')['id']
        answer = self.stack.as_admin('DELETE', sample.item(id_))
        self.stack.log_of('access', answer.headers['X-Request-Id'])
        for name in ('access', 'backend', 'error', 'postgres'):
            with self.subTest(name):
                self.assertNotIn(self.stack.token, self.stack.log_text(name))

    def test_reading_and_adding_take_no_token(self):
        headers = {'Authorization': 'Bearer wrong'}
        self.assertEqual(self.stack.get(sample.LIST, headers).status, 200)
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('free'), headers).status, 201)


if __name__ == '__main__':
    unittest.main()
