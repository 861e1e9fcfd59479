"""Several machines as deploy/cluster/README.md sets them up: three database hosts, two apps, a web host, and a client that asks it. What runs
there, and how, is in the files that are shipped, at the paths that they name, with the addresses that they have. What is added to them is said
where it is. Knows how the cluster is built, asked and mended; nothing of loads or faults."""
import atexit
import glob
import http.client
import json
import os
import secrets
import shutil
import tempfile
import time

from host import PATH, Host, Network, run

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
SHIPPED = os.path.join(PROJECT, 'deploy', 'cluster')
ADDRESSES = {'db1': '10.0.0.11', 'db2': '10.0.0.12', 'db3': '10.0.0.13', 'app1': '10.0.0.21', 'app2': '10.0.0.22', 'web': '10.0.0.31',
             'client': '10.0.0.41'}
DATABASES, APPS = ('db1', 'db2', 'db3'), ('app1', 'app2')
# What systemd does with Debian's units: the environment from a file, the user.
ETCD = 'set -a; ETCD_DATA_DIR=/var/lib/etcd/default; . /etc/default/etcd; exec s6-setuidgid etcd etcd --logger zap --log-level error'
PATRONI = 'set -a; . /etc/patroni_env.conf; HOME=/var/lib/postgresql; cd /; exec s6-setuidgid postgres patroni /etc/patroni/config.yml'


def shipped(path):
    with open(os.path.join(SHIPPED, path), encoding='utf-8') as file:
        return file.read()


def await_(what, limit_s, condition):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f'not within {limit_s} s: {what}')
        time.sleep(0.2)
    return value


class Cluster:
    def __init__(self, say=lambda text: None):
        self.say = say
        self.folder = tempfile.mkdtemp(prefix='v-cluster-', dir='/tmp')
        self.token, self.helped = secrets.token_hex(20), 0
        self.passwords = {name: secrets.token_hex(16) for name in ('SUPERUSER', 'REPLICATION', 'REWIND', 'app', 'admin')}
        self.network, self.hosts = Network(f'v{os.getpid()}'), {}
        # An interrupted test may end without its cleanup.
        atexit.register(self.down)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

    def __getitem__(self, name):
        return self.hosts[name]

    def down(self):
        atexit.unregister(self.down)
        for host in self.hosts.values():
            host.remove()
        self.network.remove()
        shutil.rmtree(self.folder)

    # Setting up, in the order of the README.

    def up(self):
        began = time.monotonic()
        for name, address in ADDRESSES.items():
            services = {'etcd': ETCD, 'patroni': PATRONI} if name in DATABASES else {}
            self.hosts[name] = Host(self.network, self.folder, name, address, services)
        for name in DATABASES:
            self.prepare_database(self[name])
            self.switch_on(name)
        await_('a primary and two standbys', 120, self.is_whole)
        self.primary().run('setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', 'psql', '-Xqv', 'ON_ERROR_STOP=1',
                           '-c', f"CREATE ROLE visitors_admin LOGIN CREATEROLE CREATEDB PASSWORD '{self.passwords['admin']}'",
                           '-c', 'CREATE DATABASE visitors OWNER visitors_admin')
        self.say(f'the databases are there after {time.monotonic() - began:.0f} s: {self.roles()}')
        image = os.path.join(self.folder, 'image')
        run('make', '--no-print-directory', '-C', PROJECT, 'install', f'DESTDIR={image}', timeout=600)
        for name in (*APPS, 'web'):
            self.prepare_service(self[name], image)
            self.switch_on(name)
            self.start(name)
        self.switch_on('client')
        await_('/health is 200', 30, lambda: self.ask('GET', '/health')[0] == 200)
        self.say(f'the service is there after {time.monotonic() - began:.0f} s')

    @staticmethod
    def own(host, text):
        """What is db1's, app1's in a file becomes this host's, but not where all of a kind are named."""
        first = 'app1' if host.name in APPS else 'db1'
        return '\n'.join(line if line.startswith(('#', 'DATABASE_', 'ETCD_INITIAL_CLUSTER=')) else
                         line.replace(first, host.name).replace(ADDRESSES[first], host.address) for line in text.split('\n'))

    def prepare_database(self, host):
        host.put('/etc/default/etcd', self.own(host, shipped('database/etcd')))
        programs = sorted(glob.glob('/usr/lib/postgresql/*/bin'))[-1]
        host.put('/etc/patroni/config.yml', shipped('database/patroni.yml').replace('/usr/lib/postgresql/15/bin', programs))
        environment = self.own(host, shipped('database/patroni_env.conf'))
        for name in ('SUPERUSER', 'REPLICATION', 'REWIND'):
            environment = environment.replace(f'PATRONI_{name}_PASSWORD=', f'PATRONI_{name}_PASSWORD={self.passwords[name]}')
        host.put('/etc/patroni_env.conf', environment, mode=0o600)
        host.put('/etc/nftables.conf', shipped('database/nftables.conf'))
        host.make_folder('/var/lib/postgresql', 'postgres')
        host.make_folder('/var/lib/etcd', 'etcd')
        host.make_folder('/var/lib/etcd/default', 'etcd', 0o700)

    def prepare_service(self, host, image):
        """What the package or `make install` puts there, and the files of its role."""
        role = 'app' if host.name in APPS else 'web'
        shutil.copytree(os.path.join(image, 'usr', 'local'), host.path('/usr/local'), symlinks=True, dirs_exist_ok=True)
        # One client is all clients here.
        host.put('/etc/visitors/visitors.conf', self.own(host, shipped(f'{role}/settings.conf')) + 'RATE_LIMIT=off\n')
        host.put('/etc/nftables.conf', shipped(f'{role}/nftables.conf'))
        if role == 'app':
            host.put('/etc/visitors/database_password', self.passwords['app'] + '\n', mode=0o600)
            host.put('/etc/visitors/database_admin_password', self.passwords['admin'] + '\n', mode=0o600)
            host.put('/etc/visitors/admin_token', self.token + '\n', 'www-data', 0o600)

    # What runs.

    def switch_on(self, name):
        host = self[name]
        host.switch_on()
        if name != 'client':
            host.run('nft', '-f', '/etc/nftables.conf')

    def start(self, name):
        """Again every 5 s while it fails, as its unit does it: where there is no primary just then, an app cannot bring the database up to date."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.service(name, 'start')
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(5)

    def service(self, name, *command):
        """visitors start, stop, status … of an app or a web host."""
        return self[name].run('/usr/local/sbin/visitors', *command, env={'PATH': PATH, 'HOME': '/root'}).stdout

    def rest(self, host, path):
        """Patroni's word of one host to another, or nothing: one that is cut off says of itself what was so before."""
        for other in DATABASES:
            if other == host:
                continue
            try:
                with self[other].network_of_this_thread():
                    connection = http.client.HTTPConnection(ADDRESSES[host], 8008, timeout=1)
                    connection.request('GET', path)
                    return json.loads(connection.getresponse().read())
            except (OSError, ValueError, http.client.HTTPException):
                pass
        return {}

    def members(self):
        return next(({member['name']: member for member in found['members']} for name in DATABASES
                     if self[name].is_on() and (found := self.rest(name, '/cluster')).get('members')), {})

    def roles(self):
        return ' '.join(f'{name}={member["role"]}' for name, member in sorted(self.members().items()))

    def with_role(self, role):
        """The host that has it by etcd's word, as the others know it."""
        return next((self[name] for name, member in self.members().items() if member['role'] == role), None)

    def primary(self):
        return self.with_role('leader')

    def is_whole(self):
        """A primary, its synchronous standby and another, all in one history and each running by its own word."""
        members = self.members()
        return (sorted(member['role'] for member in members.values()) == ['leader', 'replica', 'sync_standby']
                and all(self.rest(name, '/patroni').get('state') == 'running' for name in DATABASES)
                and len({member.get('timeline') for member in members.values()}) == 1)

    def mend(self, limit_s=90):
        """All are on and connected. What does not come back by itself is made anew, as an operator would: it is counted."""
        for name, host in self.hosts.items():
            host.cut_off_from([])
            host.plug_in()
            if not host.is_on():
                self.switch_on(name)
                if name not in (*DATABASES, 'client'):
                    self.start(name)
        try:
            await_('all are there', limit_s / 2, self.is_whole)
        except TimeoutError:
            for name in DATABASES:
                if self.rest(name, '/patroni').get('state') != 'running' and (primary := self.primary()) not in (None, self[name]):
                    self.helped += 1
                    self.say(f'patronictl reinit {name}: {self.roles()}')
                    primary.run('patronictl', '-c', '/etc/patroni/config.yml', 'reinit', 'visitors', name, '--force', check=False)
            await_('all are there', limit_s / 2, self.is_whole)
        await_('/health is 200', 30, lambda: self.ask('GET', '/health')[0] == 200)

    # As a client.

    def connection(self, timeout_s=8, host='web', port=8080):
        connection = http.client.HTTPConnection(ADDRESSES[host], port, timeout=timeout_s)
        with self['client'].network_of_this_thread():
            connection.connect()
        # Another one of this object would be opened from somewhere else.
        connection.auto_open = False
        return connection

    def ask(self, method, path, body=None, headers=None):
        """Status and body; 0 where no answer came."""
        try:
            connection = self.connection()
            with connection.sock:
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b''

    def rows(self, statement):
        """Of the primary, as text, a list of lists."""
        found = self.primary().run('setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', 'psql', '-XqtA', '-d', 'visitors',
                                   '-c', statement).stdout
        return [line.split('|') for line in found.splitlines()]
