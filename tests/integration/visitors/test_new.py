"""`make new`: a project of its own, in a scratch folder. Nothing of visitors is in it, its own tests pass as it is, and it serves."""
import filecmp
import os
import shutil
import subprocess
import tempfile
import unittest

import stack as stacks

# What a project is built by, and nothing of this one's settings.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name in ('PATH', 'HOME', 'CXX') or name.startswith('CCACHE_')}


def make(folder, *arguments, **settings):
    return subprocess.run(['make', '--no-print-directory', *arguments], cwd=folder, env={**ENVIRONMENT, **settings}, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=800)


def share_objects(project):
    """Gives a project what was compiled here of files that it has byte for byte, all that they include too, since they were last edited,
    and with the same flags. So nothing that is compiled there is left out but what would come to be the same."""
    def same(path):
        both = [os.path.join(folder, path) for folder in (stacks.PROJECT, project)]
        return all(map(os.path.exists, both)) and filecmp.cmp(*both, shallow=False)

    build = 'build/release'
    make(project, f'{build}/app/machinery_statements.hpp')  # generated, and included
    built = [os.path.relpath(os.path.join(folder, name), stacks.PROJECT) for part in ('app', 'unit')
             for folder, _, names in os.walk(os.path.join(stacks.PROJECT, build, part)) for name in names if name.endswith('.o')]
    for path in built if same(f'{build}/flags') else []:
        dependencies = f'{path[:-2]}.d'
        with open(os.path.join(stacks.PROJECT, dependencies), encoding='utf-8') as file:
            used = file.read().replace('\\\n', '').partition('\n')[0].partition(':')[2].split()
        def compiled_since(source, path=path):
            return os.path.getmtime(os.path.join(stacks.PROJECT, source)) <= os.path.getmtime(os.path.join(stacks.PROJECT, path))

        if all(same(source) and compiled_since(source) for source in used):
            os.makedirs(os.path.dirname(os.path.join(project, path)), exist_ok=True)
            for name in (path, dependencies):
                shutil.copyfile(os.path.join(stacks.PROJECT, name), os.path.join(project, name))


class NewProjectTest(unittest.TestCase):
    AFTER_UNIT = True
    LASTS_S = 170

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix='v-new-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        os.chmod(cls.folder, 0o755)
        cls.project = os.path.join(cls.folder, 'orders')
        cls.made = make(stacks.PROJECT, 'new', 'NAME=orders', f'DIR={cls.project}')
        if cls.made.returncode == 0:
            share_objects(cls.project)

    def setUp(self):
        self.assertEqual(self.made.returncode, 0, self.made)

    def files(self):
        """Of the project, what was not built since."""
        for folder, folders, names in os.walk(self.project):
            folders[:] = [name for name in folders if name not in ('build', 'var', '__pycache__')]
            yield from (os.path.join(folder, name) for name in names if name != 'compile_commands.json')

    def test_nothing_of_visitors_or_of_the_template_is_in_it(self):
        files = list(self.files())
        self.assertGreater(len(files), 100)
        for path in files:
            with self.subTest(path):
                self.assertNotRegex(path.lower(), 'visitor|notes')
                if os.path.basename(path) != 'LICENSE':  # whose work it is
                    self.assertNotIn(b'visitor', stacks.read_bytes(path).lower())
        self.assertEqual(os.listdir(self.folder), ['orders'])

    def test_make_check_passes_there_unedited(self):
        checked = make(self.project, 'check')
        self.assertEqual(checked.returncode, 0, checked.stdout[-5000:] + checked.stderr[-2000:])
        self.assertIn('test_orders.OrdersTest', checked.stdout)
        self.assertRegex(checked.stdout.splitlines()[-1], r'^[3-9]\d\d passed, 0 failed$')

    def test_make_start_serves_it(self):
        port = stacks.free_port()
        settings = {'HTTP_PORT': str(port), 'POSTGRES_PORT': str(stacks.free_port())}
        self.addCleanup(make, self.project, 'stop', **settings)
        started = make(self.project, 'start', **settings)
        self.assertEqual(started.returncode, 0, started)
        self.assertEqual(started.stdout.splitlines()[-1], f'orders: ready at http://localhost:{port}')
        with stacks.Client(port) as client:
            added = client.post('/api/orders', {'text': 'first'})
            self.assertEqual((added.status, added.json()['text']), (201, 'first'))
            self.assertEqual(client.get(added.headers['Location']).json(), added.json())
            self.assertEqual(client.get('/api/orders').json(), {'orders': [added.json()], 'total': 1, 'next': None})
            self.assertIn(b'<h1>Orders</h1>', client.get('/').body)
            self.assertEqual(client.get('/api').json()['version'], client.get('/openapi.json').json()['info']['version'])


class RefusedTest(unittest.TestCase):
    QUICK = True

    def test_a_name_that_cannot_be_one_or_a_folder_that_is_there_is_refused(self):
        folder = tempfile.mkdtemp(prefix='v-new-', dir='/tmp')
        self.addCleanup(shutil.rmtree, folder)
        project = os.path.join(folder, 'project')
        for name, where, said in [('', project, 'NAME is ""'), ('Orders', project, 'NAME is "Orders"'), ('my-orders', project, 'NAME is'),
                                  ('order', project, 'means something'), ('class', project, 'means something'),
                                  ('visitors', project, 'means something'), ('orders', '', 'where to?'),
                                  ('orders', folder, 'is there already'), ('orders', f'{folder}/none/project', 'is no folder')]:
            with self.subTest(name, where=where):
                refused = make(stacks.PROJECT, 'new', f'NAME={name}', f'DIR={where}')
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(said, refused.stderr)
                self.assertEqual(os.listdir(folder), [])


if __name__ == '__main__':
    unittest.main()
