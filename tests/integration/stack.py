"""Starts the real service (nginx, the app, PostgreSQL) by `make start` for tests, and talks to it as its neighbours
do: HTTP, raw bytes, FastCGI, SQL, signals, logs. Knows how to run it and nothing of what the API means: that is in `sample`,
which is loaded here. Python3's standard library is all it needs.

    with Stack() as stack:
        answer = stack.post(sample.COLLECTION, sample.new('Ada'))
        assert answer.status == 201 and stack.sql(f'SELECT {sample.TEXT} FROM {sample.TABLE}') == [('Ada',)]
"""
import atexit
import csv
import http.client
import importlib.util
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKEN = 'Test-token_0.9~+/='  # every kind of character that RFC 6750 allows
PARTS = ('postgres', 'app', 'nginx')


# What a sample need not say: of what few services have, and of keys as the machinery keeps them (sql/machinery/keys.sql).
SAMPLE_DEFAULTS = {
    'SETTINGS': {}, 'STATS': None, 'SEARCH': None, 'EXPORT': None, 'UNDESCRIBED': {'HEAD', 'OPTIONS'}, 'KEYS': 'kept_answers',
    'BATCHES': None, 'UNMIGRATE': '', 'prepare': lambda stack: None, 'verify': lambda test, stack, rows: None,
    'key_row': lambda key: f"INSERT INTO kept_answers (key, request, answer) VALUES ('{key}', '', '')"}


def _load_sample():
    """What the tests know of the service: the file that SAMPLE names, else the one beside this."""
    path = os.environ.get('SAMPLE') or os.path.join(os.path.dirname(os.path.abspath(__file__)), 'sample.py')
    spec = importlib.util.spec_from_file_location('sample', path)
    module = importlib.util.module_from_spec(spec)
    vars(module).update(SAMPLE_DEFAULTS)
    spec.loader.exec_module(module)
    return module


sample = _load_sample()
# The role that the app has in the database, which has the service's name.
ROLE = f'{sample.NAME}_app'
# What `make build` makes.
PROGRAM = os.path.join(PROJECT, 'build', 'release', *(['services', sample.NAME] if 'SERVICE' in sample.SETTINGS else []), 'fcgi-app')

# How psql is told to write what is no value; no text in a test is this.
NULL = '\x02null\x03'

# Nothing of libpq's is taken from whoever runs the tests.
PSQL_ENVIRONMENT = {'PGCLIENTENCODING': 'UTF8', 'LC_ALL': 'C.UTF-8',
                    **{name: value for name, value in os.environ.items() if not name.startswith('PG') and name != 'LC_ALL'}}

# A first start may compile everything, with sanitizers on a busy machine.
MAKE_TIMEOUT_S = 900
ANSWER_TIMEOUT_S = 15

if 'address' in os.environ.get('SANITIZE', ''):
    # A copy that the app's user can read; the checkout may be its owner's alone.
    _folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
    atexit.register(shutil.rmtree, _folder, True)
    os.chmod(_folder, 0o755)
    _leaks = shutil.copy(os.path.join(PROJECT, 'tests', 'leaks.supp'), _folder)
    os.environ['LSAN_OPTIONS'] = f'suppressions={_leaks}:print_suppressions=0'


def wait_until(condition, timeout_s, what):
    """Polls `condition` until it returns something true, and returns that. `what` completes "waited … s until"."""
    deadline = time.monotonic() + timeout_s
    while True:
        begun = time.monotonic()
        value = condition()
        if value:
            return value
        ended = time.monotonic()
        if ended > deadline:
            raise AssertionError(f'waited {timeout_s} s in vain until {what}')
        # Pauses as long as it looked, which may have been a program's whole life: what is waited for needs a core, too.
        time.sleep(min(max(ended - begun, 0.02), 0.2))


def thread_states(pid):
    """Of each of the process's threads the letter that proc(5) has: R, S, D, T (stopped), ..."""
    states = set()
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/stat', encoding='utf-8') as file:
            states.add(file.read().rsplit(')', 1)[1].split()[0])
    return states


def children(pid):
    """The direct children; a postmaster's are all of PostgreSQL's other processes, a master's are nginx's workers."""
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


_taken_ports = []


def free_port():
    """A TCP port that nobody has, and that no other process of tests is given while this one runs: a service may only be about to
    listen, or be stopped for a while, so an abstract socket with the port's name says that it is taken. Below the range from which
    the kernel takes clients' ports: a port in that range can be taken by any client's connection while nginx is down, even by one
    that is being made to this very port."""
    while True:
        port = random.randrange(10000, 32000)
        taken = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            # As nginx and PostgreSQL do: connections that are only being forgotten are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(f'\0port of a test: {port}')
                probe.bind(('', port))
            except OSError:
                taken.close()
                continue
        _taken_ports.append(taken)
        return port


class Answer:
    """`headers` is an http.client.HTTPMessage: case-insensitive, None where absent, get_all() for repeated ones."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body.decode('utf-8'))

    def __repr__(self):
        shown = {name: value for name, value in self.headers.items() if name.lower() in (
            'content-type', 'location', 'allow', 'etag', 'retry-after', 'x-request-id', 'idempotent-replayed')}
        return f'<{self.status} {shown} {self.body[:300]!r}>'

    @classmethod
    def parse(cls, raw):
        """The first answer in `raw`; its body is whatever follows the head, whatever Content-Length says."""
        stream = io.BytesIO(raw)
        status_line = stream.readline().decode('latin-1').split(' ', 2)
        if not status_line[0].startswith('HTTP/1.'):
            raise ValueError(f'not an HTTP answer: {raw[:200]!r}')
        return cls(int(status_line[1]), http.client.parse_headers(stream), stream.read())


class Client:
    """One HTTP connection that is kept; made anew when it broke. One thread at a time."""

    def __init__(self, port, timeout_s=ANSWER_TIMEOUT_S):
        self.connection = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout_s)

    def request(self, method, path, headers=None, body=None):
        """Sends just `headers` (a dict, or pairs where a name repeats), Host, and Content-Length if there is a body.
        A str is sent as UTF-8, a dict or list as JSON with its media type."""
        pairs = list(headers.items() if hasattr(headers, 'items') else headers or ())
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            if not any(name.lower() == 'content-type' for name, _ in pairs):
                pairs.append(('Content-Type', 'application/json'))
        if isinstance(body, str):
            body = body.encode()
        try:
            self.connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in pairs:
                self.connection.putheader(name, value)
            if body is not None:
                self.connection.putheader('Content-Length', str(len(body)))
            self.connection.endheaders()
            if body:
                try:
                    self.connection.send(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # A refusal need not wait for the body: the answer may lie there all the same.
            response = self.connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except BaseException:
            self.connection.close()
            raise

    def get(self, path, headers=None):
        return self.request('GET', path, headers)

    def post(self, path, body=None, headers=None):
        return self.request('POST', path, headers, body)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# FastCGI 1.0, as little as a hostile or a plain peer needs.
FCGI_BEGIN, FCGI_ABORT, FCGI_END, FCGI_PARAMS, FCGI_STDIN, FCGI_STDOUT = 1, 2, 3, 4, 5, 6
FCGI_GET_VALUES = 9
FCGI_KEEP_CONNECTION = 1


def fastcgi_record(kind, content=b'', request_id=1, version=1, padding=0):
    return struct.pack('>BBHHBx', version, kind, request_id, len(content), padding) + content + bytes(padding)


def fastcgi_begin(flags=0, role=1):
    return fastcgi_record(FCGI_BEGIN, struct.pack('>HB5x', role, flags))


def fastcgi_pairs(params):
    def length(data):
        return bytes([len(data)]) if len(data) < 128 else struct.pack('>I', len(data) | 0x80000000)

    pairs = [(name.encode('latin-1'), value if isinstance(value, bytes) else value.encode())
             for name, value in params.items()]
    return b''.join(length(name) + length(value) + name + value for name, value in pairs)


def fastcgi_params(method, path, query='', body=b'', **others):
    """What nginx passes for a request; `others` are further parameters, by their names."""
    params = {'REQUEST_METHOD': method, 'DOCUMENT_URI': path, 'QUERY_STRING': query,
              'CONTENT_TYPE': 'application/json' if body else '', 'CONTENT_LENGTH': str(len(body)) if body else '',
              'REQUEST_ID': f'{random.getrandbits(128):032x}'}
    params.update(others)
    return params


def fastcgi_request(params, body=b'', flags=0):
    """A whole request as nginx would send it."""
    stdin = fastcgi_record(FCGI_STDIN, body) if body else b''
    return (fastcgi_begin(flags) + fastcgi_record(FCGI_PARAMS, fastcgi_pairs(params)) + fastcgi_record(FCGI_PARAMS)
            + stdin + fastcgi_record(FCGI_STDIN))


def fastcgi_to(path, timeout_s=ANSWER_TIMEOUT_S):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def fastcgi_read(connection):
    """One answer from a FastCGI connection; None if the peer closed it before the end of one."""
    stdout = b''
    stream = connection.makefile('rb')
    while True:
        try:
            header = stream.read(8)
            if len(header) < 8:
                return None
            _, kind, _, length, padding = struct.unpack('>BBHHBx', header)
            content = stream.read(length + padding)[:length]
        except ConnectionError:
            return None
        if kind == FCGI_STDOUT:
            stdout += content
        elif kind == FCGI_END:
            stream = io.BytesIO(stdout)
            headers = http.client.parse_headers(stream)
            return Answer(int((headers['Status'] or '200').split()[0]), headers, stream.read())


class StartFailed(Exception):
    """`make start` said no; the message holds what it said, `.result` all of it."""

    def __init__(self, result):
        super().__init__(f'make start: exit status {result.returncode}\n{result.stdout}{result.stderr}')
        self.result = result


class Stack:
    """One service of its own: own STATE_DIR, own ports. Started by its construction, unless start=False.
    `settings` are further environment variables of `make` (None: unset)."""

    def __init__(self, start=True, rate_limit='off', token=TOKEN, state_dir=None, **settings):
        # Short: a unix socket's path has at most 107 bytes.
        self.state_dir = state_dir or tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.port, self.postgres_port = free_port(), free_port()
        self.token = token
        self.token_file = None
        self.settings = {'STATE_DIR': self.state_dir, 'HTTP_PORT': str(self.port),
                         'POSTGRES_PORT': str(self.postgres_port), 'RATE_LIMIT': rate_limit,
                         'ADMIN_TOKEN_FILE': None, 'APP_THREADS': None, **sample.SETTINGS}
        if token is not None:
            handle, self.token_file = tempfile.mkstemp(prefix='v-token-', dir='/tmp')  # 0600
            os.write(handle, token.encode() + b'\n')
            os.close(handle)
            self.settings['ADMIN_TOKEN_FILE'] = self.token_file
        self.settings.update(settings)
        if start:
            try:
                self.start()
            except BaseException:
                self.remove()
                raise

    # The commands.

    def environment(self, **changes):
        # What an outer make put there would steer the inner one. SANITIZE goes through.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('MAKE') and name != 'MFLAGS'}
        for name, value in {**self.settings, **changes}.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = str(value)
        return environment

    def make(self, target, **changes):
        return subprocess.run(['make', '--no-print-directory', '-C', PROJECT, target],
                              env=self.environment(**changes), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors='replace', timeout=MAKE_TIMEOUT_S)

    def start(self, **changes):
        result = self.make('start', **changes)
        if result.returncode != 0:
            raise StartFailed(result)
        _running.add(self)
        sample.prepare(self)
        return self

    def stop(self, remove=True):
        """Ends the service and removes what it wrote; complains of what a sanitizer wrote into backend.log."""
        result = self.make('stop')
        if result.returncode != 0:
            raise AssertionError(f'make stop: exit status {result.returncode}\n{result.stdout}{result.stderr}')
        _running.discard(self)
        reports = self.sanitizer_reports()
        if remove:
            self.remove()
        if reports:
            raise AssertionError('a sanitizer reported:\n' + reports)

    def remove(self):
        shutil.rmtree(self.state_dir, ignore_errors=True)
        if self.token_file and os.path.exists(self.token_file):
            os.remove(self.token_file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # As a client.

    def client(self, timeout_s=ANSWER_TIMEOUT_S):
        return Client(self.port, timeout_s)

    def request(self, method, path, headers=None, body=None, timeout_s=ANSWER_TIMEOUT_S):
        """On a connection of its own: no answer depends on what an earlier test left behind."""
        with self.client(timeout_s) as client:
            return client.request(method, path, headers, body)

    def get(self, path, headers=None):
        return self.request('GET', path, headers)

    def post(self, path, body=None, headers=None):
        return self.request('POST', path, headers, body)

    def as_admin(self, method, path, headers=None):
        return self.request(method, path, {'Authorization': f'Bearer {self.token}', **(headers or {})})

    def raw(self, data, timeout_s=5):
        """Sends `data` and returns what comes back until the service closes, or for `timeout_s`."""
        with socket.create_connection(('127.0.0.1', self.port), timeout=timeout_s) as connection:
            try:
                connection.sendall(data)
            except ConnectionError:
                pass
            return read_all(connection)

    def healthy(self):
        """Whether /health is 200 just now; no answer at all counts as no."""
        try:
            return self.request('GET', '/health', timeout_s=3).status == 200
        except (OSError, http.client.HTTPException):
            return False

    # As nginx.

    def socket_path(self, name='app'):
        return os.path.join(self.state_dir, 'run', f'{name}.sock')

    def fastcgi_connect(self, socket_name='app', timeout_s=ANSWER_TIMEOUT_S):
        return fastcgi_to(self.socket_path(socket_name), timeout_s)

    def fastcgi(self, params, body=b'', socket='app'):
        """A whole FastCGI request with just `params` (see fastcgi_params). None: closed without an answer."""
        with self.fastcgi_connect(socket) as connection:
            connection.sendall(fastcgi_request(params, body))
            return fastcgi_read(connection)

    # As the operator.

    def sql(self, text):
        """The rows of `text` (one statement or several) as tuples of str or None, as PostgreSQL's superuser."""
        result = subprocess.run(self.psql_command(), input=text.encode(), capture_output=True, cwd='/', timeout=120,
                                env=PSQL_ENVIRONMENT)
        if result.returncode != 0:
            raise RuntimeError(f'psql: {result.stderr.decode(errors="replace")}\n{text[:500]}')
        rows = csv.reader(io.StringIO(result.stdout.decode('utf-8'), newline=''))
        return [tuple(None if value == NULL else value for value in row) for row in rows]

    def psql_command(self):
        command = ['psql', '-h', os.path.join(self.state_dir, 'run'), '-p', str(self.postgres_port), '-d', sample.NAME,
                   '-XqtA', '--csv', '-P', f'null={NULL}', '-v', 'ON_ERROR_STOP=1']
        return (['runuser', '-u', 'postgres', '--'] if os.geteuid() == 0 else []) + command

    def sql_session(self):
        return SqlSession(self)

    def locked(self, table):
        """`with stack.locked(sample.TABLE):` nobody else can read or write it meanwhile."""
        session = SqlSession(self)
        session.execute(f'BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;')
        # A commit of nothing: what the app keeps of the first page is no answer any more, and it must read the table.
        self.sql('SELECT pg_current_xact_id()')
        return session

    def pid(self, part):
        """The pid of 'app', 'nginx' (its master) or 'postgres' (the postmaster); None while there is none."""
        try:
            with open(os.path.join(self.state_dir, 'run', f'{part}.pid')) as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return None

    def kill(self, part, signal_number=signal.SIGKILL):
        pid = self.pid(part)
        os.kill(pid, signal_number)
        if signal_number == signal.SIGSTOP:
            # Its threads work on until one of them has taken the signal, which on a busy machine may be a while.
            wait_until(lambda: thread_states(pid) == {'T'}, 10, f'{part} has stopped')
        return pid

    def configure_nginx(self, **directives):
        """Gives nginx other values than the shipped ones, and returns when it serves with them: so a test of a rule need not
        wait as long as a client may. Until the next start of this service."""
        folder = os.path.join(self.state_dir, 'release', 'nginx')
        missing = set(directives)
        for path in (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names):
            with open(path, encoding='utf-8') as file:
                text = file.read()
            for name, value in directives.items():
                text, count = re.subn(rf'^(\s*{name}\s+)[^;]*;', rf'\g<1>{value};', text, flags=re.M)
                missing -= {name} if count else set()
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
        if missing:
            raise ValueError(f'nginx is configured without {missing}')
        master = self.pid('nginx')
        old = set(children(master))
        os.kill(master, signal.SIGHUP)
        wait_until(lambda: not old & set(children(master)), 15, 'nginx serves with other values')

    def processes(self):
        """The pids of everything that runs in STATE_DIR: whoever has it as directory, as an argument, in the
        environment, or holds a file in it. Zombies are not among them."""
        needle = self.state_dir.encode()
        found = []
        for entry in os.listdir('/proc'):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            base = f'/proc/{entry}'
            try:
                links = [f'{base}/cwd', f'{base}/exe'] + [f'{base}/fd/{fd}' for fd in os.listdir(f'{base}/fd')]
                marks = [read_bytes(f'{base}/cmdline'), read_bytes(f'{base}/environ')]
                marks += [os.fsencode(os.readlink(link)) for link in links if os.path.islink(link)]
            except OSError:
                continue  # Gone meanwhile, or of another user.
            if any(needle in mark for mark in marks):
                found.append(int(entry))
        return found

    def cut_power(self):
        """SIGKILL to all of it, the supervisor too; stopped first, so that nobody sees another's death."""
        pids = self.processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        wait_until(lambda: not self.processes(), 10, 'everything in STATE_DIR is dead')

    def log_text(self, name):
        with open(os.path.join(self.state_dir, 'log', f'{name}.log'), encoding='utf-8', errors='replace') as file:
            return file.read()

    def log(self, name):
        """The lines of 'access' or 'backend', parsed. A line that is no JSON fails: a log reader would break on it."""
        return [json.loads(line) for line in self.log_lines(name)]

    def log_lines(self, name):
        lines = self.log_text(name).split('\n')  # not splitlines(): U+2028 and its like end no line of a log
        return lines[:-1]  # whatever follows the last newline is being written

    def log_of(self, name, request_id, timeout_s=5):
        """The parsed lines of log `name` that bear `request_id`; waits, as a line may follow its answer."""
        def lines():
            return [json.loads(line) for line in self.log_lines(name) if request_id in line]
        return wait_until(lines, timeout_s, f'request {request_id} stands in {name}.log')

    def sanitizer_reports(self):
        """What sanitizers wrote into backend.log: every line that is not the app's."""
        try:
            lines = self.log_text('backend').split('\n')
        except FileNotFoundError:
            return ''
        return '\n'.join(line for line in lines if line.strip() and not line.startswith('{'))[:10_000]


class SqlSession:
    """One psql that stays: for locks and transactions that last over several steps. Ends with its `with`."""

    def __init__(self, stack):
        self.process = subprocess.Popen(stack.psql_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd='/', text=True, encoding='utf-8', env=PSQL_ENVIRONMENT)

    def execute(self, text):
        """Returns the lines that `text` printed, once it is done."""
        self.process.stdin.write(f'{text}\n\\echo -- done\n')
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != '-- done\n':
            if not line:
                raise RuntimeError(f'psql ended at: {text}')
            lines.append(line.rstrip('\n'))
        return lines

    def close(self):
        """Rolls back what is open."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_bytes(path):
    with open(path, 'rb') as file:
        return file.read()


def read_all(connection):
    """What `connection` yields until its end, or until its timeout."""
    data = b''
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except (TimeoutError, ConnectionError):
        pass
    return data


_running = set()
_shared = None
_shared_lock = threading.Lock()


def shared():
    """One service for the whole test process, stopped at its exit."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Stack()
        return _shared


@atexit.register
def _stop_what_is_left():
    """The shared service, and those of tests that were interrupted."""
    failed = False
    for stack in list(_running):
        try:
            stack.stop()
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            failed = True
    if failed:
        os._exit(1)  # An exception at exit would not change the exit status.
