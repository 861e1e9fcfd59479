"""The database is not as it was left: settings, triggers, grants, rows and ids by hand, connections that ended while
idle, hosts that are silent. Each is answered rightly or with a 503 that says nothing wrong, and the log has the reason.
(Outages: tests/faults.)"""
import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import tempfile
import time
import unittest

import stack as stacks
from beside import App, url_of
from contract import DATABASE_AWAY, ContractTest
from stack import ROLE, sample, wait_until

SLOW = 4 if os.environ.get('SANITIZE') else 1


class DatabaseTest(ContractTest):
    """Leaves the database as it found it, and the app must have survived."""

    def setUp(self):
        wait_until(self.stack.healthy, 15, 'the service is well before the test')
        self.app = self.stack.pid('app')

    def tearDown(self):
        self.assertEqual(self.stack.pid('app'), self.app, 'the app has ended')

    def end_connections(self):
        """All of them are others, or gone, when it returns."""
        pids = [int(pid) for pid, in self.stack.sql(
            f"WITH app AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}') "
            'SELECT pid FROM app WHERE pg_terminate_backend(pid)')]
        wait_until(lambda: self.stack.sql(
            f"SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ('{{{','.join(map(str, pids))}}}')") == [('0',)],
            5, 'the sessions have ended')

    @contextlib.contextmanager
    def changed(self, change, undo, anew=True):
        """`anew`: only what connects later knows of it."""
        self.stack.sql(change)
        try:
            if anew:
                self.end_connections()
            yield
        finally:
            self.stack.sql(undo)
            if anew:
                self.end_connections()
            wait_until(lambda: self.stack.post(sample.COLLECTION, sample.new('well again')).status == 201, 5 * SLOW,
                       'all is well again')

    def at_once(self, count, send):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(send, range(count)))

    def log_size(self):
        return len(self.stack.log_lines('backend'))

    def reasons_since(self, size, event):
        return [line['reason'] for line in self.stack.log('backend')[size:] if line['event'] == event]


class ConnectionsTest(DatabaseTest):
    """Connections that ended, what is set for them, and hosts that do not answer."""

    LASTS_S = 40

    def test_connections_that_ended_while_idle_cost_no_answer(self):
        for title, status, send in [
                ('first page', 200, lambda n: self.stack.get(sample.LIST)),
                ('additions', 201, lambda n: self.stack.post(sample.COLLECTION, sample.new(f'idle {n}'))),
                ('older pages', 200, lambda n: self.stack.get(f'{sample.LIST}?before={2 ** 62 + n}')),
                ('one that is not there', 404, lambda n: self.stack.get(sample.item(2 ** 62 + n))),
                ('deletions', 404, lambda n: self.stack.as_admin('DELETE', sample.item(2 ** 63 - 1))),
                ('health', 200, lambda n: self.stack.get('/health')),
                *([('searches', 200, lambda n: self.stack.get(f'{sample.SEARCH}?q=idle'))] if sample.SEARCH else []),
                *([('statistics', 200, lambda n: self.stack.get(sample.STATS))] if sample.STATS else [])]:
            with self.subTest(title):
                self.end_connections()
                self.assertEqual({answer.status for answer in self.at_once(20, send)}, {status})

    def test_health_is_true_where_idle_sessions_are_ended(self):
        with self.changed(f"ALTER ROLE {ROLE} SET idle_session_timeout = '200ms'",
                          f'ALTER ROLE {ROLE} RESET idle_session_timeout'):
            for _ in range(3):
                wait_until(lambda: not self.stack.sql(f"SELECT FROM pg_stat_activity WHERE usename = '{ROLE}'"), 5,
                           'no session is left')
                self.assertEqual(self.stack.get('/health').status, 200)
                self.assertEqual(self.stack.get(sample.LIST).status, 200)

    def test_no_statement_is_compiled_before_it_is_run(self):
        """By PostgreSQL's JIT, which would take a hundred times as long as the statement; a table without statistics is enough for it."""
        def quickest_s(path):
            took = []
            for number in range(15):
                start = time.monotonic()
                self.assertEqual(self.stack.get(path.format(2 ** 62 + number)).status, 200)
                took.append(time.monotonic() - start)
            return min(took)

        names = 'jit_above_cost', 'jit_inline_above_cost', 'jit_optimize_above_cost'
        with self.changed(';'.join(f'ALTER ROLE {ROLE} SET {name} = 0' for name in names),
                          ';'.join(f'ALTER ROLE {ROLE} RESET {name}' for name in names)):
            # Beside an answer for which the database is not asked: compiled, it would take more than a hundred times as long.
            self.assertLess(quickest_s(f'{sample.LIST}?before={{}}'), 30 * quickest_s('/api'))

    def test_settings_of_the_role_change_nothing(self):
        settings = {'default_transaction_isolation': "'serializable'", 'default_transaction_read_only': 'on',
                    'default_transaction_deferrable': 'on', 'array_nulls': 'off', 'standard_conforming_strings': 'off',
                    'datestyle': "'SQL, DMY'", 'intervalstyle': "'sql_standard'", 'timezone': "'Asia/Kathmandu'",
                    'search_path': '\'"$user"\'', 'client_encoding': "'LATIN1'", 'statement_timeout': "'1ms'",
                    'lock_timeout': "'1ms'", 'row_security': 'off', 'client_min_messages': "'error'"}
        role = f'ALTER ROLE {ROLE} IN DATABASE {sample.NAME}'
        with self.changed(''.join(f'{role} SET {name} = {value};' for name, value in settings.items()), f'{role} RESET ALL'):
            self.assert_works()

    def test_settings_of_the_database_change_nothing(self):
        database = f'ALTER DATABASE {sample.NAME}'
        with self.changed(f'{database} SET search_path = \'"$user"\'; {database} SET array_nulls = off', f'{database} RESET ALL'):
            self.assertEqual(self.stack.get(sample.LIST).status, 200)
            self.assert_added(self.stack.post(sample.COLLECTION, sample.LEAST), None)
            self.assertEqual(self.stack.get('/health').status, 200)

    def test_a_server_that_is_read_only_has_its_reason(self):
        undo = 'SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only'
        reload = 'SELECT pg_reload_conf()'
        size = self.log_size()
        self.stack.sql('ALTER SYSTEM SET default_transaction_read_only = on')
        self.stack.sql(reload)
        try:
            wait_until(lambda: self.stack.sql('SHOW default_transaction_read_only') == [('on',)], 5, 'it is read-only')
            self.end_connections()
            wait_until(lambda: self.stack.get('/health').status == 503, 5, 'it is not ready')
            self.assertTrue(any('default_transaction_read_only' in reason
                                for reason in self.reasons_since(size, 'database_away')))
        finally:
            self.stack.sql(undo)
            self.stack.sql(reload)
            wait_until(lambda: self.stack.post(sample.COLLECTION, sample.new('well again')).status == 201, 5 * SLOW,
                       'all is well again')

    def assert_works(self):
        for text in (None, 'é \\ " \' {}'):
            key = {'Idempotency-Key': f'settings-{os.urandom(8).hex()}'}
            body = sample.LEAST if text is None else sample.new(text)
            item = self.assert_added(self.stack.post(sample.COLLECTION, body, key), text)
            self.assertEqual(self.assert_added(self.stack.post(sample.COLLECTION, body, key), text, replayed=True), item)
            self.assert_stored([item])
            self.assertEqual(self.stack.get(f'{sample.LIST}?limit=1').json()[sample.ITEMS][0]['id'], item['id'])
        if sample.SEARCH:
            found = self.stack.get(f'{sample.SEARCH}?limit=1&q=%C3%89+%5C+%22').json()[sample.ITEMS]
            self.assertEqual([each['id'] for each in found], [item['id']])
        self.assertEqual(self.stack.get('/health').status, 200)
        for path in filter(None, (sample.item(item['id']), sample.STATS)):
            self.assertEqual(self.stack.get(path).status, 200)
        self.assertEqual(self.stack.as_admin('DELETE', sample.item(item['id'])).status, 204)

    # An app of its own with several hosts, of which some take connections and never say a word.

    def app_with(self, *ports):
        return App(self.stack, DATABASE_URL=url_of(*ports))

    def silent_ports(self, count):
        ports = []
        for _ in range(count):
            listener = socket.create_server(('127.0.0.1', 0))
            self.addCleanup(listener.close)
            ports.append(listener.getsockname()[1])
        return ports

    def test_silent_hosts_cost_one_budget_and_not_one_each(self):
        with self.app_with(*self.silent_ports(4)) as app:
            for method, path, body in (('GET', sample.LIST, b''),
                                       ('POST', sample.COLLECTION, json.dumps(sample.new('nobody hears')).encode())):
                start = time.monotonic()
                self.assertEqual(app.request(method, path, body).status, 503)
                self.assertLess(time.monotonic() - start, 4.9 * SLOW)
            self.assertEqual(app.get('/health').status, 503)
            start = time.monotonic()
            app.process.send_signal(signal.SIGTERM)
            self.assertEqual(app.process.wait(10 * SLOW), 0)
            self.assertLess(time.monotonic() - start, 4 * SLOW)

    def test_the_good_host_is_reached_also_if_it_is_the_last(self):
        with self.app_with(*self.silent_ports(3), self.stack.postgres_port) as app:
            for path in (sample.LIST, '/health'):
                wait_until(lambda path=path: app.get(path).status == 200, 10 * SLOW, f'{path} is answered')

    def test_hosts_that_refuse_cost_nothing(self):
        nobody = [stacks.free_port() for _ in range(2)]
        with self.app_with(*nobody, self.stack.postgres_port) as app:
            wait_until(lambda: app.get(sample.LIST).status == 200, 2 * SLOW, 'it is answered')

    def test_the_log_has_each_host_and_its_reason(self):
        nobody, silent = stacks.free_port(), self.silent_ports(1)[0]
        with tempfile.NamedTemporaryFile('r') as log, App(self.stack, open(log.name, 'wb'), DATABASE_URL=url_of(nobody, silent)):
            reasons = f'127.0.0.1:{nobody}: ', 'refused', f'127.0.0.1:{silent}: no connection in time'
            wait_until(lambda: any(all(reason in line for reason in reasons) for line in open(log.name)), 10 * SLOW, 'it is told')


class AlteringTest(DatabaseTest):
    """Triggers, rules, policies, grants and rows by hand: nothing that is not so is acknowledged, and nothing done."""

    EVERY_SERVICE = True
    LASTS_S = 30

    def trigger(self, table, event, body):
        return (f'CREATE FUNCTION altering() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN {body} END $body$;'
                f'CREATE TRIGGER altering BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION altering()',
                'DROP FUNCTION altering CASCADE')

    def assert_refused(self, answer):
        self.assert_problem(answer, 503, DATABASE_AWAY)

    def keys(self):
        return self.stack.sql(f'SELECT count(*) FROM {sample.KEYS}')

    def test_additions(self):
        for title, change, undo, always in [
                ('keys dropped', *self.trigger(sample.KEYS, 'INSERT', 'RETURN NULL;'), False),
                *([('batches dropped', *self.trigger(sample.BATCHES, 'INSERT', 'RETURN NULL;'), True)] if sample.BATCHES else []),
                ('items dropped', *self.trigger(sample.TABLE, 'INSERT', 'RETURN NULL;'), True),
                ('texts changed', *self.trigger(
                    sample.TABLE, 'INSERT', f"NEW.{sample.TEXT} := NEW.{sample.TEXT} || '!'; RETURN NEW;"), True),
                ('a rule', f'CREATE RULE altering AS ON INSERT TO {sample.TABLE} DO INSTEAD NOTHING',
                 f'DROP RULE altering ON {sample.TABLE}', True),
                ('rows hidden', f'ALTER TABLE {sample.KEYS} ENABLE ROW LEVEL SECURITY',
                 f'ALTER TABLE {sample.KEYS} DISABLE ROW LEVEL SECURITY', False)]:
            key = {'Idempotency-Key': f'altering-{title.replace(" ", "-")}'}
            with self.subTest(title):
                with self.changed(change, undo, anew=False):
                    before, keys = self.table_count(), self.keys()
                    self.assert_refused(self.stack.post(sample.COLLECTION, sample.new('Ada'), key))
                    if always:
                        self.assert_refused(self.stack.post(sample.COLLECTION, sample.new('Ada')))
                    self.assertEqual((self.table_count(), self.keys()), (before, keys))
                self.assert_added(self.stack.post(sample.COLLECTION, sample.new('Ada'), key), 'Ada')  # it was not used up

    def test_one_row_that_is_dropped_fails_alone(self):
        change, undo = self.trigger(sample.TABLE, 'INSERT',
                                    f"IF NEW.{sample.TEXT} = 'dropped' THEN RETURN NULL; END IF; RETURN NEW;")
        with self.changed(change, undo, anew=False):
            statuses = self.at_once(12, lambda n: self.stack.post(
                sample.COLLECTION, sample.new('kept' if n % 4 else 'dropped')).status)
        self.assertEqual(statuses, [201 if n % 4 else 503 for n in range(12)])

    def test_a_deletion_that_is_not_done_is_no_404(self):
        item = self.add('kept')
        path = sample.item(item['id'])
        for title, change, undo in [
                ('a trigger', *self.trigger(sample.TABLE, 'DELETE', 'RETURN NULL;')),
                ('a rule', f'CREATE RULE altering AS ON DELETE TO {sample.TABLE} DO INSTEAD NOTHING',
                 f'DROP RULE altering ON {sample.TABLE}')]:
            with self.subTest(title), self.changed(change, undo, anew=False):
                self.assert_refused(self.stack.as_admin('DELETE', path))
        self.assertEqual(self.stack.get(path).json(), item)
        wait_until(lambda: self.stack.as_admin('DELETE', path).status == 204, 5 * SLOW, 'it is deleted')

    def test_whatever_the_database_says_of_a_statement_is_no_unknown_outcome(self):
        """Of each class of errors that PostgreSQL has one, and those that libpqxx has a kind of its own for."""
        codes = ('03000 08000 08006 08P01 09000 0A000 20000 21000 22012 23000 23502 23503 23505 23514 24000 25006 '
                 '26000 28000 2F002 34000 38000 40000 40001 40P01 42501 42601 42703 42883 42P01 44000 53100 53200 '
                 '53300 53400 54000 55000 55P03 57014 58030 F0000 HV000 P0001 P0002 XX000 XX001 ZZ999').split()
        change, undo = self.trigger(sample.TABLE, 'INSERT', f"IF NEW.{sample.TEXT} LIKE 'error _____' THEN "
                                    f"RAISE EXCEPTION 'made' USING ERRCODE = substr(NEW.{sample.TEXT}, 7); END IF; RETURN NEW;")
        with self.changed(change, undo, anew=False):
            for code in codes:
                with self.subTest(code):
                    size = self.log_size()
                    answer = self.stack.post(sample.COLLECTION, sample.new(f'error {code}'))
                    if code[:2] in ('22', '23') and code != '23505':
                        self.assert_problem(answer, 422)
                        continue
                    self.assert_refused(answer)
                    self.assertEqual(self.reasons_since(size, 'database_away'), [])
                    self.assertIn(code[:2], [reason[:2] for reason in self.reasons_since(size, 'statement_failed')])
        self.assertEqual(self.ids_of('error %'), [])

    def test_a_grant_that_is_missing_is_known_by_name_before_anybody_asks(self):
        """The app asks when it starts, and is not ready before it has all."""
        # Besides the service's own: one of the machinery's, and a sequence that only a column's default names.
        changes = [(f'REVOKE {grant} FROM {ROLE}', f'GRANT {grant} TO {ROLE}', what)
                   for grant, what in {**sample.GRANTS, 'UPDATE ON kept_answers': 'kept_answers'}.items()]
        changes.append((f'CREATE TABLE forgotten (number serial); GRANT INSERT ON forgotten TO {ROLE}', 'DROP TABLE forgotten',
                        'forgotten_number_seq'))
        for change, undo, what in changes:
            with self.subTest(change):
                size = self.log_size()
                with self.changed(change, undo):
                    self.stack.kill('app')
                    wait_until(lambda: any(what in reason for reason in self.reasons_since(size, 'database_away')), 15,
                               'the log names what is missing')
                    self.assertEqual(self.stack.get('/health').status, 503)
                wait_until(self.stack.healthy, 15, 'the app has all that it needs')
                self.app = self.stack.pid('app')

    def checks(self):
        return self.stack.sql("SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                              f"WHERE conrelid = '{sample.TABLE}'::regclass AND contype = 'c'")

    def test_a_time_that_cannot_be_shown_is_a_503_with_its_reason(self):
        checks = self.checks()
        self.stack.sql(''.join(f'ALTER TABLE {sample.TABLE} DROP CONSTRAINT {name};' for name, _ in checks))
        self.addCleanup(self.stack.sql, f"DELETE FROM {sample.TABLE} WHERE {sample.TEXT} = 'odd'; " + ''.join(
            f'ALTER TABLE {sample.TABLE} ADD CONSTRAINT {name} {definition};' for name, definition in checks))
        for time_ in ('infinity', '-infinity', '10000-01-01', '0044-03-15 BC', '294276-12-31 23:59:59'):
            with self.subTest(time_):
                size = self.log_size()
                [[id_]] = self.stack.sql(sample.row('odd', f"'{time_}'"))
                for path in (sample.LIST, sample.item(id_), f'{sample.LIST}?before={int(id_) + 1}',
                             *([f'{sample.SEARCH}?q=odd'] if sample.SEARCH else [])):
                    self.assert_problem(self.stack.get(path), 503, DATABASE_AWAY)
                reasons = self.reasons_since(size, 'statement_failed')
                self.assertTrue(any('a time is' in reason for reason in reasons), reasons)
                self.assert_added(self.stack.post(sample.COLLECTION, sample.new('Ada')), 'Ada')
                self.stack.sql(f'DELETE FROM {sample.TABLE} WHERE id = {id_}')
                self.assertEqual(self.stack.get(sample.LIST).status, 200)

    def test_ids_that_were_inserted_by_hand_are_skipped(self):
        next_id = int(self.stack.sql(f"SELECT nextval('{sample.SEQUENCE}')")[0][0])
        far = 2 ** 62
        self.stack.sql(''.join(sample.row('imported', id_=id_) for id_ in [*range(next_id + 2, next_id + 602, 2), far]))
        try:
            before = self.table_count()
            keyed = {'Idempotency-Key': f'imported-{next_id}'}
            first = self.assert_added(self.stack.post(sample.COLLECTION, sample.new('Ada'), keyed), 'Ada')
            second = self.assert_added(self.stack.post(sample.COLLECTION, sample.new('Ada'), keyed), 'Ada', replayed=True)
            self.assertEqual(second, first)
            answers = self.at_once(20, lambda n: self.stack.post(sample.COLLECTION, sample.new(f'after {n}')))
            self.assertEqual({answer.status for answer in answers}, {201})
            ids = [answer.json()['id'] for answer in answers]
            self.assertEqual(len(set(ids)), 20)
            self.assertGreater(min(ids), next_id)
            self.assertLess(max(ids), far)
            self.assertEqual(self.table_count(), before + 21)
            self.assertEqual(self.stack.get(f'{sample.LIST}?limit=1').json()['total'], before + 21)
        finally:
            self.stack.sql(f"DELETE FROM {sample.TABLE} WHERE {sample.TEXT} = 'imported'")


if __name__ == '__main__':
    unittest.main()
