"""Connections that are lost between a commit and its answer. What happened is found out by the keys; only what cannot be
known is said to be unknown; and a retry with its key adds nothing twice.

How a commit is held in doubt for as long as a test wants: PostgreSQL is told to wait, after the commit is on disk and
before it is answered, for a standby that does not exist."""
import http.client
import os
import signal
import threading
import unittest

from clients import ANSWER_S, OUTCOME_UNKNOWN, SLOW
from fault_test import FaultTest, alive
from stack import ROLE, sample, wait_until

LOCAL = 'SET synchronous_commit = local; '  # what the test itself commits does not wait


class InDoubtTest(FaultTest):
    EVERY_SERVICE = True
    CALM = True
    LASTS_S = 50

    def setUp(self):
        super().setUp()
        self.text = f'doubt {os.urandom(5).hex()}'
        self.key = {'Idempotency-Key': self.text.replace(' ', '-')}
        self.addCleanup(self.commit_at_once)

    def commit_at_once(self):
        wait_until(self.stack.healthy, 15, 'the database is there')
        self.configure(LOCAL + 'ALTER SYSTEM RESET synchronous_standby_names')
        self.stack.sql(LOCAL + f'ALTER ROLE {ROLE} RESET synchronous_commit')
        self.end_backends()
        wait_until(lambda: self.stack.post(sample.COLLECTION, sample.new('at once')).status == 201, 5, 'it commits at once')

    def in_doubt(self, method, path, body=None, headers=None):
        """Sends the request and returns when it is committed and not answered: the thread, where the answer goes, and
        the pid of the backend. Later sessions of the app do not wait."""
        def send():
            try:
                answers.append(self.stack.request(method, path, headers, body))
            except (OSError, http.client.HTTPException) as error:
                answers.append(error)

        answers = []
        self.configure(LOCAL + "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        wait_until(self.commits_wait, 10, 'PostgreSQL lets commits wait')
        thread = threading.Thread(target=send)
        thread.start()
        pid = wait_until(lambda: self.app_backends("wait_event = 'SyncRep'"), ANSWER_S, 'a commit waits')[0]
        self.stack.sql(LOCAL + f"ALTER ROLE {ROLE} SET synchronous_commit = 'local'")
        return thread, answers, pid

    def commits_wait(self):
        """Tries one of its own: PostgreSQL needs a moment to take notice."""
        with self.stack.sql_session() as session:
            session.process.stdin.write("SELECT pg_logical_emit_message(true, 'test', '');\n\\q\n")
            session.process.stdin.flush()
            cancelled = []
            while session.process.poll() is None:
                cancelled += self.stack.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            return cancelled

    def rows(self):
        return [int(row[0]) for row in self.stack.sql(
            f"SELECT id FROM {sample.TABLE} WHERE {sample.TEXT} = '{self.text}'")]

    def assert_added_once(self, item):
        self.assertEqual(self.rows(), [item['id']])
        again = self.stack.post(sample.COLLECTION, sample.new(self.text), self.key)
        self.assertEqual((again.status, again.json()), (201, item))
        self.assertEqual(again.headers['Idempotent-Replayed'], 'true')
        self.assertEqual(self.rows(), [item['id']])

    def assert_unknown(self, answer):
        self.assertEqual((answer.status, answer.json()['type']), (503, OUTCOME_UNKNOWN), answer)
        self.assertTrue(answer.headers['Retry-After'].isdigit())

    def test_an_addition_that_was_committed(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number.name):
                self.text = f'doubt {os.urandom(5).hex()}'
                self.key = {'Idempotency-Key': self.text.replace(' ', '-')}
                thread, answers, pid = self.in_doubt('POST', sample.COLLECTION, sample.new(self.text), self.key)
                os.kill(pid, number)
                thread.join()
                self.assertEqual(answers[0].status, 201, answers)
                self.assertIsNone(answers[0].headers['Idempotent-Replayed'])
                self.assertEqual([line['event'] for line in self.stack.log_of('backend', answers[0].headers['X-Request-Id'])],
                                 [sample.ADDED])
                self.assert_added_once(answers[0].json())
                self.commit_at_once()

    def test_an_addition_without_a_key_that_was_committed(self):
        thread, answers, pid = self.in_doubt('POST', sample.COLLECTION, sample.new(self.text))
        os.kill(pid, signal.SIGTERM)
        thread.join()
        self.assertEqual(answers[0].status, 201, answers)
        self.assertIsNone(answers[0].headers['Idempotent-Replayed'])
        self.assertEqual(self.rows(), [answers[0].json()['id']])

    def test_an_addition_whose_backend_froze(self):
        """Nothing is lost but time: the call is cut, and what it did cannot be known then."""
        thread, answers, pid = self.in_doubt('POST', sample.COLLECTION, sample.new(self.text), self.key)
        os.kill(pid, signal.SIGSTOP)
        try:
            thread.join()
            if answers[0].status == 503:
                self.assert_unknown(answers[0])
        finally:
            os.kill(pid, signal.SIGKILL)
        again = wait_until(lambda: self.added_again(), 5 * SLOW, 'a retry is answered')
        self.assert_added_once(again)

    def added_again(self):
        answer = self.stack.post(sample.COLLECTION, sample.new(self.text), self.key)
        return answer.json() if answer.status == 201 else None

    def test_an_addition_when_the_database_does_not_come_back_in_time(self):
        thread, answers, _ = self.in_doubt('POST', sample.COLLECTION, sample.new(self.text), self.key)
        postmaster = self.stack.pid('postgres')
        self.supervisor('-d', 'postgres')
        os.kill(postmaster, signal.SIGQUIT)
        try:
            thread.join()
            wait_until(lambda: not alive(postmaster), 10, 'PostgreSQL has ended')
        finally:
            self.supervisor('-u', 'postgres')
        self.assert_unknown(answers[0])
        self.commit_at_once()
        self.assertEqual(len(self.rows()), 1)
        self.assert_added_once(self.added_again())

    def test_an_addition_that_then_cannot_be_looked_up(self):
        """The connection was lost, the next one waits for a lock in vain: still nobody may say that nothing was added."""
        with self.stack.sql_session() as session:
            session.execute('SELECT 1;')  # connected before the app loses patience with the commit
            thread, answers, pid = self.in_doubt('POST', sample.COLLECTION, sample.new(self.text), self.key)
            locker = threading.Thread(target=session.execute, args=(
                f"BEGIN; {sample.key_row(self.key['Idempotency-Key'])} ON CONFLICT (key) DO UPDATE SET key = EXCLUDED.key;",))
            locker.start()  # waits for the commit in doubt, and then has the row before whoever comes later
            wait_until(lambda: not locker.is_alive() or self.stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted') != [('0',)], 5,
                       'the row is asked for, or had')
            os.kill(pid, signal.SIGTERM)
            locker.join()
            thread.join()
        self.assertEqual(len(self.rows()), 1)
        self.assert_unknown(answers[0])
        self.assert_added_once(self.added_again())

    def test_an_addition_that_was_not_committed(self):
        """The statement is still under way when its backend ends: the retry adds it."""
        self.stack.sql('CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS '
                       '$$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$; CREATE TRIGGER waits AFTER INSERT '
                       f'ON {sample.TABLE} FOR EACH STATEMENT EXECUTE FUNCTION wait_a_while()')
        self.addCleanup(self.stack.sql, 'DROP FUNCTION wait_a_while CASCADE')
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(self.stack.post(sample.COLLECTION, sample.new(self.text), self.key)))
        thread.start()
        pid = wait_until(lambda: self.app_backends("wait_event = 'PgSleep'"), ANSWER_S, 'the statement is under way')[0]
        os.kill(pid, signal.SIGTERM)
        thread.join()
        self.assertEqual(answers[0].status, 201, answers)
        self.assertIsNone(answers[0].headers['Idempotent-Replayed'])
        self.assertEqual(self.rows(), [answers[0].json()['id']])

    def test_a_deletion_that_was_committed(self):
        item = self.stack.post(sample.COLLECTION, sample.new(self.text)).json()
        path, admin = sample.item(item['id']), {'Authorization': f'Bearer {self.stack.token}'}
        thread, answers, pid = self.in_doubt('DELETE', path, None, admin)
        os.kill(pid, signal.SIGTERM)
        thread.join()
        if answers[0].status != 204:
            self.assert_unknown(answers[0])
        self.assertEqual(self.rows(), [])
        self.assertEqual(self.stack.request('DELETE', path, admin).status, 404)


if __name__ == '__main__':
    unittest.main()
