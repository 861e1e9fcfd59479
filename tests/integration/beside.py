"""An app beside that of a running service, as another machine would have one: its own process and sockets, the same
database or others. Knows how it is started and asked, and nothing of what it should answer."""
import os
import shutil
import subprocess
import tempfile

from stack import ROLE, fastcgi_params, fastcgi_read, fastcgi_request, fastcgi_to, sample, wait_until

SLOW = 4 if os.environ.get('SANITIZE') else 1


def url_of(*ports):
    """DATABASE_URL for PostgreSQL on this machine, at each of these ports."""
    return f'postgresql://{ROLE}@{",".join(f"127.0.0.1:{port}" for port in ports)}/{sample.NAME}'


class App:
    """`settings` are further variables of its environment. In a `with`: alive, then killed."""

    def __init__(self, stack, stderr=subprocess.DEVNULL, **settings):
        self.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.program = os.path.join(stack.state_dir, 'release', 'fcgi-app')
        self.environment = {
            **{name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS')},
            'APP_LISTEN': f'unix:{self.folder}/app.sock', 'APP_HEALTH_LISTEN': f'unix:{self.folder}/health.sock',
            'DATABASE_URL': f"host='{stack.state_dir}/run' port={stack.postgres_port} dbname={sample.NAME} user={ROLE}",
            'DATABASE_PASSWORD_FILE': os.path.join(stack.state_dir, 'secrets', 'database_password'),
            **settings}
        self.process = subprocess.Popen([self.program], env=self.environment, stderr=stderr)

    def __enter__(self):
        wait_until(lambda: self.probe('--probe=live'), 10 * SLOW, 'the app is alive')
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def probe(self, which):
        return subprocess.run([self.program, which], env=self.environment, stderr=subprocess.DEVNULL).returncode == 0

    def request(self, method, path, body=b'', **headers):
        """`headers` by their CGI names: HTTP_IDEMPOTENCY_KEY."""
        name = 'health' if path == '/health' else 'app'
        path, _, query = path.partition('?')
        with fastcgi_to(f'{self.folder}/{name}.sock', 10 * SLOW) as connection:
            connection.sendall(fastcgi_request(fastcgi_params(method, path, query, body, **headers), body))
            return fastcgi_read(connection)

    def get(self, path):
        return self.request('GET', path)
