"""The containers with a database somewhere else (compose.external-database.yaml): TLS with a certificate that is verified, migrated as
a role that is no superuser, and no database of their own."""
import json
import os
import unittest

import containers
from managed import ADMIN, ADMIN_PASSWORD, ManagedServer

CA = '/run/secrets/database_ca'


def gateway():
    """Where containers find the host."""
    return json.loads(containers.docker('network', 'inspect', 'bridge').stdout)[0]['IPAM']['Config'][0]['Gateway']


class ExternalDatabaseTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        address = gateway()
        cls.server = ManagedServer(address, address)
        cls.addClassCleanup(cls.server.end)
        passwords = {}
        for name, password in (('admin', ADMIN_PASSWORD), ('app', 'the app')):
            passwords[name] = f'{cls.server.folder}/{name}_password'
            with open(passwords[name], 'w') as file:
                file.write(password + '\n')
            os.chmod(passwords[name], 0o644)
        os.chmod(f'{cls.server.folder}/authority.pem', 0o644)
        cls.service = containers.Containers(
            'visitors-external', ['compose.external-database.yaml'], DATABASE_URL=cls.server.url('visitors_app', authority=CA),
            DATABASE_PASSWORD_FILE=passwords['app'], DATABASE_ADMIN_URL=cls.server.url(ADMIN, authority=CA),
            DATABASE_ADMIN_PASSWORD_FILE=passwords['admin'], DATABASE_CA_FILE=f'{cls.server.folder}/authority.pem')
        cls.addClassCleanup(cls.service.stop)

    def test_it_serves_without_a_database_of_its_own(self):
        self.service.wait_healthy()
        self.assertEqual(self.service.post('/api/visitors', {'name': 'far away'}).status, 201)
        self.assertEqual(self.server.sql('SELECT name FROM visitors', 'visitors'), 'far away')
        self.assertEqual(sorted(self.service.compose('ps', '--services').stdout.split()), ['app', 'nginx'])

    def test_it_comes_up_again_without_an_admin(self):
        self.service.compose('down')
        self.service.settings.pop('DATABASE_ADMIN_URL')
        self.service.start(build=False)
        self.service.wait_healthy()
