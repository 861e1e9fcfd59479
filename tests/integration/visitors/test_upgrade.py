"""A book of version 1.5.2, with its database and its logs as they were then, under this version: nothing is missing, keys are known,
and nobody has to do anything but stop the old one and start the new one."""
import os
import stat
import unittest

from contract import verify_all
from stack import Stack

# What book_1_5_2.sql has: ids and names; a visitor that was deleted, and whose key is still known.
VISITORS = [(1, 'Ada'), (3, '😀 emoji'), (4, 'Visitor_4')]
KEYS = {'key-964fa5': (1, 'Ada'), 'key-d6385c': (2, 'José da Silva'), 'key-c689e3': (3, '😀 emoji')}
LOGS = ('access', 'error', 'backend', 'postgres')


class UpgradeTest(unittest.TestCase):
    LASTS_S = 15

    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.stop)
        with open(os.path.join(os.path.dirname(__file__), 'book_1_5_2.sql'), encoding='utf-8') as book:
            old = book.read()
        self.stack.sql('DROP SCHEMA public CASCADE; DROP EXTENSION IF EXISTS pg_trgm; CREATE SCHEMA public AUTHORIZATION pg_database_owner;' + old)
        # Else they would be too old by now, and purged.
        self.stack.sql('UPDATE idempotency_keys SET created_at = now(); UPDATE batches SET created_at = now()')
        self.stack.make('stop')
        # Root opened them, and anyone could read them.
        folder = os.path.join(self.stack.state_dir, 'log')
        os.chmod(folder, 0o755)
        for name in LOGS:
            os.chown(os.path.join(folder, f'{name}.log'), os.geteuid(), os.getegid())
            os.chmod(os.path.join(folder, f'{name}.log'), 0o644)
        self.stack.start()

    def test_everything_is_there_and_goes_on(self):
        rows = verify_all(self, self.stack)
        self.assertEqual([(id_, name) for id_, name, _ in rows], VISITORS)
        for key, (id_, name) in KEYS.items():
            answer = self.stack.post('/api/visitors', {'name': name}, {'Idempotency-Key': key})
            self.assertEqual((answer.status, answer.json()['id'], answer.headers['Idempotent-Replayed']), (201, id_, 'true'))
        self.assertEqual(self.stack.post('/api/visitors', {'name': 'new'}).json()['id'] > 4, True)
        self.assertEqual(self.stack.get('/api/visitors?q=EMOJI').json()['total'], 1)
        self.assertEqual(self.stack.as_admin('DELETE', '/api/visitors/1').status, 204)
        verify_all(self, self.stack)
        for name in LOGS:
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.stack.state_dir, 'log', f'{name}.log')).st_mode), 0o640, name)
