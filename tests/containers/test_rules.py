"""The scripts and rules of the containers that need no engine: lint_compose finds what it shall find, the list of sources
is whole, `make pin` changes every line or none."""
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = ('compose.yaml', '.gitignore', '.dockerignore', 'fcgi-app/Dockerfile', 'fcgi-app/src/config.cpp', 'fcgi-app/src/version.hpp',
         'nginx/Dockerfile', 'postgres/Dockerfile', 'postgres/start', 'local/name', 'local/sbom', 'local/pin', 'local/scan', 'local/up', 'tests/lint_compose')

# file, what stands there, what somebody makes of it, what lint must say
BREAKAGES = [
    ('compose.yaml', 'args: { VERSION: ', 'args: { VERSION: 9', 'its build argument VERSION must be'),
    ('nginx/Dockerfile', 'image.licenses="MIT"', 'image.license="MIT"', 'must end with the labels of OCI'),
    ('compose.yaml', '  read_only: true\n', '', 'read_only is missing'),
    ('compose.yaml', 'cap_drop: [ALL]', 'cap_drop: [NET_RAW]', 'cap_drop must be'),
    ('compose.yaml', 'no-new-privileges:true', 'no-new-privileges:false', 'no-new-privileges is missing'),
    ('compose.yaml', 'user: "70:70"', 'user: "0:0"', 'user must be numeric'),
    ('compose.yaml', '127.0.0.1:${HTTP_PORT', '0.0.0.0:${HTTP_PORT', 'must be on 127.0.0.1'),
    ('compose.yaml', 'networks: [edge, app]', 'networks: [edge, app, data]', 'nginx: networks must be'),
    ('compose.yaml', 'networks: [data]\n', 'networks: [data]\n    ports: ["127.0.0.1:5432:5432"]\n', 'only nginx has a port'),
    ('compose.yaml', 'data: { internal: true }', 'data: {}', 'network data'),
    ('compose.yaml', 'stop_signal: SIGINT', 'stop_signal: SIGTERM', 'stop_signal must be SIGINT'),
    ('compose.yaml', 'test: ["CMD", "/usr/bin/probe"]', 'test: curl -f localhost', 'must be a program'),
    ('compose.yaml', 'condition: service_completed_successfully', 'condition: service_started', 'depends_on must be'),
    ('compose.yaml', '    pids_limit: 256\n', '', 'pids_limit is missing'),
    ('compose.yaml', 'memswap_limit: 1g', 'memswap_limit: 2g', 'no swap'),
    ('compose.yaml', 'DATABASE_PASSWORD_FILE: /run/password/database', 'PGPASSWORD: secret', 'must be a file in /run/secrets'),
    ('compose.yaml', 'password:/run/password:ro', 'password:/run/password', 'written by migrate, read by the app'),
    ('compose.yaml', 'PGDATA: /var/lib/postgresql/data', 'PGDATA: /var/lib/data', 'must lie below the volume'),
    ('compose.yaml', 'restart: unless-stopped', 'restart: always', 'restart must be'),
    ('compose.yaml', '      APP_DRAIN_MS: ${APP_DRAIN_MS:-}\n', '', 'differ in'),
    ('compose.yaml', 'driver: local,', 'driver: json-file,', 'logging must be local'),
    ('.dockerignore', '\n*\n', '\n', 'must begin with *'),
    ('postgres/start', '--data-checksums', '', 'without --data-checksums'),
    ('nginx/Dockerfile', 'USER 65532:65532', 'USER root', 'the last USER'),
    ('fcgi-app/Dockerfile', 'ADD --checksum=sha256:${LIBPQXX_SHA256} ', 'ADD ', 'without --checksum'),
    ('fcgi-app/Dockerfile', 'ARG LIBFCGI_VERSION=2.4.7', 'ARG LIBFCGI_VERSION=2.4.6', 'has a known flaw'),
    ('fcgi-app/Dockerfile', 'RUN apk add --no-cache autoconf', 'RUN curl -O x && apk add --no-cache autoconf', 'downloads by RUN'),
]


def can_read_compose():
    if shutil.which('docker') and subprocess.run(['docker', 'compose', 'version'], capture_output=True).returncode == 0:
        return True
    return subprocess.run(['python3', '-c', 'import yaml'], capture_output=True).returncode == 0


class RulesTest(unittest.TestCase):
    def setUp(self):
        self.project = tempfile.mkdtemp(prefix='v-rules-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.project)
        for name in FILES:
            os.makedirs(os.path.dirname(os.path.join(self.project, name)), exist_ok=True)
            shutil.copy2(os.path.join(PROJECT, name), os.path.join(self.project, name))

    def run_script(self, name, *words, **options):
        return subprocess.run([os.path.join(self.project, name), *words], capture_output=True, text=True, timeout=60, **options)

    @unittest.skipUnless(can_read_compose(), 'neither docker compose nor python3-yaml is here')
    def test_lint_finds_what_it_shall_find(self):
        self.assertEqual(self.run_script('tests/lint_compose').stdout, '')
        for name, old, new, message in BREAKAGES:
            with self.subTest(f'{name}: {new or old}'):
                path = os.path.join(self.project, name)
                with open(path) as file:
                    text = file.read()
                self.assertIn(old, text)
                with open(path, 'w') as file:
                    file.write(text.replace(old, new))
                result = self.run_script('tests/lint_compose')
                with open(path, 'w') as file:
                    file.write(text)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(message, result.stdout)

    def test_the_list_of_sources_is_whole(self):
        document = json.loads(self.run_script('local/sbom').stdout)
        self.assertEqual(document['spdxVersion'], 'SPDX-2.3')
        ids = {package['SPDXID'] for package in document['packages']}
        self.assertEqual(ids, {'SPDXRef-libfcgi', 'SPDXRef-libpqxx', 'SPDXRef-rapidjson'})
        self.assertEqual({each['relatedSpdxElement'] for each in document['relationships']}, ids)
        for package in document['packages']:
            self.assertRegex(package['externalRefs'][0]['referenceLocator'], r'^pkg:github/.+@.+$')
            self.assertRegex(package['checksums'][0]['checksumValue'], r'^[0-9a-f]{64}$')
            self.assertTrue(package['licenseDeclared'])

    def with_tools(self, script, words=(), **tools):
        """Runs a script of the project with these programs, which are lines of sh, before all others."""
        folder = os.path.join(self.project, 'tools')
        os.makedirs(folder, exist_ok=True)
        for name, text in tools.items():
            with open(os.path.join(folder, name), 'w') as file:
                file.write(f'#!/bin/sh\n{text}\n')
            os.chmod(os.path.join(folder, name), 0o755)
        return self.run_script(script, *words, env={**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}'})

    def pin(self, answer):
        """With a docker that answers so instead of asking a registry."""
        return self.with_tools('local/pin', docker=answer)

    def up(self, data, built=True):
        """With an engine that has an older image of the database, of PostgreSQL 17, and builds one of 18. What it was told to do, and which
        image bears the name in the end."""
        log, tag = os.path.join(self.project, 'log'), os.path.join(self.project, 'tag')
        with open(tag, 'w') as file:
            file.write('of-17')
        result = self.with_tools('local/up', docker=f"""
            echo "$*" >>'{log}'
            case "$*" in
                'compose config --images') printf 'p-nginx:1.5.2\\np-db:1.5.2\\np-db:1.5.2\\n' ;;
                'image inspect --format {{{{.Id}}}} p-db:1.5.2') cat '{tag}' ;;
                'compose build') {'true' if built else 'exit 1'} && printf of-18 >'{tag}' ;;
                'compose run '*) printf '18\\n{data}' ;;
                'tag of-17 p-db:1.5.2') printf of-17 >'{tag}' ;;
                'compose up --wait') ;;
                *) exit 9 ;;
            esac""", words=['--wait'])
        with open(log) as told, open(tag) as bears:
            return result, told.read().splitlines(), bears.read()

    def test_up_never_gives_the_data_to_another_major_version(self):
        result, told, image = self.up('17\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("the data is PostgreSQL 17's, but the new base image is PostgreSQL 18: nothing was replaced", result.stderr)
        self.assertNotIn('compose up --wait', told)
        self.assertEqual(image, 'of-17')

    def test_up_replaces_what_can_read_the_data_and_starts_where_there_is_none(self):
        for data in ('18\n', ''):
            result, told, image = self.up(data)
            self.assertEqual((result.returncode, result.stderr), (0, ''))
            self.assertEqual((told[-1], image), ('compose up --wait', 'of-18'))

    def test_up_replaces_nothing_by_what_could_not_be_built(self):
        result, told, _ = self.up('17\n', built=False)
        self.assertEqual((result.returncode, told[-1]), (1, 'compose build'))

    def test_each_image_is_scanned_by_both_and_either_may_object(self):
        docker = 'case "$*" in "compose config --images") printf "one\\ntwo\\none\\n" ;; esac'
        for objecting in ('', 'two', 'fcgi-app.spdx.json'):
            for scanner in ('trivy', 'grype'):
                with self.subTest(f'{scanner} objects to {objecting}'):
                    tools = {name: f'case "$*" in *"{objecting}") exit {int(name == scanner and objecting != "")} ;; esac' for name in ('trivy', 'grype')}
                    result = self.with_tools('local/scan', docker=docker, **tools)
                    self.assertEqual((result.returncode, 'nothing known' in result.stdout), (1, False) if objecting else (0, True), result)
                    for name, image in [('trivy', ' one'), ('trivy', ' two'), ('grype', 'docker:one'), ('grype', 'docker:two'),
                                        ('trivy', 'fcgi-app.spdx.json'), ('grype', 'fcgi-app.spdx.json')]:
                        self.assertEqual(len(re.findall(f'(?m)^== {name} .*{image}$', result.stdout)), 1, result.stdout)

    def base_images(self):
        text = ''
        for name in ('fcgi-app', 'nginx', 'postgres'):
            with open(os.path.join(self.project, name, 'Dockerfile')) as file:
                text += file.read()
        return [line.split('=', 1)[1] for line in text.splitlines() if line.startswith('ARG ') and '=cgr.dev/' in line]

    def test_pin_writes_each_digest_and_replaces_older_ones(self):
        bare = [image.split('@')[0] for image in self.base_images()]
        for digit in 'ab':
            result = self.pin(f'echo sha256:{digit * 64}')
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(self.base_images(), [f'{image}@sha256:{digit * 64}' for image in bare])

    def test_pin_changes_nothing_without_every_digest(self):
        before = self.base_images()
        for answer in ('exit 1', 'echo nonsense', 'case "$*" in *nginx*) exit 1 ;; esac; echo sha256:' + 'a' * 64):
            result = self.pin(answer)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn('nothing was changed', result.stderr)
            self.assertEqual(self.base_images(), before)


# The same for deploy/kubernetes: first what the types find, then what only the rules do. Each list is tried at once.
MISSPELT = [
    ('base/web.yaml', 'replicas: 2', 'replicas: "2"', "Deployment visitors: Type 'string' is not assignable to type 'number'"),
    ('base/web.yaml', '  minAvailable: 1', '  minAvailible: 1', "PodDisruptionBudget visitors: Object literal may only specify known properties, and '\"minAvailible\"'"),
    ('base/migrate.yaml', 'restartPolicy: Never', 'restartPolicy: never', "Job visitors-migrate-"),
    ('base/network.yaml', 'ingress:\n    - ports: [{ port: 8080 }]', 'ingress:\n    - port: [{ port: 8080 }]', 'NetworkPolicy visitors-web: '),
    ('base/database.yaml', 'dataDurability: required', 'dataDurability: require', 'Cluster visitors-db: '),
    ('example/ingress.yaml', 'pathType: Prefix, ', '', 'Ingress visitors: '),
]
WRONG = [
    ('base/web.yaml', 'runAsNonRoot: true', 'runAsNonRoot: false', 'visitors: must not be root'),
    ('base/web.yaml', 'readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false', 'visitors/nginx: readOnlyRootFilesystem'),
    ('base/web.yaml', '--probe=live] }, periodSeconds: 10', '--probe] }, periodSeconds: 10', 'app: livenessProbe must not depend on the database'),
    ('base/web.yaml', 'name: DATABASE_PASSWORD_FILE, value: /run/password/password', 'name: DATABASE_PASSWORD, value: secret', 'PASSWORD must be a file'),
    ('base/web.yaml', 'name: APP_LISTEN,', 'name: APP_LISTENS,', 'visitors/app: APP_LISTENS is no setting of config.cpp'),
    ('base/web.yaml', 'sleep: { seconds: 15 }', 'sleep: { seconds: 5 }', 'app: must not end before nginx'),
    ('base/web.yaml', 'terminationGracePeriodSeconds: 45', 'terminationGracePeriodSeconds: 20', 'terminationGracePeriodSeconds is too short'),
    ('base/web.yaml', 'minAvailable: 1', 'minAvailable: 2', 'PodDisruptionBudget: must leave one pod'),
    ('base/web.yaml', 'image: visitors-app:', 'image: visitors-app:9', 'visitors/app: the image must be tagged'),
    ('base/web.yaml', 'name: APP_REPLICATED, value: "on"', 'name: APP_REPLICATED, value: "off"', 'APP_REPLICATED must be on'),
    ('base/migrate.yaml', 'name: visitors-migrate-', 'name: visitors-migrate-9', 'the job is named visitors-migrate-9'),
    ('base/database.yaml', 'dataDurability: required', 'dataDurability: preferred', 'a standby must confirm each commit'),
    ('base/database.yaml', 'postgresql:17', 'postgresql:latest', 'must name PostgreSQL\'s major version'),
    ('base/network.yaml', 'cnpg.io/cluster: visitors-db', 'cnpg.io/cluster: visitors', 'is nobody'),
    ('base/app.conf', 'max_conns=384', 'max_conns=38', 'base/app.conf: must be as nginx/deployment/app.conf'),
    ('base/proxies.conf', 'real_ip_recursive on;', '', 'base/proxies.conf: must be as nginx/deployment/proxies.conf'),
    ('example/proxies.conf', '10.244.0.0/16 1;', '10.0.0.0/8 1;', 'example/proxies.conf: must be as'),
]


def can_check_types():
    return bool(importlib.util.find_spec('yaml') and shutil.which('npm'))


@unittest.skipUnless(can_check_types(), 'python3-yaml or npm is missing')
class KubernetesRulesTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.mkdtemp(prefix='v-rules-', dir='/tmp')
        self.addCleanup(shutil.rmtree, scratch)
        self.folder = shutil.copytree(os.path.join(PROJECT, 'deploy', 'kubernetes'), os.path.join(scratch, 'kubernetes'))

    def lint(self):
        return subprocess.run([os.path.join(PROJECT, 'tests', 'lint_kubernetes'), self.folder], capture_output=True, text=True, timeout=120)

    def found(self, breakages):
        for name, old, new, _ in breakages:
            path = os.path.join(self.folder, name)
            with open(path) as file:
                text = file.read()
            self.assertIn(old, text)
            with open(path, 'w') as file:
                file.write(text.replace(old, new))
        result = self.lint()
        self.assertEqual(result.returncode, 1, result)
        for *_, message in breakages:
            self.assertIn(message, result.stdout)

    def test_nothing_is_wrong_with_what_is_shipped(self):
        result = self.lint()
        self.assertEqual((result.returncode, result.stdout), (0, ''), result)

    def test_what_kubernetes_would_not_know_is_found(self):
        self.found(MISSPELT)

    def test_what_is_against_the_rules_is_found(self):
        self.found(WRONG)


if __name__ == '__main__':
    unittest.main()
