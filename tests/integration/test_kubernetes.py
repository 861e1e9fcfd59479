"""deploy/kubernetes under `podman kube play`, which is no cluster, but runs a pod as one would: the job migrates a primary with TLS
and a synchronous standby, and the pod serves from there, in a network of its own. The images are stand-ins, of this machine's programs in
the folders and under the users of the Dockerfiles. What podman 4.3 cannot do is done for it: secrets become folders of the host, since it
does not decode them. How the example is rendered tests/lint_kubernetes looks at; policies, budgets and a failover need a cluster."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import stack as stacks
from stack import sample, wait_until

try:
    import yaml
except ImportError:
    yaml = None

NEEDED = ('podman', 'runc', 'unshare', 'nsenter', 'curl')
DATABASE = 'visitors-db-rw'  # as the pod calls it
VERSION = re.search(rb'version = "([\d.]+)"', stacks.read_bytes(os.path.join(stacks.PROJECT, 'fcgi-app/src/version.hpp')))[1].decode()
# What each image is made of: programs, with their libraries, at their places; then what its Dockerfile says of it.
PROGRAMS = {'db': ['/bin/bash', '/bin/cat', '/bin/sed', '/usr/bin/cut', '/usr/bin/dirname', '/usr/bin/setsid'], 'nginx': ['/usr/sbin/nginx']}
ENDS = {'app': 'USER 65532:65532\nENTRYPOINT ["/usr/bin/fcgi-app"]',
        'nginx': 'COPY --chown=65532:65532 own/ /srv/visitors/\nUSER 65532:65532\nSTOPSIGNAL SIGQUIT\n'
                 'ENTRYPOINT ["/usr/sbin/nginx", "-p", "/srv/visitors", "-e", "/dev/stderr", "-g", "daemon off;"]\n'
                 'CMD ["-c", "/srv/visitors/release/nginx-on/nginx.conf"]',
        'db': 'USER 70:70', 'pause': 'ENTRYPOINT ["/pause"]'}
PAUSE = '#include <signal.h>\n#include <unistd.h>\nint main(void) { signal(SIGTERM, _exit); for (;;) pause(); }\n'
CONFIGURATION = """
[containers]
base_hosts_file = "{folder}/hosts"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
infra_image = "localhost/pause:1"
"""


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=120, stdin=subprocess.DEVNULL, **options)
    if result.returncode != 0:
        raise AssertionError(f'{command}: exit status {result.returncode}\n{result.stdout[-2000:]}{result.stderr[-2000:]}')
    return result.stdout.strip()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


class Network:
    """A network namespace with a loopback interface and nothing else, in which others run; ends with `close`."""

    def __init__(self):
        up = ('import fcntl, signal, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 1)); '
              'print(flush=True); signal.pause()')  # SIOCSIFFLAGS, IFF_UP
        self.holder = subprocess.Popen(['unshare', '--net', 'python3', '-c', up], stdout=subprocess.PIPE)
        if not self.holder.stdout.readline():
            raise unittest.SkipTest('this machine allows no network namespace')

    def inside(self, *command):
        return ['nsenter', f'--net=/proc/{self.holder.pid}/ns/net', *command]

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Database:
    """A primary with TLS, and a standby that it waits for, in that network."""

    def __init__(self, folder, network):
        self.folder, self.network = folder, network
        self.programs = sorted(glob.glob('/usr/lib/postgresql/*/bin'))[-1]
        os.mkdir(folder)
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', f'/CN={DATABASE}',
            '-addext', f'subjectAltName=DNS:{DATABASE}', '-keyout', f'{folder}/key', '-out', f'{folder}/ca.crt')
        run('chown', '--recursive', 'postgres', folder)
        self.call('initdb', f'--pgdata={folder}/primary', '--username=postgres', '--auth-local=peer', '--auth-host=scram-sha-256', '--no-sync')
        with open(f'{folder}/primary/postgresql.conf', 'a', encoding='utf-8') as file:
            file.write(f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\n"
                       f"ssl = on\nssl_cert_file = '{folder}/ca.crt'\nssl_key_file = '{folder}/key'\n")
        write(f'{folder}/primary/pg_hba.conf', 'local all,replication all peer\nhostssl all all 127.0.0.1/32 scram-sha-256\n')
        self.start('primary', 5432)
        self.sql("ALTER ROLE postgres PASSWORD 'of the superuser'", f'CREATE DATABASE {sample.NAME} TEMPLATE template0')
        self.call('pg_basebackup', f'--pgdata={folder}/standby', '--write-recovery-conf', '--checkpoint=fast', '--no-sync',
                  f'--dbname=host={folder} application_name=standby')
        self.start('standby', 5433)
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby)'", 'SELECT pg_reload_conf()')

    def call(self, program, *arguments):
        return run(*self.network.inside('runuser', '-u', 'postgres', '--', f'{self.programs}/{program}', *arguments), cwd='/', env=stacks.PSQL_ENVIRONMENT)

    def sql(self, *statements):
        self.call('psql', '-XqtA', '-h', self.folder, '-d', 'postgres', *(f'--command={text}' for text in statements))

    def start(self, which, port):
        self.call('pg_ctl', 'start', '--wait', f'--pgdata={self.folder}/{which}', f'--log={self.folder}/{which}.log', f'--options=-p {port}')

    def stop(self, which):
        self.call('pg_ctl', 'stop', '--mode=immediate', f'--pgdata={self.folder}/{which}')

    def close(self):
        for which in ('standby', 'primary'):
            if os.path.exists(f'{self.folder}/{which}/postmaster.pid'):
                self.stop(which)


class Images:
    """The stand-ins, made in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.copy('app', [stacks.PROGRAM], '/usr/bin/fcgi-app')
        self.copy('db', [sorted(glob.glob('/usr/lib/postgresql/*/bin/psql'))[-1]], '/usr/bin/psql')
        for image, programs in PROGRAMS.items():
            self.copy(image, programs)
        self.make_nginx(os.path.join(folder, 'nginx'))
        shared = os.path.join(folder, 'db', 'usr/share/visitors')
        shutil.copytree(os.path.join(stacks.PROJECT, 'sql'), os.path.join(shared, 'sql'))
        for name in ('postgres/migrate', 'local/name'):
            shutil.copy(os.path.join(stacks.PROJECT, name), shared)
        os.symlink('bash', os.path.join(folder, 'db/bin/sh'))
        os.makedirs(os.path.join(folder, 'db/tmp'))
        self.compile(['-x', 'c', '-'], 'pause/pause', PAUSE)
        run('chmod', '--recursive', 'a+rX', folder)
        os.chmod(os.path.join(folder, 'db/tmp'), 0o1777)
        for image, end in ENDS.items():
            write(os.path.join(folder, f'Dockerfile.{image}'), f'FROM scratch\nCOPY {image}/ /\n{end}\n')

    def copy(self, image, programs, target=None):
        for program in programs:
            for path in [program, *re.findall(r'/[^\s)]+', subprocess.run(['ldd', program], capture_output=True, text=True).stdout)]:
                where = self.folder + f'/{image}' + (target if target and path == program else path)
                os.makedirs(os.path.dirname(where), exist_ok=True)
                shutil.copy(path, where)
        write(os.path.join(self.folder, image, 'etc/passwd'), 'postgres:x:70:70::/:/bin/sh\nnonroot:x:65532:65532::/:/bin/sh\n')
        write(os.path.join(self.folder, image, 'etc/nsswitch.conf'), 'hosts: files\n')

    def make_nginx(self, root):
        prefix = os.path.join(root, 'srv/visitors')
        os.makedirs(f'{prefix}/release/nginx-on')
        for name in ('nginx.conf', 'conf.d', 'deployment', 'snippets'):
            run('cp', '-R', os.path.join(stacks.PROJECT, 'nginx', name), f'{prefix}/release/nginx-on')
        shutil.copytree(os.path.join(stacks.PROJECT, 'html'), f'{prefix}/release/html')
        os.mkdir(f'{prefix}/log')
        os.symlink('/dev/stdout', f'{prefix}/log/access.log')
        os.symlink('/dev/stderr', f'{prefix}/log/error.log')
        for name in ('own/run', 'own/tmp', 'nginx/var/lib/nginx', 'nginx/var/log/nginx'):
            os.makedirs(os.path.join(self.folder, name))
        self.compile([os.path.join(stacks.PROJECT, 'nginx/probe.c')], 'nginx/usr/bin/probe')

    def compile(self, source, target, text=''):
        target = os.path.join(self.folder, target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run(['gcc', '-O2', '-static', '-s', *source, '-o', target], input=text, text=True, check=True)


class KubernetesTest(unittest.TestCase):
    LASTS_S = 60
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        missing = [name for name in NEEDED if not shutil.which(name)] + ([] if yaml else ['python3-yaml'])
        if missing or os.geteuid() != 0 or os.environ.get('SANITIZE'):
            raise unittest.SkipTest(f'needs root, a plain build and {", ".join(missing or NEEDED)}')
        cls.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        cls.addClassCleanup(run, 'rm', '-rf', cls.folder)
        os.chmod(cls.folder, 0o755)
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        cls.prepare_podman()
        cls.database = Database(os.path.join(cls.folder, 'database'), cls.network)
        cls.addClassCleanup(cls.database.close)
        cls.job, cls.pod = cls.manifests()
        cls.podman('kube', 'play', '--network=host', cls.job)
        wait_until(lambda: cls.inspect('migrate-migrate', '.State.Status') == 'exited', 60, 'the job has ended')
        cls.job_status, cls.job_log = cls.inspect('migrate-migrate', '.State.ExitCode'), cls.podman('logs', 'migrate-migrate')
        cls.podman('kube', 'play', '--network=host', cls.pod)
        wait_until(lambda: cls.status('/health') == 200, 60, 'the pod serves')

    @classmethod
    def prepare_podman(cls):
        with open('/etc/hosts', encoding='utf-8') as file:
            write(f'{cls.folder}/hosts', f'{file.read()}\n127.0.0.1 {DATABASE}\n')
        write(f'{cls.folder}/containers.conf', CONFIGURATION.format(folder=cls.folder))
        Images(f'{cls.folder}/images')
        for image in ENDS:
            cls.podman('build', '--quiet', f'--file=Dockerfile.{image}', f'--tag=localhost/{"pause:1" if image == "pause" else f"visitors-{image}:{VERSION}"}', '.')
        tried = cls.try_podman('run', '--rm', '--network=host', f'localhost/visitors-app:{VERSION}', '--version')
        if VERSION not in tried.stdout:
            raise unittest.SkipTest(f'podman runs no container here: {tried.stderr[-300:]}')
        cls.addClassCleanup(cls.podman, 'pod', 'rm', '--all', '--force')

    @classmethod
    def try_podman(cls, *words):
        storage = [f'--root={cls.folder}/storage', f'--runroot={cls.folder}/run', '--storage-driver=vfs']
        return subprocess.run(cls.network.inside('podman', *storage, *words), cwd=f'{cls.folder}/images', stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors='replace', timeout=120, env={**os.environ, 'CONTAINERS_CONF': f'{cls.folder}/containers.conf'})

    @classmethod
    def podman(cls, *words):
        result = cls.try_podman(*words)
        if result.returncode != 0:
            raise AssertionError(f'podman {words}: exit status {result.returncode}\n{result.stdout[-2000:]}{result.stderr[-2000:]}')
        return result.stdout + (result.stderr if words[0] == 'logs' else '')

    @classmethod
    def inspect(cls, container, what):
        return cls.podman('inspect', container, '--format', f'{{{{{what}}}}}').strip()

    @classmethod
    def manifests(cls):
        """The job as a pod, and the deployment: what the base says, with what kustomize and secrets would give."""
        base = os.path.join(stacks.PROJECT, 'deploy/kubernetes/base')
        objects = {}
        for name in ('web', 'migrate'):
            text = stacks.read_bytes(f'{base}/{name}.yaml').decode().replace('image: ', 'image: localhost/')
            objects.update((one['kind'], one) for one in yaml.safe_load_all(text))
        files = {name: stacks.read_bytes(f'{base}/{name}').decode() for name in ('app.conf', 'proxies.conf')}
        objects['ConfigMap'] = {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'visitors-nginx'}, 'data': files}
        for name, text in (('password', 'of the app'), ('database_password', 'of the app'), ('database_admin_password', 'of the superuser')):
            write(f'{cls.folder}/secrets/{name}', text)
        shutil.copy(f'{cls.folder}/database/ca.crt', f'{cls.folder}/secrets')
        os.chmod(f'{cls.folder}/secrets/ca.crt', 0o644)
        job, deployment = objects['Job']['spec']['template'], objects['Deployment']
        for spec in (job['spec'], deployment['spec']['template']['spec']):
            secret = {'hostPath': {'path': f'{cls.folder}/secrets', 'type': 'Directory'}}
            spec['volumes'] = [{'name': volume['name'], **secret} if {'secret', 'projected'} & set(volume) else volume for volume in spec['volumes']]
            for container in spec['containers']:
                container.pop('ports', None)
        deployment['spec']['replicas'] = 1
        pod = {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'migrate'}, 'spec': job['spec']}
        write(f'{cls.folder}/job.yaml', yaml.safe_dump(pod))
        write(f'{cls.folder}/pod.yaml', yaml.safe_dump_all([objects['ConfigMap'], deployment]))
        return f'{cls.folder}/job.yaml', f'{cls.folder}/pod.yaml'

    @classmethod
    def status(cls, path, *arguments):
        return int(subprocess.run(cls.network.inside('curl', '--silent', '--max-time', '8', '--output', '/dev/null', '--write-out', '%{http_code}',
                                                     *arguments, f'http://127.0.0.1:8080{path}'), capture_output=True, text=True).stdout)

    def add(self):
        return self.status(sample.COLLECTION, '--request', 'POST', '--header', 'Content-Type: application/json', '--data', json.dumps(sample.new('Ada')))

    def assert_page_and_probes(self):
        """What Kubernetes asks, as the manifest has it; podman 4.3 would ask by a shell, which the images do not have."""
        self.assertEqual(self.status('/'), 200)
        with open(self.pod, encoding='utf-8') as file:
            [deployment] = [one for one in yaml.safe_load_all(file) if one['kind'] == 'Deployment']
        for container in deployment['spec']['template']['spec']['containers']:
            for probe in ('readinessProbe', 'livenessProbe'):
                self.podman('exec', f'visitors-pod-0-{container["name"]}', *container[probe]['exec']['command'])

    def kill(self, container):
        """The process, and not by podman, which would take it for a wish."""
        os.kill(int(self.inspect(f'visitors-pod-0-{container}', '.State.Pid')), signal.SIGKILL)

    def test_a_the_job_has_brought_the_database_up_to_date(self):
        self.assertEqual(self.job_status, '0', self.job_log)
        applied = re.findall(r'migrate: (\w+\.sql)', self.job_log)
        self.assertEqual(applied, sorted(os.path.basename(path) for path in glob.glob(os.path.join(stacks.PROJECT, 'sql', '[0-9]*.sql'))))

    def test_b_the_pod_has_no_rights(self):
        for container in ('nginx', 'app'):
            status = stacks.read_bytes(f'/proc/{self.inspect(f"visitors-pod-0-{container}", ".State.Pid")}/status').decode()
            for line in ('Uid:\t65532\t65532\t65532\t65532', 'CapEff:\t0000000000000000', 'CapBnd:\t0000000000000000', 'NoNewPrivs:\t1', 'Seccomp:\t2'):
                self.assertIn(f'\n{line}\n', status, container)
            self.assertEqual(self.inspect(f'visitors-pod-0-{container}', '.HostConfig.ReadonlyRootfs'), 'true')

    def test_c_it_serves_and_each_container_comes_back(self):
        self.assertEqual(self.add(), 201)
        self.assert_page_and_probes()
        for container in ('app', 'nginx'):
            before = self.inspect(f'visitors-pod-0-{container}', '.State.Pid')
            self.kill(container)
            wait_until(lambda container=container, before=before: self.inspect(f'visitors-pod-0-{container}', '.State.Pid') not in ('0', before), 20,
                       f'{container} runs again')
            wait_until(lambda: self.status('/health') == 200, 20, 'it serves again')
        self.assertEqual(self.add(), 201)

    def test_d_outages_are_outlived(self):
        self.database.stop('standby')
        # What no standby confirms is not acknowledged, and what cannot be confirmed is not read.
        self.assertEqual(self.add(), 503)
        self.assertEqual(self.status(sample.LIST), 503)
        self.assert_page_and_probes()
        self.database.stop('primary')
        wait_until(lambda: self.status('/health') == 503, 20, 'it is known that the database is away')
        self.assert_page_and_probes()
        pids = [self.inspect(f'visitors-pod-0-{container}', '.State.Pid') for container in ('nginx', 'app')]
        self.database.start('primary', 5432)
        self.database.start('standby', 5433)
        wait_until(lambda: self.status('/health') == 200, 30, 'the app has connected again')
        wait_until(lambda: self.add() == 201, 30, 'it takes additions again')
        self.assertEqual([self.inspect(f'visitors-pod-0-{container}', '.State.Pid') for container in ('nginx', 'app')], pids)

    def test_e_the_pod_ends_in_order(self):
        self.podman('pod', 'stop', '--time=45', 'visitors-pod-0')
        self.assertEqual({self.inspect(f'visitors-pod-0-{container}', '.State.ExitCode') for container in ('nginx', 'app')}, {'0'})


if __name__ == '__main__':
    unittest.main()
