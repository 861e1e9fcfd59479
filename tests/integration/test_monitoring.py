"""deploy/monitoring and `make report` on the logs of a real service: each tool is Debian's and runs as it would at an operator's, and its
numbers are compared with what was asked here. Grafana is no package there: its expressions are asked of Prometheus instead."""
import collections
import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import stack as stacks
from stack import Stack, sample, wait_until

FOLDER = os.path.join(stacks.PROJECT, 'deploy', 'monitoring')
# More than one address may add at once.
ADDITIONS = 50
# What would make up a line's members, if quotes were not escaped.
FORGED = '","protocol":"HTTP/1.1","status":429,"remote_addr":"203.0.113.7","status":500,"x":"'
NO_METRIC = {'sum', 'min', 'max', 'rate', 'or', 'vector', 'histogram_quantile'}


def shipped(name):
    with open(os.path.join(FOLDER, name), encoding='utf-8') as file:
        return file.read()


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.URLError:
        return ''


def samples(text):
    """{(name, {label: value} as sorted pairs): number} of Prometheus' text format, without the label that names mtail's program."""
    found = {}
    for name, labels, value in re.findall(r'(?m)^(\w+)(?:\{(.*)\})? (\S+)$', text):
        pairs = tuple(sorted(pair for pair in re.findall(r'(\w+)="([^"]*)"', labels) if pair[0] != 'prog'))
        found[name, pairs] = float(value)
    return found


def panels():
    return json.loads(shipped('grafana.json'))['panels']


def expressions():
    """Each expression of the dashboard and of the alerts."""
    alerts = re.findall(r'(?ms)^ {8}expr: (?:>-\n)?(.*?)\n {8}\w+:', shipped('alerts.yml'))
    return [target['expr'] for panel in panels() for target in panel['targets']], alerts


def metrics_of(expression):
    """The metrics that an expression of PromQL names."""
    without_labels = re.sub(r'\{[^}]*\}|\bby \([^)]*\)|\[[^]]*\]', '', expression)
    return set(re.findall(r'[a-z_]\w+', without_labels)) - NO_METRIC


class Tools:
    """mtail, the exporters and Prometheus, with the shipped files, on ports of their own; they end with `close`."""

    def __init__(self, stack, folder):
        self.folder = folder
        self.ports = {name: stacks.free_port() for name in ('mtail', 'nginx', 'node', 'blackbox', 'prometheus')}
        self.processes = []
        log = os.path.join(stack.state_dir, 'log')
        self.run('mtail', '--address=127.0.0.1', f'--port={self.ports["mtail"]}', '--logtostderr', f'--progs={FOLDER}',
                 f'--logs={log}/access.log,{log}/backend.log')
        self.run('prometheus-nginx-exporter', '-web.listen-address', self.address('nginx'), '-nginx.scrape-uri',
                 f'unix:{stack.state_dir}/run/status.sock:/')
        self.run('prometheus-node-exporter', f'--web.listen-address={self.address("node")}')
        self.run('prometheus-blackbox-exporter', '--config.file=/etc/prometheus/blackbox.yml', f'--web.listen-address={self.address("blackbox")}')
        self.configure(stack.port)
        self.run('prometheus', f'--config.file={folder}/prometheus.yml', f'--storage.tsdb.path={folder}/data',
                 f'--web.listen-address={self.address("prometheus")}')

    def address(self, name):
        return f'127.0.0.1:{self.ports[name]}'

    def configure(self, port):
        shutil.copy(os.path.join(FOLDER, 'alerts.yml'), self.folder)
        text = shipped('prometheus.yml')
        for old, new in [('127.0.0.1:3903', self.address('mtail')), ('127.0.0.1:9113', self.address('nginx')), ('127.0.0.1:9100', self.address('node')),
                         ('127.0.0.1:9115', self.address('blackbox')), ('127.0.0.1:8080', f'127.0.0.1:{port}'), (': 15s', ': 1s'),
                         ('["127.0.0.1:9093"]', '[]')]:
            assert old in text, old
            text = text.replace(old, new)
        with open(os.path.join(self.folder, 'prometheus.yml'), 'w', encoding='utf-8') as file:
            file.write(text)

    def run(self, *command):
        with open(os.path.join(self.folder, f'{command[0]}.log'), 'wb') as output:
            self.processes.append(subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output))

    def metrics(self, name):
        return samples(fetch(f'http://{self.address(name)}/metrics'))

    def query(self, expression):
        """The values of the expression, just now."""
        answer = fetch(f'http://{self.address("prometheus")}/api/v1/query?' + urllib.parse.urlencode({'query': expression}))
        return [float(one['value'][1]) for one in json.loads(answer)['data']['result']] if answer else []

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)


class Requests:
    """What was asked of the service, and how it answered: counts by (area, method, status)."""

    def __init__(self, stack):
        self.stack = stack
        self.counts = collections.Counter()

    def ask_for(self, area, method, path, body=None, counted_as=None, headers=None):
        answer = self.stack.request(method, path, headers, body)
        self.counts[area, counted_as or method, str(answer.status)] += 1
        return answer

    def ask(self, *arguments, **options):
        return self.ask_for(*arguments, **options).status

    def raw(self, area, counted_as, line):
        """A request line as a client may word it."""
        answer = stacks.Answer.parse(self.stack.raw(f'{line}\r\nHost: x\r\nConnection: close\r\n\r\n'.encode()))
        self.counts[area, counted_as, str(answer.status)] += 1

    def plain(self):
        for _ in range(5):
            self.ask('api', 'GET', sample.LIST)
        self.ask('page', 'GET', '/')
        self.ask('page', 'HEAD', '/')
        self.ask('page', 'GET', '/nothing')
        self.ask('api', 'GET', '/api/nothing')
        self.ask('page', 'GET', '/apiary')
        self.ask('api', 'BREW', sample.LIST, counted_as='other')
        self.ask('page', 'DELETE', '/', counted_as='other')
        for number in range(ADDITIONS):
            self.ask('api', 'POST', sample.COLLECTION, sample.new(f'counted {number}'))

    def forged(self):
        self.raw('page', 'GET', f'GET /{FORGED} HTTP/1.1')
        self.raw('page', 'GET', f'GET /\\{FORGED}\\ HTTP/1.1')
        self.ask('page', 'GET', '/nothing', headers={'User-Agent': FORGED})
        self.raw('page', 'GET', f'GET /health" HTTP/1.1\r\nUser-Agent: {FORGED}')

    def without_database(self, meanwhile):
        service = os.path.join(self.stack.state_dir, 'service', 'postgres')
        subprocess.run(['s6-svc', '-wD', '-d', service], check=True)
        try:
            assert self.ask('api', 'GET', sample.LIST) == 503
            meanwhile()
        finally:
            subprocess.run(['s6-svc', '-u', service], check=True)
        wait_until(self.stack.healthy, 20, 'the database is there again')

    def without_app(self):
        pid = self.stack.kill('app', signal.SIGSTOP)
        try:
            assert self.ask('api', 'GET', sample.LIST) == 503
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(self.stack.healthy, 20, 'the app answers again')

    def beyond_the_connections(self):
        self.stack.configure_nginx(limit_conn='clients 1')
        with socket.create_connection(('127.0.0.1', self.stack.port), 15) as slow:
            slow.sendall(f'POST {sample.COLLECTION} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n'.encode())
            wait_until(lambda: self.ask('page', 'GET', '/') == 503, 10, 'a second connection is refused')
            slow.sendall(b'[]')
            self.counts['api', 'POST', str(stacks.Answer.parse(stacks.read_all(slow)).status)] += 1


class MonitoringTest(unittest.TestCase):
    LASTS_S = 40
    maxDiff = 3000

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(RATE_LIMIT='on')
        cls.addClassCleanup(cls.stack.stop)
        cls.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.tools = Tools(cls.stack, cls.folder)
        cls.addClassCleanup(cls.tools.close)
        # Of what is counted from here on; mtail begins at the end of a log.
        wait_until(lambda: all(cls.tools.metrics(name) for name in ('mtail', 'nginx', 'node', 'blackbox')), 20, 'each gives numbers')
        cls.begun = {name: len(cls.stack.log_lines(name)) for name in ('access', 'backend')}
        cls.requests = Requests(cls.stack)
        cls.requests.plain()
        cls.requests.forged()
        cls.requests.without_app()
        cls.requests.without_database(lambda: wait_until(lambda: cls.number('visitors_database_away') == 1, 10, 'mtail knows that it is away'))
        cls.requests.beyond_the_connections()
        wait_until(lambda: cls.mtails_requests().total() >= cls.requests.counts.total(), 15, 'mtail has read it all')

    @classmethod
    def number(cls, name, **labels):
        return cls.tools.metrics('mtail').get((name, tuple(sorted(labels.items()))))

    @classmethod
    def mtails_requests(cls):
        """As Requests.counts; polls of /health by GET, which others send too, are left out."""
        found = collections.Counter()
        for (name, labels), value in cls.tools.metrics('mtail').items():
            labels = dict(labels)
            if name == 'visitors_requests_total' and (labels['area'], labels['method']) != ('health', 'GET'):
                found[labels['area'], labels['method'], labels['status']] = value
        return found

    def logged(self, name):
        return self.stack.log(name)[self.begun[name]:]

    def statuses(self, status):
        return sum(count for (_, _, found), count in self.requests.counts.items() if found == status)

    def test_requests_by_area_method_and_status(self):
        wait_until(lambda: self.mtails_requests().total() >= self.requests.counts.total(), 15, 'mtail has read it all')
        self.assertEqual(dict(self.mtails_requests()), dict(self.requests.counts))

    def test_refusals_have_a_reason(self):
        self.assertEqual(self.statuses('429'), self.number('visitors_refused_total', reason='rate_limit'))
        self.assertGreater(self.statuses('429'), 5)
        refused = {reason: self.number('visitors_refused_total', reason=reason) for reason in ('connection_limit', 'app', 'nginx')}
        # Polls of /health while the app or the database was away are among them.
        self.assertEqual(refused['connection_limit'], 1)
        lines = [line for line in self.logged('access') if line['status'] == 503]
        self.assertEqual(refused['app'], sum(line['upstream_status'].endswith('503') for line in lines))
        self.assertGreater(refused['app'], 0)
        self.assertGreater(refused['nginx'], 0)
        self.assertEqual(sum(refused.values()), len(lines))

    def test_each_request_but_polls_is_in_a_bucket(self):
        times = [line['request_time'] for line in self.logged('access') if line['path'] != '/health']
        self.assertEqual(len(times), sum(self.requests.counts.values()))
        name = 'visitors_request_duration_seconds'
        self.assertEqual(self.number(f'{name}_count'), len(times))
        self.assertAlmostEqual(self.number(f'{name}_sum'), sum(times))
        buckets = {dict(labels)['le']: value for (found, labels), value in self.tools.metrics('mtail').items() if found == f'{name}_bucket'}
        self.assertEqual(buckets, {end: sum(time <= float(end) for time in times) for end in buckets})
        self.assertEqual(buckets['+Inf'], len(times))
        self.assertGreaterEqual({'0', '0.001', '0.005', '5'} & set(buckets), {'0', '0.001', '0.005', '5'})
        self.assertGreater(len(set(buckets.values())), 3, 'the buckets tell nothing apart')

    def test_events_and_additions(self):
        events = collections.Counter((line['event'], line['level']) for line in self.logged('backend'))
        for (event, level), count in events.items():
            wait_until(lambda: self.number('visitors_log_events_total', event=event, level=level) == count, 10, f'mtail counts {count} times {event}')
        [added] = set(re.findall(r'event="(\w+_added)"', ' '.join(expressions()[0])))
        self.assertIn(added, shipped('README.md'))
        if 'SERVICE' not in sample.SETTINGS:
            self.assertEqual(self.number('visitors_log_events_total', event=added, level='info'), self.statuses('201'))
        self.assertEqual(self.number('visitors_database_away'), 0)
        self.assertEqual(self.number('visitors_log_lines_dropped_total'), 0)

    def test_bytes(self):
        wait_until(lambda: self.number('visitors_sent_bytes_total') == sum(line['bytes'] for line in self.logged('access')), 10, 'all are counted')

    def test_nginxs_connections_are_for_operators_alone(self):
        numbers = self.tools.metrics('nginx')
        self.assertEqual(numbers['nginx_up', ()], 1)
        self.assertGreaterEqual(numbers['nginx_connections_accepted', ()], sum(self.requests.counts.values()))
        page = self.requests.ask_for('page', 'GET', '/')
        self.assertNotIn('Active connections', page.body.decode())
        if os.geteuid() == 0:
            asked = ['curl', '--silent', '--unix-socket', os.path.join(self.stack.state_dir, 'run', 'status.sock'), 'http://localhost/']
            self.assertEqual(subprocess.run(['runuser', '-u', 'nobody', '--', *asked], cwd='/').returncode, 7)
            self.assertIn('Active connections', subprocess.run(['runuser', '-u', 'www-data', '--', *asked], cwd='/', capture_output=True, text=True).stdout)

    def test_each_metric_that_is_named_is_given(self):
        given = {name for tool in ('mtail', 'nginx', 'node') for name, _ in self.tools.metrics(tool)} | {'up', 'probe_success'}
        dashboard, alerts = expressions()
        self.assertEqual(len(alerts), shipped('alerts.yml').count('- alert:'))
        for expression in dashboard + alerts:
            self.assertTrue(metrics_of(expression))
            self.assertLessEqual(metrics_of(expression), given, expression)

    def test_the_dashboard_shows_something_in_each_panel(self):
        for panel in panels():
            self.assertTrue({'title', 'gridPos', 'targets', 'fieldConfig'} <= set(panel), panel)
            for target in panel['targets']:
                expression = target['expr'].replace('$__rate_interval', '1m')

                def shown(expression=expression):
                    # What is a quotient or a quantile needs something to have happened between two looks.
                    self.requests.ask('page', 'GET', '/')
                    values = self.tools.query(expression)
                    return values and all(value == value for value in values)
                wait_until(shown, 30, f'{panel["title"]} has something to show: {expression}')

    def test_prometheus_reaches_all_of_them(self):
        wait_until(lambda: self.tools.query('up') == [1.0] * 4, 10, 'all are up')
        wait_until(lambda: self.tools.query('probe_success') == [1.0], 10, '/health is 200')
        names = json.loads(fetch(f'http://{self.tools.address("prometheus")}/api/v1/rules'))['data']['groups'][0]['rules']
        self.assertEqual({rule['health'] for rule in names} - {'unknown'}, {'ok'})

    def test_lnav_reads_both_logs(self):
        for question, key, name in [('SELECT status, count(*) FROM {0}_access GROUP BY status', 'status', 'access'),
                                    ('SELECT event, count(*) FROM {0}_backend GROUP BY event', 'event', 'backend')]:
            text = self.lnav('-c', f';{question.format("visitors")}', '-c', ':write-csv-to -', name=name)
            found = {row[0]: int(row[1]) for row in list(csv.reader(io.StringIO(text)))[1:]}
            self.assertEqual(found, dict(collections.Counter(str(line[key]) for line in self.stack.log(name))))
        self.assertIn(f'GET {sample.LIST}', self.lnav(name='access'))

    def lnav(self, *arguments, name):
        formats = os.path.join(self.folder, 'lnav', 'formats', 'installed')
        os.makedirs(formats, exist_ok=True)
        shutil.copy(os.path.join(FOLDER, 'lnav.json'), formats)
        result = subprocess.run(['lnav', '-n', '-I', os.path.join(self.folder, 'lnav'), *arguments, os.path.join(self.stack.state_dir, 'log', f'{name}.log')],
                                env={**os.environ, 'HOME': self.folder}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        return result.stdout

    def test_fail2ban_counts_each_429_and_nothing_else(self):
        filter_file = os.path.join(FOLDER, 'fail2ban-filter.conf')
        # As it is now: polls of /health go on.
        log = shutil.copy(os.path.join(self.stack.state_dir, 'log', 'access.log'), self.folder)
        result = subprocess.run(['fail2ban-regex', log, filter_file], capture_output=True, text=True, check=True)
        lines, matched = re.search(r'Lines: (\d+) lines, 0 ignored, (\d+) matched', result.stdout).groups()
        self.assertEqual((int(lines), int(matched)), (stacks.read_bytes(log).count(b'\n'), self.statuses('429')))
        self.assertNotIn('203.0.113.7', result.stdout)
        found = subprocess.run(['fail2ban-regex', '--out=ip', log, filter_file], capture_output=True, text=True, check=True)
        self.assertEqual(set(found.stdout.split()), {'127.0.0.1'})

    def test_fail2ban_takes_the_jail(self):
        folder = shutil.copytree('/etc/fail2ban', os.path.join(self.folder, 'fail2ban'))
        shutil.rmtree(os.path.join(folder, 'jail.d'))
        os.mkdir(os.path.join(folder, 'jail.d'))
        for kind in ('filter', 'jail'):
            text = shipped(f'fail2ban-{kind}.conf').replace('/var/lib/visitors', self.stack.state_dir)
            with open(os.path.join(folder, f'{kind}.d', 'visitors.conf'), 'w', encoding='utf-8') as file:
                file.write(text)
        result = subprocess.run(['fail2ban-client', '-c', folder, '-d'], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn(f"['set', 'visitors', 'addlogpath', '{self.stack.state_dir}/log/access.log'", result.stdout)
        self.assertIn("['set', 'visitors', 'maxretry', 100]", result.stdout)


# For each alert: series and what becomes of them in half an hour, a minute a step; with the first it comes, with the second it does not.
ALERTS = {
    'VisitorsUnreachable': ({'probe_success{job="health"}': '0x30'}, {'probe_success{job="health"}': '1x30'}),
    'VisitorsDatabaseAway': ({'visitors_database_away': '1x30'}, {'visitors_database_away': '0x30'}),
    'VisitorsFailing': ({'visitors_requests_total{area="api",status="500"}': '0+2x30', 'visitors_requests_total{area="api",status="200"}': '0+100x30'},
                        {'visitors_requests_total{area="health",status="503"}': '0+9x30', 'visitors_requests_total{area="api",status="200"}': '0+1x30'}),
    'VisitorsRefusing': ({'visitors_refused_total{reason="app"}': '0+70x30'}, {'visitors_refused_total{reason="rate_limit"}': '0+70x30'}),
    'VisitorsFlooded': ({'visitors_refused_total{reason="rate_limit"}': '0+400x30'}, {'visitors_refused_total{reason="rate_limit"}': '0+200x30'}),
    'VisitorsDiskFilling': ({'node_filesystem_avail_bytes{fstype="ext4"}': '5x30', 'node_filesystem_size_bytes{fstype="ext4"}': '100x30'},
                            {'node_filesystem_avail_bytes{fstype="tmpfs"}': '0x30', 'node_filesystem_size_bytes{fstype="tmpfs"}': '100x30'}),
    'VisitorsUnwatched': ({'up{job="mtail"}': '0x30'}, {'up{job="mtail"}': '1x30'}),
}


class AlertsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder)

    def promtool(self, *arguments):
        result = subprocess.run(['promtool', *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout

    def comes(self, alert, series):
        """Whether the alert is there after half an hour. promtool compares with what is expected: nothing."""
        test = {'rule_files': [os.path.join(FOLDER, 'alerts.yml')], 'tests': [{
            'interval': '1m', 'input_series': [{'series': name, 'values': values} for name, values in series.items()],
            'promql_expr_test': [{'expr': f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)', 'eval_time': '29m',
                                  'exp_samples': [{'labels': '{}', 'value': 0}]}]}]}
        path = os.path.join(self.folder, 'test.yml')
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(test, file)
        result = subprocess.run(['promtool', 'test', 'rules', path], capture_output=True, text=True, timeout=60)
        self.assertIn(result.returncode, (0, 1), result)
        self.assertIn('got: {} 1E+00' if result.returncode else 'SUCCESS', result.stdout + result.stderr)
        return result.returncode == 1

    def test_what_is_shipped_is_right(self):
        shutil.copy(os.path.join(FOLDER, 'alerts.yml'), self.folder)
        shutil.copy(os.path.join(FOLDER, 'prometheus.yml'), self.folder)
        self.promtool('check', 'config', os.path.join(self.folder, 'prometheus.yml'))

    def test_each_alert_comes_when_it_should_and_only_then(self):
        self.assertEqual(sorted(ALERTS), sorted(re.findall(r'alert: (\w+)', shipped('alerts.yml'))))
        for alert, (series, others) in ALERTS.items():
            with self.subTest(alert):
                self.assertTrue(self.comes(alert, series))
                self.assertFalse(self.comes(alert, others))

    def test_each_says_what_is_the_matter_and_where_to_look(self):
        text = shipped('alerts.yml')
        for words in ('summary: ', 'description: ', 'severity: '):
            self.assertEqual(text.count(words), len(ALERTS))


class ReadersTest(unittest.TestCase):
    def test_mtails_user_may_read_the_logs_and_nothing_else(self):
        """By the guide's own commands, before and after a rotation."""
        if os.geteuid() != 0:
            self.skipTest('needs another user')
        stack = Stack()
        self.addCleanup(stack.stop)
        log = os.path.join(stack.state_dir, 'log')
        commands = re.findall(r'(?m)^setfacl .*', shipped('README.md'))
        self.assertEqual(len(commands), 2)
        for command in [f'chmod o+x {stack.state_dir}', *commands]:
            subprocess.run(['sh', '-c', re.sub(r'/var/lib/\w+/log', log, command)], check=True)

        def may_read(path):
            return subprocess.run(['runuser', '-u', 'mtail', '--', 'cat', path], cwd='/', capture_output=True).returncode == 0
        path = os.path.join(log, 'access.log')
        self.assertTrue(may_read(path) and may_read(os.path.join(log, 'backend.log')))
        os.rename(path, f'{path}.kept')
        os.kill(stack.pid('nginx'), signal.SIGUSR1)
        wait_until(lambda: os.path.exists(path), 5, 'nginx has opened it anew')
        self.assertTrue(may_read(path))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        self.assertFalse(may_read(os.path.join(log, 'postgres.log')))
        self.assertFalse(may_read(os.path.join(stack.state_dir, 'secrets', 'database_password')))


class ReportTest(unittest.TestCase):
    """make report."""

    def test_without_a_log_it_says_so(self):
        stack = Stack(start=False)
        self.addCleanup(stack.remove)
        result = stack.make('report')
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('there is no access log', result.stderr)
        self.assertFalse(os.path.exists(os.path.join(stack.state_dir, 'report.html')))

    def test_it_has_all_requests_also_those_of_rotated_logs(self):
        with Stack() as stack:
            for _ in range(7):
                stack.get(sample.LIST)
            log = os.path.join(stack.state_dir, 'log', 'access.log')
            subprocess.run(['gzip', '--keep', '--suffix=.2.gz', log], check=True)
            stack.get('/<script>alert(1)</script>')
            wait_until(lambda: 'script' in stack.log_text('access'), 5, 'it is logged')
            lines = 2 * len(stack.log_lines('access')) - 1
            result = stack.make('report')
            self.assertEqual(result.returncode, 0, result)
            path = result.stdout.splitlines()[-1]
            self.assertEqual(path, os.path.join(stack.state_dir, 'report.html'))
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            with open(path, encoding='utf-8') as file:
                page = file.read()
            general = {name: int(value) for name, value in re.findall(r'"(\w+_requests)": (\d+)', page)}
            self.assertEqual(general, {'total_requests': lines, 'valid_requests': lines, 'failed_requests': 0})
            self.assertIn(sample.LIST.replace('/', '\\/'), page)
            self.assertNotIn('<script>alert(1)', page)
            self.assertEqual([name for name in os.listdir(stack.state_dir) if name.startswith('report')], ['report.html'])


if __name__ == '__main__':
    unittest.main()
