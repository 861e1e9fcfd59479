"""compose.override.yaml: an edit is seen within seconds, a broken one leaves what served serving and says what is wrong. Works on
a copy of the project, so that no test edits the checkout."""
import os
import shutil
import tempfile
import time
import unittest

import containers
import stack as stacks

# Compiling one file and linking, on a busy machine; the page and nginx need a second or two.
COMPILED_S, SEEN_S = 120, 10


class DevelopmentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = tempfile.mkdtemp(prefix='v-dev-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.project)
        # The containers' users read it.
        os.chmod(cls.project, 0o755)
        for name in ('compose.yaml', 'compose.override.yaml', '.dockerignore', 'Makefile', 'fcgi-app', 'html', 'nginx', 'postgres', 'sql',
                     'local', 'tests/unit'):
            source, target = os.path.join(stacks.PROJECT, name), os.path.join(cls.project, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            (shutil.copytree if os.path.isdir(source) else shutil.copy2)(source, target)
        cls.service = containers.Containers('visitors-test-dev', files=['compose.override.yaml'], start=False)
        cls.addClassCleanup(cls.service.remove)
        cls.service.settings['COMPOSE_FILE'] = ':'.join(
            path.replace(stacks.PROJECT + '/', cls.project + '/') for path in cls.service.settings['COMPOSE_FILE'].split(':'))
        cls.service.start()

    def path(self, name):
        return os.path.join(self.project, name)

    def edit(self, name, old, new):
        """As many editors do it: another file takes the name."""
        with open(self.path(name)) as file:
            text = file.read()
        self.assertIn(old, text)
        with open(self.path(name + '~'), 'w') as file:
            file.write(text.replace(old, new, 1))
        os.replace(self.path(name + '~'), self.path(name))
        return time.monotonic()

    def see(self, what, condition, limit_s, start):
        stacks.wait_until(condition, limit_s, what)
        print(f'  {what}: after {time.monotonic() - start:.1f} s', flush=True)

    def version(self):
        try:
            return self.service.get('/api').json()['version']
        except (OSError, ValueError, KeyError):
            return None

    def test_the_page(self):
        start = self.edit('html/index.html', '</body>', '<p>edited</p></body>')
        self.see('the page is the new one', lambda: b'edited' in self.service.get('/').body, SEEN_S, start)

    def test_nginx(self):
        start = self.edit('nginx/snippets/headers.conf', 'Referrer-Policy              no-referrer', 'Referrer-Policy same-origin')
        self.see('nginx has the new configuration',
                 lambda: self.service.get('/').headers['Referrer-Policy'] == 'same-origin', SEEN_S, start)
        start = self.edit('nginx/snippets/headers.conf', 'add_header X-Request-Id', 'add_haeder X-Request-Id')
        self.see('nginx says what is wrong', lambda: 'unknown directive "add_haeder"' in self.service.log_text('error'), SEEN_S, start)
        self.assertEqual(self.service.get('/').headers['Referrer-Policy'], 'same-origin')
        self.edit('nginx/snippets/headers.conf', 'add_haeder X-Request-Id', 'add_header X-Request-Id')

    def test_the_app(self):
        before = self.version()
        self.edit('fcgi-app/src/version.hpp', f'version = "{before}"', 'version = "9.9.9"')
        start = self.edit('fcgi-app/src/version.hpp', 'version = "9.9.9"', 'version = "9.9.8"')
        self.see('the app is the new one', lambda: self.version() == '9.9.8', COMPILED_S, start)
        start = self.edit('fcgi-app/src/text/encoding.cpp', '#include "text/encoding.hpp"', '#include "text/encoding.hpp"\nthis is no C++;')
        self.see("the compiler's words are in the log", lambda: 'encoding.cpp:3' in self.service.log_text('backend'), COMPILED_S, start)
        self.assertEqual(self.version(), '9.9.8', 'the old program serves')
        self.edit('fcgi-app/src/text/encoding.cpp', 'this is no C++;', '// but this is')
        start = self.edit('fcgi-app/src/version.hpp', '9.9.8', '9.9.7')
        self.see('mended, the app is the new one', lambda: self.version() == '9.9.7', COMPILED_S, start)


if __name__ == '__main__':
    unittest.main()
