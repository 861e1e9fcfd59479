"""What runs is as compose.yaml declares it: seen in the kernel's own tables, and by trying what must not work."""
import json
import os
import stat
import re
import unittest

import containers
from containers import SERVICES, VERSION, docker


class IsolationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = containers.shared()

    def address(self, service, network):
        networks = self.service.inspect(service)['NetworkSettings']['Networks']
        return networks[f'{self.service.name}_{network}']['IPAddress']

    def connects(self, network, address, port):
        """Whether a container on `network` reaches that port. The database's image has a shell; bash can do it."""
        script = f'(exec 3<>/dev/tcp/{address}/{port}) & attempt=$!; (sleep 3; kill $attempt) & wait $attempt'
        result = docker('run', '--rm', '--network', f'{self.service.name}_{network}', '--entrypoint', '/bin/bash',
                        f'{self.service.name}-db:{VERSION}', '-c', script, check=False)
        return result.returncode == 0

    def test_started_in_order_and_healthy(self):
        started = {name: self.service.inspect(name)['State'] for name in (*SERVICES, 'migrate')}
        self.assertLess(started['db']['StartedAt'], started['migrate']['StartedAt'])
        self.assertLess(started['migrate']['FinishedAt'], started['app']['StartedAt'])
        self.assertLess(started['app']['StartedAt'], started['nginx']['StartedAt'])
        self.assertEqual(started['migrate']['ExitCode'], 0)
        for name in SERVICES:
            self.assertEqual(started[name]['Health']['Status'], 'healthy', name)

    def test_no_root_no_capability_no_new_privileges(self):
        for name in SERVICES:
            with self.subTest(name):
                status = self.service.status(name)
                self.assertEqual(set(status['Uid'].split()), {'70' if name == 'db' else '65532'})
                for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
                    self.assertEqual(int(status[kind], 16), 0, kind)
                self.assertEqual(status['NoNewPrivs'], '1')
                self.assertEqual(status['Seccomp'], '2')

    def test_nothing_is_writable_but_what_is_declared(self):
        expected = {'app': set(), 'nginx': {'/srv/visitors/run', '/srv/visitors/tmp'},
                    'db': {'/tmp', '/var/lib/postgresql', '/run/postgresql'}}
        for name in SERVICES:
            with self.subTest(name):
                mounts = [line.split() for line in self.service.host_file(name, 'mounts').decode().splitlines()]
                options = {fields[1]: fields[3].split(',') for fields in mounts}
                self.assertIn('ro', options['/'])
                # Every container has these from Docker.
                writable = {path for path, words in options.items()
                            if 'rw' in words and not re.match(r'/(proc|dev|sys)(/|$)', path)}
                self.assertEqual(writable, expected[name])

    def test_limits_hold(self):
        for name in SERVICES:
            with self.subTest(name):
                limits = self.service.inspect(name)['HostConfig']
                self.assertEqual(limits['Memory'], limits['MemorySwap'])
                self.assertGreater(limits['Memory'], 0)
                self.assertGreater(limits['PidsLimit'], 0)
                self.assertGreater(limits['NanoCpus'], 0)
                self.assertEqual(limits['LogConfig']['Type'], 'local')
                self.assertEqual(limits['RestartPolicy']['Name'], 'unless-stopped')

    def test_the_app_may_say_that_its_threads_are_in_no_hurry(self):
        threads = os.listdir(f'/proc/{self.service.pid("app")}/task')
        self.assertEqual({os.sched_getscheduler(int(thread)) for thread in threads}, {os.SCHED_BATCH})

    def test_no_shell_where_none_is_needed(self):
        self.assertEqual(self.service.execute('db', 'bash', '-c', 'true').returncode, 0, 'the control')
        for name in ('nginx', 'app'):
            for shell in ('sh', '/bin/sh', 'bash', '/bin/busybox', 'apk', 'curl', 'wget'):
                with self.subTest(f'{name}: {shell}'):
                    self.assertIn(self.service.execute(name, shell, '-c', 'true').returncode, (126, 127))

    def test_the_app_is_built_hardened_and_scanners_see_what_it_needs(self):
        root = f'/proc/{self.service.pid("app")}/root'
        for path in ('usr/lib/apk/db/installed', 'lib/apk/db/installed'):
            if os.path.exists(f'{root}/{path}'):
                with open(f'{root}/{path}') as file:
                    packages = set(re.findall(r'^P:(.+)$', file.read(), re.M))
                break
        self.assertTrue(any(name.startswith('libpq') for name in packages), packages)
        with open(f'{root}/usr/share/sbom/fcgi-app.spdx.json') as file:
            listed = {package['name'] for package in json.load(file)['packages']}
        self.assertEqual(listed, {'libfcgi', 'libpqxx', 'rapidjson'})

    def test_networks(self):
        database, app, nginx = self.address('db', 'data'), self.address('app', 'app'), self.address('nginx', 'app')
        self.assertTrue(self.connects('data', database, 5432), 'the control: from its own network the database answers')
        self.assertTrue(self.connects('app', app, 9000), 'the control: from its own network the app answers')
        for network, address, port in (('edge', database, 5432), ('app', database, 5432), ('edge', app, 9000),
                                       ('data', nginx, 8080)):
            with self.subTest(f'from {network} to {address}:{port}'):
                self.assertFalse(self.connects(network, address, port))
        for network, name in (('edge', 'db'), ('app', 'db'), ('edge', 'app'), ('data', 'nginx')):
            with self.subTest(f'{name} has no name in {network}'):
                self.assertFalse(self.connects(network, name, {'db': 5432, 'app': 9000, 'nginx': 8080}[name]))

    def test_only_nginx_has_a_port_on_the_loopback_address(self):
        published = {}
        for name in SERVICES:
            for bindings in self.service.inspect(name)['NetworkSettings']['Ports'].values():
                published.setdefault(name, []).extend((each['HostIp'], each['HostPort']) for each in bindings or [])
        self.assertEqual(published, {'nginx': [('127.0.0.1', str(self.service.port))]})

    def test_no_secret_is_shown(self):
        secrets = [self.service.host_file('app', 'root/run/password/database').decode().strip(), self.service.token]
        self.assertGreaterEqual(len(secrets[0]), 32)
        for name in (*SERVICES, 'migrate'):
            text = docker('inspect', self.service.container(name)).stdout + docker('logs', self.service.container(name)).stderr
            image = self.service.inspect(name)['Image']
            text += docker('history', '--no-trunc', image).stdout + docker('inspect', image).stdout
            if name != 'migrate':
                text += self.service.host_file(name, 'environ').decode() + self.service.host_file(name, 'cmdline').decode()
            for secret in secrets:
                self.assertNotIn(secret, text, name)

    def test_the_password_is_made_inside_for_those_alone_who_need_it(self):
        folder = f'/proc/{self.service.pid("app")}/root/run/password'
        found = [(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
                 for status in (os.stat(folder), os.stat(os.path.join(folder, 'database')))]
        self.assertEqual(found, [(70, 65532, 0o2750), (70, 65532, 0o640)])
        for name in ('nginx', 'db'):
            self.assertFalse(os.path.exists(f'/proc/{self.service.pid(name)}/root/run/password/database'), name)
        mounts = {mount['Destination']: mount['RW'] for mount in self.service.inspect('app')['Mounts']}
        self.assertIs(mounts['/run/password'], False)

    def test_the_database_is_as_promised(self):
        asked = "SELECT current_setting('data_checksums'), current_setting('server_encoding'), current_setting('data_directory'), " \
                'datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = current_database()'
        self.assertEqual(self.service.sql(asked), [('on', 'UTF8', '/var/lib/postgresql/data', 'b', 'C.UTF-8', 'C')])

    def test_nobody_gets_into_the_database_without_a_password_or_as_superuser(self):
        for user in ('postgres', 'visitors_app', 'visitors_owner'):
            with self.subTest(user):
                result = self.service.execute('db', 'psql', '--host=127.0.0.1', f'--username={user}', '--no-password',
                                              '--dbname=visitors', '-c', 'SELECT 1')
                self.assertNotEqual(result.returncode, 0)


if __name__ == '__main__':
    unittest.main()
