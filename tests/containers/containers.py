"""The service in containers for tests: a Compose project of its own beside whatever runs, with the interface of
integration/stack.py, so that the tests of the API run against it as they are. Knows compose.yaml's services by name."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import stack as stacks

PROJECT = stacks.PROJECT
# A first build compiles the libraries, and may wait for others that do so too.
UP_TIMEOUT_S = 2400
COMMAND_TIMEOUT_S = 240
with open(os.path.join(PROJECT, 'fcgi-app', 'src', 'version.hpp'), encoding='utf-8') as _file:
    VERSION = re.search(r'version = "([\d.]+)"', _file.read())[1]
SERVICES = ('nginx', 'app', 'db')
CONTAINER_OF = {'postgres': 'db', 'access': 'nginx', 'error': 'nginx', 'backend': 'app'}


def engine_answers():
    """Whether there are a Docker engine and Compose."""
    if not shutil.which('docker'):
        return False
    return all(subprocess.run(['docker', *words], capture_output=True, timeout=60).returncode == 0
               for words in (['info'], ['compose', 'version']))


def docker(*words, check=True, timeout_s=COMMAND_TIMEOUT_S, **options):
    """The finished `docker …`; its output is text."""
    result = subprocess.run(['docker', *words], capture_output=True, text=True, errors='replace', timeout=timeout_s,
                            stdin=options.pop('stdin', subprocess.DEVNULL), **options)
    if check and result.returncode != 0:
        raise AssertionError(f'docker {" ".join(words)}: exit status {result.returncode}\n{result.stdout[-4000:]}{result.stderr[-4000:]}')
    return result


class Containers(stacks.Stack):
    """`files` are Compose files beside production's; `settings` are those of .env.example."""

    def __init__(self, name='visitors-test', files=(), rate_limit='off', token=stacks.TOKEN, start=True, **settings):
        self.name, self.token = name, token
        self.port = stacks.free_port()
        # Where things lie, which no answer may show.
        self.state_dir = '/srv/visitors'
        self.directory = tempfile.mkdtemp(prefix='v-containers-', dir='/tmp')
        self.token_file = os.path.join(self.directory, 'token')
        with open(self.token_file, 'w') as file:
            file.write((token or '') + '\n')
        os.chmod(self.token_file, 0o644)  # the app's user reads it as it is mounted
        # Others may add what this machine needs (a mirror, say) in COMPOSE_FILE.
        compose_files = os.environ.get('COMPOSE_FILE', 'compose.yaml').split(':') + list(files)
        self.settings = {'COMPOSE_FILE': ':'.join(os.path.join(PROJECT, path) for path in compose_files),
                         'COMPOSE_PROJECT_NAME': name, 'HTTP_PORT': str(self.port), 'RATE_LIMIT': rate_limit,
                         'ADMIN_TOKEN_FILE': self.token_file if token else '', **settings}
        if start:
            try:
                self.start()
            except BaseException:
                self.remove()
                raise

    def environment(self, **changes):
        return {**os.environ, **self.settings, **changes}

    def compose(self, *words, check=True, timeout_s=COMMAND_TIMEOUT_S, environment=None):
        return docker('compose', *words, check=check, timeout_s=timeout_s, cwd=PROJECT,
                      env=self.environment(**(environment or {})))

    def local(self, script, **changes):
        """A script of local/, as make calls it."""
        return subprocess.run([os.path.join(PROJECT, 'local', script)], env=self.environment(**changes), cwd=PROJECT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)

    def start(self, build=True):
        self.compose('up', '--detach', '--wait', *(['--build'] if build else []), timeout_s=UP_TIMEOUT_S)
        return self

    def stop(self, remove=True):
        self.compose('down', *(['--volumes'] if remove else []), check=not remove)
        if remove:
            self.remove()

    def remove(self):
        self.compose('down', '--volumes', '--remove-orphans', '--rmi', 'all', check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    # As the operator.

    def container(self, service, number=1):
        return f'{self.name}-{CONTAINER_OF.get(service, service)}-{number}'

    def replicas(self, service='app'):
        return self.compose('ps', '--quiet', service).stdout.split()

    def inspect(self, service, number=1):
        return json.loads(docker('inspect', self.container(service, number)).stdout)[0]

    def pid(self, part):
        """On the host; None while the container does not run."""
        return self.inspect(part)['State']['Pid'] or None

    def psql_command(self):
        return ['docker', 'exec', '--interactive', self.container('db'), 'psql', '--dbname=visitors', '-XqtA', '--csv',
                '-P', f'null={stacks.NULL}', '-v', 'ON_ERROR_STOP=1']

    def execute(self, service, *words):
        return docker('exec', self.container(service), *words, check=False)

    def log_text(self, name):
        """nginx's access log is its standard output; what all others say is on standard error."""
        result = docker('logs', self.container(name))
        return result.stdout if name == 'access' else result.stderr

    def host_file(self, service, path):
        """A file of the container's process in the host's /proc, where that is the same machine."""
        with open(f'/proc/{self.pid(service)}/{path}', 'rb') as file:
            return file.read()

    def status(self, service):
        """Uid, CapBnd and the like of the container's first process."""
        text = self.host_file(service, 'status').decode()
        return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)

    def wait_healthy(self, timeout_s=30):
        start = time.monotonic()
        stacks.wait_until(self.healthy, timeout_s, '/health is 200')
        return time.monotonic() - start


_shared = None


def shared():
    """One project for the whole test process; ended by the runner."""
    global _shared
    if _shared is None:
        _shared = Containers()
    return _shared


def end_shared():
    if _shared is not None:
        _shared.stop()

