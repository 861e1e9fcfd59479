"""APP_REPLICATED: what is acknowledged is on a standby, and what is read is so wherever a standby may have taken over. A primary
and a real standby, each with all of PostgreSQL's own means, and apps beside them. (Whole clusters: tests/cluster.)"""
import concurrent.futures
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from beside import SLOW, App, url_of
from contract import OUTCOME_UNKNOWN
from stack import PSQL_ENVIRONMENT, ROLE, SqlSession, Stack, children, free_port, sample, wait_until

NAME = 's1'  # as synchronous_standby_names has it
# The connections of one app: each may leave one backend that waits.
CONNECTIONS = 6


def programs():
    return sorted(glob.glob('/usr/lib/postgresql/*/bin'))[-1]


class Server:
    """A copy of a stack's database, with a folder and a port of its own, that follows it until it is promoted."""

    def __init__(self, stack):
        self.folder, self.port = tempfile.mkdtemp(prefix='v-', dir='/tmp'), free_port()
        self.as_user = ['runuser', '-u', 'postgres', '--'] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.folder, 'postgres')
        self.data, self.receiver = f'{self.folder}/data', None
        self.run('pg_basebackup', '--pgdata', self.data, '--checkpoint=fast', '--write-recovery-conf', '--no-sync', '--dbname',
                 f"host='{stack.state_dir}/run' port={stack.postgres_port} application_name={NAME}")
        self.run('pg_ctl', 'start', '--pgdata', self.data, '--wait', '--log', f'{self.folder}/log', '--options',
                 f'-p {self.port} -c unix_socket_directories={self.folder} -c listen_addresses=127.0.0.1 -c logging_collector=off '
                 '-c hot_standby=on')

    def run(self, program, *arguments):
        return subprocess.run([*self.as_user, f'{programs()}/{program}', *arguments], cwd='/', check=True, text=True,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60, env=PSQL_ENVIRONMENT).stdout

    def sql(self, text):
        return self.run('psql', '-h', self.folder, '-p', str(self.port), '-d', sample.NAME, '-XqtA', '-v', 'ON_ERROR_STOP=1',
                        '-c', text).strip()

    def processes(self):
        with open(f'{self.data}/postmaster.pid') as file:
            postmaster = int(file.readline())
        return [postmaster, *children(postmaster)]

    def freeze(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def promote(self):
        """Has a standby of its own then, which only keeps the log."""
        self.run('pg_ctl', 'promote', '--pgdata', self.data, '--wait')
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
        self.sql('SELECT pg_reload_conf()')
        os.mkdir(f'{self.folder}/kept')
        if self.as_user:
            shutil.chown(f'{self.folder}/kept', 'postgres')
        self.receiver = subprocess.Popen(
            [*self.as_user, f'{programs()}/pg_receivewal', '--synchronous', '--directory', f'{self.folder}/kept', '--dbname',
             f'host={self.folder} port={self.port} application_name={NAME}'],
            cwd='/', env=PSQL_ENVIRONMENT, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == '1', 20, 'it is kept')

    def end(self):
        if self.receiver:
            self.receiver.terminate()
            self.receiver.wait()
        self.thaw()
        self.run('pg_ctl', 'stop', '--pgdata', self.data, '--mode=immediate')
        shutil.rmtree(self.folder)


class ReplicatedTest(unittest.TestCase):
    EVERY_SERVICE = True
    LASTS_S = 60

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)
        with open(f'{cls.stack.state_dir}/postgres/pg_hba.conf', 'a') as rules:
            rules.write('local  replication  all  peer\n')
        cls.stack.sql('SELECT pg_reload_conf()')

    def set(self, **settings):
        """By ALTER SYSTEM; until the end of the test."""
        def apply(values):
            for name, value in values.items():
                self.stack.sql(f"ALTER SYSTEM SET {name} = '{value}'" if value else f'ALTER SYSTEM RESET {name}')
            self.stack.sql('SELECT pg_reload_conf()')

        apply(settings)
        self.addCleanup(apply, dict.fromkeys(settings))

    def follow(self):
        """A synchronous standby."""
        server = Server(self.stack)
        self.addCleanup(server.end)
        self.set(synchronous_standby_names=NAME)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == [('1',)],
                   20, 'the standby follows')
        return server

    def app(self, *ports, **settings):
        return App(self.stack, DATABASE_URL=url_of(*(ports or [self.stack.postgres_port])), APP_REPLICATED='on', **settings)

    @staticmethod
    def add(app, text, key=None):
        headers = {'HTTP_IDEMPOTENCY_KEY': key} if key else {}
        return app.request('POST', sample.COLLECTION, json.dumps(sample.new(text)).encode(), **headers)

    def await_well(self, app):
        wait_until(lambda: app.get('/health').status == 200 and app.get(sample.LIST).status == 200
                   and self.add(app, 'well').status == 201, 20 * SLOW, 'the app is well')

    def test_a_server_that_would_lose_what_it_acknowledged_is_refused_by_name(self):
        for settings in ({'synchronous_standby_names': ''}, {'synchronous_standby_names': NAME, 'synchronous_commit': 'local'},
                         {'synchronous_standby_names': NAME, 'synchronous_commit': 'remote_write'}):
            self.set(**settings)
            with tempfile.NamedTemporaryFile('r') as log, open(log.name, 'wb') as stderr, App(
                    self.stack, stderr, APP_REPLICATED='on') as app:
                wait_until(lambda: list(settings)[-1] in open(log.name).read(), 10 * SLOW, f'{settings} is refused')
                self.assertEqual([app.get(path).status for path in ('/health', sample.LIST)], [503, 503])
            for name in settings:
                self.set(**{name: None})

    def test_without_its_standby_nothing_is_answered_and_nothing_piles_up(self):
        standby = self.follow()
        with self.app(ADMIN_TOKEN_FILE=self.stack.token_file) as app:
            self.await_well(app)
            id_ = self.add(app, 'before').json()['id']
            # There is nothing to commit for this one, but that there is nothing may be old.
            def remove():
                return app.request('DELETE', sample.item(2 ** 62), HTTP_AUTHORIZATION=f'Bearer {self.stack.token}')

            self.assertEqual(remove().status, 404)
            standby.freeze()
            wait_until(lambda: app.get('/health').status == 503, 5 * SLOW, 'it is not ready')
            asks = [lambda: app.get(sample.LIST), lambda: app.get(f'{sample.LIST}?before={id_}'), lambda: app.get(sample.item(id_)),
                    lambda: app.get(sample.item(2 ** 62)), lambda: self.add(app, 'in doubt'), remove, lambda: app.get('/health')]
            asks += [lambda path=path: app.get(path) for path in (sample.STATS,) if path]
            with concurrent.futures.ThreadPoolExecutor(len(asks)) as pool:
                for _ in range(4):
                    answers = list(pool.map(lambda ask: ask().status, asks))
                    self.assertEqual(answers, [503] * len(asks))
                    waiting, = self.stack.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event = 'SyncRep'")[0]
                    self.assertLessEqual(int(waiting), CONNECTIONS)
            standby.thaw()
            self.await_well(app)
            self.assertEqual(app.get(sample.item(id_)).json()[sample.TEXT], 'before')

    def test_where_locks_are_held_for_long_another_host_is_asked(self):
        standby = self.follow()
        standby.promote()
        self.set(synchronous_standby_names=None)
        ports = self.stack.postgres_port, standby.port
        with App(self.stack, DATABASE_URL=url_of(*ports)) as app, SqlSession(self.stack) as session:
            wait_until(lambda: self.add(app, 'at the first one').status == 201, 5 * SLOW, 'it is well')
            session.execute(f'BEGIN; LOCK TABLE {sample.TABLE};')
            wait_until(lambda: self.add(app, 'at the other one').status == 201, 30 * SLOW, 'the other host takes additions')
        rows = f"SELECT {sample.TEXT} FROM {sample.TABLE} WHERE {sample.TEXT} LIKE 'at the % one' ORDER BY id"
        self.assertEqual([row for row, in self.stack.sql(rows)], ['at the first one'])
        self.assertEqual(standby.sql(rows), 'at the other one')

    def test_a_wait_that_somebody_cancelled_is_no_acknowledgement(self):
        standby = self.follow()
        with self.app() as app, concurrent.futures.ThreadPoolExecutor(1) as pool:
            self.await_well(app)
            standby.freeze()
            asked = pool.submit(self.add, app, 'cancelled', 'cancelled-key')
            cancelled = ("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
                         "AND (query ~ 'INSERT' OR query ~* 'commit')")
            wait_until(lambda: self.stack.sql(cancelled), 2, 'it waits, and is cancelled')
            answer = asked.result()
            self.assertEqual((answer.status, answer.json()['type']), (503, OUTCOME_UNKNOWN))
            standby.thaw()
            wait_until(lambda: self.add(app, 'cancelled', 'cancelled-key').status == 201, 20 * SLOW, 'it is answered')
            count = self.stack.sql(f"SELECT count(*) FROM {sample.TABLE} WHERE {sample.TEXT} = 'cancelled'")
            self.assertEqual(count, [('1',)])

    def test_who_has_not_heard_of_the_new_primary_says_nothing_old(self):
        standby = self.follow()
        ports = self.stack.postgres_port, standby.port
        with self.app(*ports) as old, self.app(*reversed(ports)) as new:
            for app in (old, new):
                self.await_well(app)
            id_ = self.add(old, 'before').json()['id']
            standby.promote()
            wait_until(lambda: self.add(new, 'at the new one').status == 201, 20 * SLOW, 'the new primary takes additions')
            newest = int(standby.sql(f'SELECT max(id) FROM {sample.TABLE}'))
            self.assertEqual(standby.sql(f'SELECT {sample.TEXT} FROM {sample.TABLE} WHERE id = {id_}'), 'before')

            def tells_of_it():
                answers = [old.get(f'{sample.LIST}?limit=1'), old.get(sample.item(newest)), old.get(f'{sample.LIST}?before={newest + 1}')]
                for answer in answers:
                    if answer.status == 503:
                        continue
                    self.assertEqual(answer.status, 200, answer)
                    body = answer.json()
                    self.assertEqual(body.get('id', body.get(sample.ITEMS, [{}])[0].get('id')), newest, answer)
                return all(answer.status == 200 for answer in answers)

            wait_until(tells_of_it, 20 * SLOW, 'the app that was at the old primary is at the new one')
            wait_until(lambda: old.get('/health').status == 200, 10 * SLOW, 'and says so')
