"""Each way in which the database fails its clients, made for real. In all of them each request is answered in time, with
its result or with a 503 that says when to try again; the page does not notice; /health tells the truth; and when the
cause has gone, all is well within 3 s without a restart of the app."""
import os
import signal
import unittest

from clients import ANSWER_S, API, NOTHING_DONE, SLOW, WHOLE_S
from fault_test import FaultTest, alive, signal_all
from stack import ROLE, sample, wait_until


class AwayTest(FaultTest):
    """Nobody listens, or whoever listened is killed."""

    CALM = True
    LASTS_S = 50

    def test_absent_when_the_app_starts(self):
        def begin():
            self.supervisor('-d', 'postgres')
            wait_until(lambda: not alive(postmaster), 20, 'PostgreSQL has ended')
            self.kill('app')

        postmaster = self.stack.pid('postgres')
        self.go_through(begin, lambda: self.supervisor('-u', 'postgres'), suffers=API, holds_s=2, same_app=False)

    def test_stopped_and_started_again(self):
        def begin():
            self.supervisor('-d', 'postgres')
            wait_until(lambda: not alive(postmaster), 20, 'PostgreSQL has ended')

        postmaster = self.stack.pid('postgres')
        self.go_through(begin, lambda: self.supervisor('-u', 'postgres'), suffers=API, health_away=True, holds_s=3)

    def test_restarted_fast(self):
        self.go_through(lambda: self.kill('postgres', signal.SIGINT))

    def test_restarted_immediately(self):
        self.go_through(lambda: self.kill('postgres', signal.SIGQUIT))

    def test_postmaster_killed(self):
        self.go_through(lambda: self.kill('postgres'))

    def test_postmaster_and_children_killed(self):
        def begin():
            old = self.postgres_pids()
            signal_all(old, signal.SIGKILL)
            wait_until(lambda: self.stack.pid('postgres') not in (old[0], None), 25, 'another postmaster runs')

        self.go_through(begin)

    def test_a_backend_killed(self):
        """PostgreSQL then ends all sessions and recovers, since the killed one may have spoilt the shared memory."""
        self.go_through(lambda: os.kill(self.app_backends()[0], signal.SIGKILL))

    def test_each_backend_ended(self):
        self.go_through(self.end_backends)


class FrozenTest(FaultTest):
    """What was sent is received, and never answered: no time-out of libpq's helps."""

    EVERY_SERVICE = True
    CALM = True
    LASTS_S = 40

    def test_all_of_it_for_seconds(self):
        def begin():
            pids.extend(self.postgres_pids())  # by now the app has all its connections
            signal_all(pids, signal.SIGSTOP)

        pids = []
        self.go_through(begin, lambda: signal_all(pids, signal.SIGCONT), suffers=API, health_away=True, holds_s=6)

    def test_one_backend_after_the_other(self):
        """Each of the app's connections in turn; what was frozen stays so, and the app does not wait for it."""
        for pid in self.app_backends():
            with self.subTest(pid):
                def begin(pid=pid):
                    wait_until(lambda: self.frozen_between_transactions(pid), 10, 'it is frozen, and holds no lock')

                def end(pid=pid):
                    try:
                        wait_until(lambda: whole(), ANSWER_S, 'all is well beside the frozen one')
                    finally:
                        signal_all([pid], signal.SIGCONT)

                def whole(pid=pid, count=len(self.app_backends())):
                    """A success that the frozen one cannot have given: all connections are others by then."""
                    return len(self.app_backends(f'pid <> {pid}')) >= count

                self.go_through(begin, end)

    def frozen_between_transactions(self, pid):
        """In the middle of one, its locks would hold up whoever comes next: nobody could help that."""
        os.kill(pid, signal.SIGSTOP)
        if not self.stack.sql(f"SELECT pid FROM pg_locks WHERE pid = {pid} AND locktype = 'transactionid'"):
            return True
        os.kill(pid, signal.SIGCONT)
        return False


class LockedTest(FaultTest):
    """It answers, but a table is not free."""

    CALM = True
    LASTS_S = 25

    def test_a_table_locked(self):
        for table, suffering in sample.LOCKED.items():
            with self.subTest(table):
                locks = []
                self.go_through(lambda table=table: locks.append(self.stack.locked(table)), lambda: locks.pop().close(),
                                suffers=suffering, holds_s=3)

    def test_many_different_reads_of_a_locked_table(self):
        """They share no query, and each query waits for seconds: those behind are not answered one after the other."""
        locks = []
        self.go_through(lambda: locks.append(self.stack.locked(sample.TABLE)), lambda: locks.pop().close(),
                        suffers=API, holds_s=6, readers=6)


class RefusingTest(FaultTest):
    """It answers, but does not do what it is asked."""

    CALM = True
    LASTS_S = 60

    def test_read_only(self):
        def end():
            self.configure('SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only')

        self.go_through(lambda: self.configure('ALTER SYSTEM SET default_transaction_read_only = on'), end,
                        suffers=('add', 'delete'), holds_s=2)

    def test_connections_used_up(self):
        """Others have taken every slot that the app may have, and its own connections are lost."""
        def all_taken():
            session = self.stack.sql_session()
            try:
                session.execute('SELECT 1;')
            except RuntimeError:  # the slot of a session that is just ending
                session.close()
            else:
                sessions.append(session)
            return len(sessions) == 11  # all but those for the superuser

        def begin():
            # Without this the app would be the quicker one where a slot becomes free.
            self.stack.sql(f'ALTER ROLE {ROLE} CONNECTION LIMIT 0')
            self.end_backends()
            wait_until(lambda: not self.app_backends(), 5, "the app's sessions have ended")
            wait_until(all_taken, 20 * SLOW, 'others have every slot')  # a psql for each
            sessions[0].execute(f'ALTER ROLE {ROLE} CONNECTION LIMIT -1;')

        def end():
            while sessions:
                sessions.pop().close()

        sessions = []
        self.stack.sql('ALTER SYSTEM SET max_connections = 14')
        self.addCleanup(self.kill, 'postgres', signal.SIGINT)
        self.addCleanup(self.configure, 'ALTER SYSTEM RESET max_connections')
        self.addCleanup(self.stack.sql, f'ALTER ROLE {ROLE} CONNECTION LIMIT -1')
        self.addCleanup(end)
        self.kill('postgres', signal.SIGINT)
        wait_until(self.stack.healthy, 10, 'all is well with fewer connections')
        self.go_through(begin, end, suffers=API, health_away=True, holds_s=2)

    def test_a_limit_of_connections_for_the_role(self):
        def begin():
            self.stack.sql(f'ALTER ROLE {ROLE} CONNECTION LIMIT 0')
            self.end_backends()

        self.go_through(begin, lambda: self.stack.sql(f'ALTER ROLE {ROLE} CONNECTION LIMIT -1'), suffers=API,
                        health_away=True, holds_s=3)

    def test_a_privilege_revoked(self):
        """Found out at a connection: not a new one for each request. Who deletes has another, which stays good."""
        self.go_through(lambda: self.stack.sql(f'REVOKE INSERT ON {sample.TABLE} FROM {ROLE}'),
                        lambda: self.stack.sql(f'GRANT INSERT ON {sample.TABLE} TO {ROLE}'), suffers=('add',), holds_s=2)

    def test_commits_that_a_power_cut_could_undo(self):
        """Such a server is not worked with, and the log says why."""
        for setting in ('fsync', 'synchronous_commit'):
            with self.subTest(setting):
                def told(event, reason='', size=self.log_size()):
                    return [line for line in self.log_since(size)
                            if line['event'] == event and reason in line.get('reason', '')]

                self.configure(f'ALTER SYSTEM SET {setting} = off')
                try:
                    wait_until(lambda: self.stack.sql(f'SHOW {setting}') == [('off',)], 5, 'new sessions have it')
                    self.end_backends()
                    self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('not durable')).status, 503)
                    self.assertTrue(told('database_away', setting))
                finally:
                    self.configure(f'ALTER SYSTEM RESET {setting}')
                wait_until(lambda: told('database_connected'), WHOLE_S, 'all is well again')

    def test_an_addition_that_takes_too_long(self):
        """It is given up before its connection is cut."""
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('quick')).status, 201)  # over its connection
        before = set(self.app_backends())
        self.stack.sql('CREATE FUNCTION wait_long() RETURNS trigger LANGUAGE plpgsql AS '
                       '$$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$; CREATE TRIGGER waits AFTER INSERT '
                       f'ON {sample.TABLE} FOR EACH STATEMENT EXECUTE FUNCTION wait_long()')
        self.addCleanup(self.stack.sql, 'DROP FUNCTION wait_long CASCADE')
        answer = self.stack.post(sample.COLLECTION, sample.new('slow'))
        self.assertEqual((answer.status, answer.json()['type']), (503, NOTHING_DONE[0]), answer)
        self.assertEqual(set(self.app_backends()), before)

    def test_a_wrong_password(self):
        def write(text):
            with open(path, 'w') as file:  # in place: its owner and mode stay
                file.write(text)

        def begin():
            write('not-this-one\n')
            self.end_backends()

        path = os.path.join(self.stack.state_dir, 'secrets', 'database_password')
        with open(path) as file:
            right = file.read()
        self.go_through(begin, lambda: write(right), suffers=API, health_away=True, holds_s=2)
        self.assertNotIn('not-this-one', self.stack.log_text('backend') + self.stack.log_text('postgres'))

    def test_no_password_file(self):
        def begin():
            os.rename(path, f'{path}.away')
            self.end_backends()

        path = os.path.join(self.stack.state_dir, 'secrets', 'database_password')
        self.go_through(begin, lambda: os.rename(f'{path}.away', path), suffers=API, health_away=True, holds_s=1)

    def test_no_ids_left(self):
        """No fault of what was sent; the log says whose it is."""
        size = self.log_size()
        [[last]] = self.stack.sql(f'SELECT last_value FROM {sample.SEQUENCE}')
        self.go_through(lambda: self.stack.sql(f"SELECT setval('{sample.SEQUENCE}', {2 ** 63 - 1})"),
                        lambda: self.stack.sql(f"SELECT setval('{sample.SEQUENCE}', {int(last) + 1_000_000})"),
                        suffers=('add',), holds_s=1)
        reasons = {line['reason'] for line in self.log_since(size) if line['event'] == 'statement_failed'}
        self.assertTrue(any(reason.startswith('2200H ') for reason in reasons), reasons)

    def test_a_table_missing(self):
        self.go_through(lambda: self.stack.sql(f'ALTER TABLE {sample.TABLE} RENAME TO table_away'),
                        lambda: self.stack.sql(f'ALTER TABLE table_away RENAME TO {sample.TABLE}'),
                        suffers=('add', 'delete', 'first_page', 'one'), holds_s=2)

    def test_the_schema_missing_when_the_app_starts(self):
        def begin():
            self.stack.sql('ALTER SCHEMA public RENAME TO public_away')
            self.kill('app')

        self.go_through(begin, lambda: self.stack.sql('ALTER SCHEMA public_away RENAME TO public'), suffers=API,
                        holds_s=2, same_app=False)


if __name__ == '__main__':
    unittest.main()
