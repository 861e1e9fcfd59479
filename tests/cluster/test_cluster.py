"""Several machines, in short: what make cluster does in six minutes, with three faults, one after the other. And what needs no
machines: that the files that are shipped name the same hosts, and that those who read them take them."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import faults
import nemesis
from cluster import ADDRESSES, APPS, DATABASES, SHIPPED, Cluster, await_, shipped
from host import PATH, can_be_made

SEED = 'short'


class FilesTest(unittest.TestCase):
    """Each host of a role is named wherever all of them are."""

    def addresses(self, path, wanted):
        found = re.findall(wanted, shipped(path))
        self.assertTrue(found, f'{path}: {wanted}')
        return [set(re.findall(r'\d+\.\d+\.\d+\.\d+', line)) for line in found]

    def test_the_hosts_are_the_same_in_each_file(self):
        databases, apps = ({ADDRESSES[name] for name in names} for names in (DATABASES, APPS))
        for path, wanted, hosts in [
                ('database/etcd', '(?m)^ETCD_INITIAL_CLUSTER=.*', databases), ('database/patroni.yml', r'(?m)^  hosts: .*', databases),
                ('database/nftables.conf', r'set databases .*', databases), ('database/nftables.conf', r'set apps .*', apps),
                ('app/settings.conf', r'(?m)^DATABASE_(?:ADMIN_)?URL=.*', databases), ('app/haproxy.cfg', r'(?s)server db1.*', databases),
                ('app/nftables.conf', r'set webs .*', {ADDRESSES['web']}), ('web/settings.conf', r'(?m)^APP_SERVERS=.*', apps)]:
            for found in self.addresses(path, wanted):
                with self.subTest(path=path, wanted=wanted):
                    self.assertEqual(found, hosts)

    def test_each_file_says_what_it_is_for(self):
        for folder, _, names in os.walk(SHIPPED):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), SHIPPED)
                first = next(line for line in shipped(path).split('\n') if not line.startswith('#!'))
                self.assertRegex(first, '^# ', path)

    def test_systemd_takes_what_is_added_to_the_units_of_debian(self):
        units = '/lib/systemd/system'
        for name in ('etcd', 'patroni'):
            if not os.path.exists(f'{units}/{name}.service'):
                self.skipTest(f'{name} is not installed: local/packages cluster')
            with self.subTest(name), tempfile.TemporaryDirectory(prefix='v-') as folder:
                os.mkdir(f'{folder}/{name}.service.d')
                shutil.copy(os.path.join(SHIPPED, 'database', f'{name}.service.conf'), f'{folder}/{name}.service.d/cluster.conf')
                verified = subprocess.run(['systemd-analyze', 'verify', '--man=no', f'{name}.service'], capture_output=True, text=True,
                                          env={**os.environ, 'SYSTEMD_UNIT_PATH': f'{folder}:{units}'})
                self.assertEqual([line for line in verified.stderr.split('\n') if folder in line or 'cluster.conf' in line], [])
                self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_haproxy_takes_its_file(self):
        if not os.path.exists('/usr/sbin/haproxy'):
            self.skipTest('haproxy is not installed: local/packages cluster')
        subprocess.run(['/usr/sbin/haproxy', '-c', '-f', os.path.join(SHIPPED, 'app', 'haproxy.cfg')], check=True)


class ClusterTest(unittest.TestCase):
    ALONE = True
    LASTS_S = 150
    HANGS_AFTER_S = 600

    @classmethod
    def setUpClass(cls):
        if reason := can_be_made():
            raise unittest.SkipTest(f'several machines were not tried: {reason}')
        cls.cluster = cls.enterClassContext(Cluster(print))

    def test_nothing_is_lost_old_or_there_twice(self):
        self.assertEqual(nemesis.run(self.cluster, faults.SHORT, SEED, print), [])

    def test_nobody_but_who_must_can_connect(self):
        """From the client: the page alone."""
        for host, port, reached in [('web', 8080, True), ('app1', 9000, False), ('app2', 9001, False), ('db1', 5432, False), ('db2', 8008, False),
                                    ('db3', 2379, False)]:
            with self.subTest(host=host, port=port):
                try:
                    self.cluster.connection(2, host, port).close()
                    self.assertTrue(reached)
                except ConnectionRefusedError:
                    self.assertFalse(reached)

    def test_haproxy_beside_an_app_finds_the_primary(self):
        app = self.cluster['app1']
        app.put('/etc/haproxy/haproxy.cfg', shipped('app/haproxy.cfg'))
        app.run('/usr/sbin/haproxy', '-D', '-f', '/etc/haproxy/haproxy.cfg')

        def ask():
            return app.run('psql', '-XqtA', '-d', 'postgresql://visitors_app@127.0.0.1:6432/visitors?connect_timeout=2', '-c',
                           'SELECT pg_is_in_recovery(), inet_server_addr()', check=False,
                           env={'PATH': PATH, 'PGPASSWORD': self.cluster.passwords['app']}).stdout.strip()
        self.assertEqual(await_('an answer', 20, ask), f'f|{self.cluster.primary().address}')

    def test_what_an_operator_looks_at_is_told(self):
        database = self.cluster['db2']
        self.assertIn('is healthy', database.shell('etcdctl endpoint health --cluster 2>&1').stdout)
        self.assertIn('Sync Standby', database.run('patronictl', '-c', '/etc/patroni/config.yml', 'list').stdout)

    def test_commands_of_a_role_find_the_primary(self):
        self.assertRegex(self.cluster.service('app1', 'status'), '^app +pid [0-9]+ +up\n')
        self.assertRegex(self.cluster.service('web', 'status'), '^nginx +pid [0-9]+ +up\n')
        self.cluster.service('app2', 'migrate')
        self.cluster.ask('POST', '/api/visitors', '{"name": "kept"}', {'Content-Type': 'application/json'})
        backup = re.search(r'backup: (\S+)', self.cluster.service('app1', 'backup'))[1]
        self.cluster.rows('DELETE FROM visitors')
        self.cluster.service('app1', 'restore', backup)
        self.assertEqual(self.cluster.rows('SELECT name FROM visitors'), [['kept']])
        await_('/health is 200', 30, lambda: self.cluster.ask('GET', '/health')[0] == 200)


if __name__ == '__main__':
    unittest.main()
