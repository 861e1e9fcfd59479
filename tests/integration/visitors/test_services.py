"""Another service in the same checkout, chosen by SERVICE: it has a name, a database and a folder of its own, and neither is taken for
the other."""
import os
import shutil
import subprocess
import tempfile
import unittest

import stack as stacks

NOTES = os.path.join('examples', 'notes')


class ServicesTest(unittest.TestCase):
    LASTS_S = 20

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.Stack(SERVICE=NOTES)
        cls.addClassCleanup(cls.stack.stop)

    def psql(self, statement):
        """As the superuser, in the notes' database."""
        command = self.stack.psql_command()
        command[command.index('-d') + 1] = 'notes'
        return subprocess.run([*command, '-c', statement], capture_output=True, text=True, timeout=20).stdout.split()

    def test_database_and_roles_have_the_service_s_name(self):
        self.assertEqual(self.psql("SELECT datname FROM pg_database WHERE datname IN ('notes', 'visitors')"), ['notes'])
        self.assertEqual(self.psql("SELECT rolname FROM pg_roles WHERE rolname ~ '^(notes|visitors)_' ORDER BY 1"), ['notes_app', 'notes_owner'])
        self.assertEqual(set(self.psql("SELECT application_name, usename FROM pg_stat_activity WHERE usename = 'notes_app'")),
                         {'notes,notes_app'})
        self.assertEqual(self.stack.get('/api').json()['name'], 'notes')

    def test_the_commands_speak_of_it_and_a_backup_is_of_it(self):
        folder = tempfile.mkdtemp(prefix='v-service-', dir='/tmp')
        self.addCleanup(shutil.rmtree, folder)
        file = os.path.join(folder, 'notes.dump')
        added = self.stack.post('/api/notes', {'text': 'kept'})
        self.assertIn(f'notes: backup: {file}', self.stack.make('backup', FILE=file).stdout)
        self.assertEqual(self.stack.as_admin('DELETE', added.headers['Location']).status, 204)
        self.assertIn(f'notes: restored: {file}', self.stack.make('restore', FILE=file).stdout)
        stacks.wait_until(lambda: self.stack.get(added.headers['Location']).status == 200, 10, 'the restored one is served')
        self.assertEqual(self.stack.get(added.headers['Location']).json(), added.json())

    def test_its_folder_is_no_other_service_s(self):
        for verb in ('start', 'backup', 'migrate'):
            with self.subTest(verb):
                refused = self.stack.make(verb, SERVICE=None)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn('which belongs to the service notes', refused.stderr)
        self.assertTrue(self.stack.healthy())

    def test_what_is_no_service_is_refused(self):
        for service, said in [('examples/none', 'must be a folder with sql/statements.sql'), ('nginx', 'must be a folder'),
                              ('examples/My-Notes', 'must be a name of lower-case letters')]:
            with self.subTest(service):
                refused = self.stack.make('status', SERVICE=service)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(said, refused.stderr)


class PageLessTest(unittest.TestCase):
    """A service without a page: its index is at / and its document is served."""

    @classmethod
    def setUpClass(cls):
        cls.stack = stacks.Stack(SERVICE=os.path.join('examples', 'tickets'))
        cls.addClassCleanup(cls.stack.stop)

    def test_the_index_is_at_the_root(self):
        index = self.stack.get('/api')
        self.assertEqual(index.json()['name'], 'tickets')
        self.assertEqual(self.stack.get('/').json(), index.json())
        self.assertEqual(self.stack.get('/', {'Accept': 'text/html'}).json(), index.json())
        self.assertEqual(self.stack.request('HEAD', '/').status, 200)
        refused = self.stack.request('DELETE', '/')
        self.assertEqual((refused.status, refused.headers['Allow']), (405, 'GET, HEAD, OPTIONS'))

    def test_the_document_is_served_and_there_is_no_other_file(self):
        self.assertEqual(self.stack.get('/openapi.json').json()['info']['title'].lower()[:7], 'tickets')
        for path in ('/index.html', '/not-found.html', '/app.js'):
            with self.subTest(path):
                answer = self.stack.get(path, {'Accept': 'text/html'})
                self.assertEqual((answer.status, answer.headers['Content-Type']), (404, 'application/problem+json'))


if __name__ == '__main__':
    unittest.main()
