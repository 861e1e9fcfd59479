"""The Idempotency-Key makes a retry safe. (Restarts and kills: test_restart.py.)"""
import concurrent.futures
import contextlib
import itertools
import json
import os
import socket
import unittest

import stack as stacks
from contract import BLANK, KEY_REUSED, ContractTest
from stack import ROLE, sample, wait_until

JSON = {'Content-Type': 'application/json'}
VISIBLE = ''.join(map(chr, range(0x21, 0x7f)))

_numbers = itertools.count()


def new_key(prefix='key'):
    """A key that no test and no earlier run has used."""
    return f'{prefix}-{os.getpid()}-{os.urandom(4).hex()}-{next(_numbers)}'


def keyed(key, **headers):
    return {**JSON, 'Idempotency-Key': key, **headers}


class KeyTest(ContractTest):
    EVERY_SERVICE = True
    QUICK = True

    def post(self, key, text='keyed', headers=None):
        return self.send(key, sample.new(text), headers)

    def send(self, key, body, headers=None):
        return self.stack.post(sample.COLLECTION, body, headers or keyed(key))

    def test_a_key_is_1_to_64_visible_ascii_characters(self):
        for title, key in [
                ('one character', '~'),
                ('64 characters', new_key().ljust(64, '.')),
                ('every visible character, first half', VISIBLE[:47]),
                ('every visible character, second half', VISIBLE[47:]),
                ('a structured field', f'"{new_key()}"'),
                ('a UUID', '8e03978e-40d5-43dd-bc93-6894a57f9324'),
                ('what looks like SQL', f"');--{new_key()}"),
                ('what looks like a list', f'{new_key()},b')]:
            with self.subTest(title):
                first = self.assert_added(self.post(key), 'keyed')
                self.assertEqual(self.assert_added(self.post(key), 'keyed', replayed=True), first)

    def test_a_malformed_key_gets_400(self):
        before = self.table_count()
        for title, key in [('65 characters', 'k' * 65), ('a thousand characters', 'k' * 1000),
                           ('a space inside', f'{new_key()} b'), ('a tab inside', f'{new_key()}\tb'),
                           ('DEL', f'{new_key()}\x7f'), ('Latin-1', f'{new_key()}é'),
                           ('UTF-8', f'{new_key()}€'.encode().decode('latin-1'))]:
            with self.subTest(title):
                self.assert_problem(self.post(key), 400, path=sample.COLLECTION)
                self.assert_problem(self.send(key, None, {'Idempotency-Key': key}), 400)
        self.assertEqual(self.table_count(), before)

    def test_a_key_of_65_characters_is_not_cut_to_64(self):
        key = new_key().ljust(64, '.')
        self.assert_added(self.post(key), 'keyed')
        self.assert_problem(self.post(key + '.'), 400)

    def test_spaces_round_a_header_are_not_part_of_the_key(self):
        key = new_key()
        first = self.assert_added(self.post(key), 'keyed')
        self.assertEqual(self.assert_added(self.post(f'  {key}  '), 'keyed', replayed=True), first)

    def test_case_makes_another_key(self):
        key = new_key('case')
        first = self.assert_added(self.post(key), 'keyed')
        self.assertNotEqual(self.assert_added(self.post(key.upper()), 'keyed')['id'], first['id'])

    def test_a_replay_answers_the_same_and_adds_nothing(self):
        key = new_key()
        first = self.post(key)
        item = self.assert_added(first, 'keyed')
        before = self.table_count()
        for _ in range(3):
            again = self.post(key)
            self.assertEqual(self.assert_added(again, 'keyed', replayed=True), item)
            self.assertEqual(again.body, first.body)
        self.assertEqual(self.table_count(), before)

    def test_a_replay_may_write_the_same_otherwise(self):
        key = new_key()
        first = self.assert_added(self.send(key, json.dumps(sample.new('é x'), ensure_ascii=False)), 'é x')
        for title, body in [('escaped', json.dumps(sample.new('é x'))), ('to be trimmed', json.dumps(sample.new('  é x\n'))),
                            ('with white space', json.dumps(sample.new('é x'), ensure_ascii=False, indent=3))]:
            with self.subTest(title):
                self.assertEqual(self.assert_added(self.send(key, body), 'é x', replayed=True), first)

    def test_the_same_key_with_another_text_gets_422(self):
        for title, first, second in [('another text', 'Ada', 'Bob'), ('other case', 'Ada', 'ada'),
                                     ('another normal form', '\u00e9', 'e\u0301')]:
            with self.subTest(title):
                key = new_key()
                added = self.post(key, first)
                self.assertEqual(added.status, 201)
                before = self.table_count()
                self.assert_problem(self.post(key, second), 422, KEY_REUSED, sample.COLLECTION)
                self.assertEqual(self.table_count(), before)
                self.assertEqual(self.post(key, first).json(), added.json())

    def test_a_replay_after_a_deletion_answers_the_first_201_and_adds_nothing(self):
        key = new_key()
        first = self.assert_added(self.post(key, 'gone'), 'gone')
        path = sample.item(first['id'])
        self.assertEqual(self.stack.as_admin('DELETE', path).status, 204)
        before = self.table_count()
        self.assertEqual(self.assert_added(self.post(key, 'gone'), 'gone', replayed=True), first)
        self.assertEqual(self.table_count(), before)
        self.assert_problem(self.stack.get(path), 404)
        self.assert_problem(self.post(key, 'other'), 422, KEY_REUSED)

    def test_a_4xx_uses_up_no_key(self):
        other = sample.new('other')
        for title, status, body, headers in [
                ('a body that is no JSON', 400, b'{', {}), ('a bad text', 422, sample.new(''), {}),
                ('an unknown member', 422, {**other, 'nmae': 'keyed'}, {}),
                ('another media type', 415, other, {'Content-Type': 'text/plain'}),
                ('another site', 403, other, {'Sec-Fetch-Site': 'cross-site'}),
                ('a body too large', 413, json.dumps(other).ljust(sample.BODY_MAX_BYTES + 1), {})]:
            with self.subTest(title):
                key = new_key()
                self.assert_problem(self.send(key, body, keyed(key, **headers)), status, (BLANK, *sample.PROBLEMS))
                self.assert_added(self.post(key), 'keyed')  # not a replay

    def test_a_refused_text_does_not_take_the_place_of_the_first(self):
        key = new_key()
        first = self.assert_added(self.post(key), 'keyed')
        self.assert_problem(self.post(key, ''), 422, tuple(sample.PROBLEMS))
        self.assertEqual(self.assert_added(self.post(key), 'keyed', replayed=True), first)

    def test_many_at_once_with_one_key_add_one(self):
        for round_ in range(5):
            key, text = new_key(), f'at once {round_}'
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                answers = list(pool.map(lambda _: self.post(key, text), range(32)))
            first = [answer for answer in answers if answer.headers['Idempotent-Replayed'] is None]
            self.assertEqual(len(first), 1)
            item = self.assert_added(first[0], text)
            for answer in answers:
                if answer is not first[0]:
                    self.assertEqual(self.assert_added(answer, text, replayed=True), item)
            self.assertEqual(self.ids_of(text), [item['id']])

    def test_many_at_once_with_one_key_and_two_texts_add_one(self):
        for _ in range(5):
            key = new_key()
            texts = [f'{key}-{"ab"[n % 2]}' for n in range(32)]
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                answers = list(pool.map(lambda text: self.post(key, text), texts))
            rows = self.stack.sql(f"SELECT {sample.TEXT} FROM {sample.TABLE} WHERE {sample.TEXT} LIKE '{key}%'")
            self.assertEqual(len(rows), 1)
            for text, answer in zip(texts, answers):
                if text == rows[0][0]:
                    self.assertEqual(answer.status, 201, answer)
                else:
                    self.assert_problem(answer, 422, KEY_REUSED)

    def test_many_keys_at_once_add_one_each(self):
        keys = [new_key() for _ in range(200)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            first = list(pool.map(self.post, keys))
            again = list(pool.map(self.post, reversed(keys)))
        items = [self.assert_added(answer, 'keyed') for answer in first]
        self.assertEqual(len({item['id'] for item in items}), len(keys))
        self.assertEqual([answer.json() for answer in reversed(again)], items)
        self.assert_stored(items)

    @unittest.skipUnless(sample.BATCHES, 'the service keeps no batches')
    def test_a_key_is_kept_beside_additions_without_one(self):
        key, item = wait_until(self.added_beside_one_without_a_key, 20, 'both go to the database together')
        self.assertEqual(self.assert_added(self.post(key), 'keyed', replayed=True), item)

    def added_beside_one_without_a_key(self):
        """A key and what was added with it; None if the addition without a key came into another batch."""
        body = json.dumps(sample.new('keyed'))

        def send(*headers):
            connection = held.enter_context(
                socket.create_connection(('127.0.0.1', self.stack.port), stacks.ANSWER_TIMEOUT_S))
            head = (f'POST {sample.COLLECTION} HTTP/1.1', 'Host: x', 'Connection: close', 'Content-Type: application/json',
                    f'Content-Length: {len(body)}', *headers, '', body)
            connection.sendall('\r\n'.join(head).encode())
            return connection

        key = new_key()
        with contextlib.ExitStack() as held:
            with self.stack.locked(sample.TABLE):
                send()
                wait_until(lambda: self.stack.sql(f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' "
                                                  "AND wait_event_type = 'Lock'"), 5, 'the first waits for the table')
                both = [send(f'Idempotency-Key: {key}'), send()]
                self.assertEqual(self.stack.get('/api').status, 200)  # behind them
            answers = [stacks.Answer.parse(stacks.read_all(connection)) for connection in both]
        if {answer.status for answer in answers} != {201}:
            return None
        ids = [answer.json()['id'] for answer in answers]
        together = self.stack.sql(f'SELECT key FROM {sample.BATCHES} WHERE ids @> ARRAY{ids}::bigint[]')
        return (key, answers[0].json()) if together else None

    def test_an_addition_is_in_the_log_and_its_replay_is_not(self):
        key = new_key()
        first, _, later = self.post(key), self.post(key), self.stack.post(sample.COLLECTION, sample.new('later'))
        self.stack.log_of('backend', later.headers['X-Request-Id'])
        lines = [json.loads(line) for line in self.stack.log_lines('backend') if f'"{sample.ADDED}"' in line]
        self.assertEqual([(line['request_id'], line['id']) for line in lines[-2:]],
                         [(answer.headers['X-Request-Id'], answer.json()['id']) for answer in (first, later)])

    def add_until_gone(self, query):
        """Purging goes along with additions, every few seconds."""
        wait_until(lambda: self.add('another') and not self.stack.sql(query), 15, f'nothing is left of: {query}')

    def test_a_key_lives_for_24_hours(self):
        key, older = new_key(), new_key()
        item = self.assert_added(self.post(key), 'keyed')
        self.assert_added(self.post(older), 'keyed')
        # The key's age is not the API's, but only the table can make it old within a test's time.
        for aged, age in ((key, '23 hours 59 minutes'), (older, '26 hours')):
            self.stack.sql(f"UPDATE {sample.KEYS} SET created_at = created_at - interval '{age}' WHERE key = '{aged}'")
        self.add_until_gone(f"SELECT key FROM {sample.KEYS} WHERE key = '{older}'")
        self.assertEqual(self.assert_added(self.post(key), 'keyed', replayed=True)['id'], item['id'])

    @unittest.skipUnless(sample.BATCHES, 'the service keeps no batches')
    def test_a_batch_is_known_for_10_minutes(self):
        """By then nobody sends it again, and who only adds leaves no row for each addition."""
        mark = new_key('batch')
        for age in (9, 11):
            self.stack.sql(f"INSERT INTO {sample.BATCHES} VALUES ('{mark}-{age}', '{{}}', now() - interval '{age} minutes')")
        self.add_until_gone(f"SELECT key FROM {sample.BATCHES} WHERE key = '{mark}-11'")
        self.assertEqual(self.stack.sql(f"DELETE FROM {sample.BATCHES} WHERE key LIKE '{mark}%' RETURNING key"), [(f'{mark}-9',)])


if __name__ == '__main__':
    unittest.main()
