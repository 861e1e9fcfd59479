"""`make install` and `make deb`: what is installed runs without the checkout and without a compiler, from a scratch root as from /, its
backups are kept by number, its units are what systemd takes, and two packages of one commit are one. A machine of its own (boot) installs
the package, starts, upgrades and removes it."""
import gzip
import json
import os
import re
import shutil
import subprocess
import tempfile
import types
import unittest

import stack as stacks
from stack import Stack, sample, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = sample.NAME
PACKAGE = NAME.replace('_', '-')
# What systemd-analyze says of the units; a tenth, as it takes it.
EXPOSED = {f'{NAME}.service': 31, f'{NAME}-backup.service': 20}
NOT_POSSIBLE = 77
EPOCH = '1700000000'


def settings_of(text):
    """Each setting of a file, also one that is only shown, with its value."""
    return dict(re.findall(r'(?m)^#? ?([A-Z]+(?:_[A-Z]+)+)=(\S*)', text))


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as file:
        return file.read()


class Scratch(unittest.TestCase):
    """A folder for what is installed, and a service that is called there."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='v-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        self.root = os.path.join(self.folder, 'root')
        self.backups = os.path.join(self.folder, 'backups')
        self.stack = Stack(start=False, BACKUP_DIR=self.backups)
        self.addCleanup(self.stack.remove)

    def make(self, target, **variables):
        result = self.stack.make(target, **variables)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout

    def install(self):
        self.make('install', DESTDIR=self.root, PREFIX='/usr')

    def command(self, *arguments, status=0, **changes):
        """Calls the installed copy, which has nothing of make's. What it prints."""
        environment = {name: value for name, value in self.stack.environment(**changes).items() if name not in ('SERVICE', 'SAMPLE')}
        result = subprocess.run([os.path.join(self.root, 'usr/sbin', NAME), *arguments], cwd='/tmp', env=environment, timeout=180,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(result.returncode, status, result)
        return result.stdout + result.stderr

    def serve(self):
        """Starts it from there; stopped at the test's end at the latest."""
        self.addCleanup(self.command, 'stop')
        self.command('start')
        self.assertIn('app ', self.command('status'))
        sample.prepare(self.stack)
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('Ada')).status, 201)
        self.assertEqual([row[sample.TEXT] for row in self.stack.get(sample.LIST).json()[sample.ITEMS]], ['Ada'])


class InstallTest(Scratch):
    LASTS_S = 25

    def test_what_is_installed_serves_without_the_checkout(self):
        self.install()
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                self.assertTrue(os.path.exists(path), f'{path} leads nowhere')
                if name != 'fcgi-app':
                    self.assertNotIn(os.fsencode(stacks.PROJECT), stacks.read_bytes(path), path)
        self.serve()
        self.command('migrate')
        self.command('stop')
        self.assertEqual(self.stack.processes(), [])
        self.command('status', status=1)

    def test_the_newest_backups_are_kept_and_nothing_else_is_removed(self):
        self.install()
        self.serve()
        os.mkdir(self.backups)
        older = [f'{NAME}-20200101T00000{second}Z.dump' for second in range(4)]
        others = ['mine.dump', f'{NAME}-20190101T000000Z.dump.part', f'{NAME}-before.dump', f'other-{NAME}-20190101T000000Z.dump']
        for name in older + others:
            with open(os.path.join(self.backups, name), 'w', encoding='ascii') as file:
                file.write('of another day')
        os.mkdir(os.path.join(self.backups, f'{NAME}-20190101T000001Z.dump'))
        others.append(f'{NAME}-20190101T000001Z.dump')

        self.assertIn('BACKUPS_KEPT', self.command('backup', status=1, BACKUPS_KEPT='0'))
        self.assertEqual(set(os.listdir(self.backups)), {*older, *others})
        mine = os.path.join(self.backups, 'named.dump')
        self.command('backup', mine, BACKUPS_KEPT='1')
        self.assertEqual(set(os.listdir(self.backups)), {*older, *others, 'named.dump'})

        self.command('backup', BACKUPS_KEPT='3')
        [new] = set(os.listdir(self.backups)) - {*older, *others, 'named.dump'}
        self.assertRegex(new, rf'^{NAME}-2\d{{7}}T\d{{6}}Z\.dump$')
        self.assertEqual(set(os.listdir(self.backups)), {*older[2:], *others, 'named.dump', new})

        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('Eva')).status, 201)
        self.command('restore', os.path.join(self.backups, new))
        wait_until(self.stack.healthy, 10, 'the restored database is in use')
        self.assertEqual([row[sample.TEXT] for row in self.stack.get(sample.LIST).json()[sample.ITEMS]], ['Ada'])

    def test_settings_are_those_of_env_example_and_count(self):
        self.install()
        path = os.path.join(self.root, 'etc', NAME, f'{NAME}.conf')
        expected = settings_of(read(stacks.PROJECT, '.env.example'))
        del expected['SECRETS_DIR']
        expected.update(STATE_DIR=f'/var/lib/{NAME}', BACKUP_DIR=f'/var/backups/{NAME}', BACKUPS_KEPT='14')
        self.assertEqual(settings_of(read(path)), expected)
        # As it is, it is taken; nothing runs there.
        unset = {name: None for name in self.stack.settings}
        self.command('stop', **{**unset, 'STATE_DIR': self.stack.state_dir})

        with open(path, 'a', encoding='utf-8') as file:
            file.write('RATE_LIMIT=sometimes\n')
        self.install()
        self.assertIn('RATE_LIMIT is "sometimes"', self.command('start', status=1, RATE_LIMIT=None))
        # What the caller says goes before.
        self.assertIn('RATE_LIMIT is "never"', self.command('start', status=1, RATE_LIMIT='never'))
        with open(path, 'a', encoding='utf-8') as file:
            file.write('PARTS=postgres\n')
        self.assertIn('PARTS is "postgres"', self.command('start', status=1, RATE_LIMIT='on'))
        self.assertIn('usage:', self.command('begin', status=2))

    def test_systemd_takes_the_units(self):
        self.install()
        units = os.path.join(self.root, 'usr/lib/systemd/system')
        own = sorted(os.listdir(units))
        self.assertEqual(own, [f'{NAME}-backup.service', f'{NAME}-backup.timer', f'{NAME}.service'])
        for name in own:
            self.assertNotIn('@', read(units, name).replace('@system-service', ''))
        subprocess.run(['cp', '--archive', '--no-clobber', '/lib/systemd/system/.', units], check=True)
        verified = subprocess.run(['systemd-analyze', '--man=no', f'--root={self.root}', 'verify', *own], capture_output=True, text=True)
        self.assertEqual((verified.returncode, verified.stdout + verified.stderr), (0, ''))
        for name, limit in EXPOSED.items():
            rated = subprocess.run(['systemd-analyze', 'security', '--offline=yes', f'--threshold={limit}', os.path.join(units, name)],
                                   capture_output=True, text=True)
            self.assertEqual(rated.returncode, 0, rated.stdout[-200:])

    def test_the_stop_is_given_the_time_that_it_may_take(self):
        ending = read(stacks.PROJECT, 'local/ending')
        patience = sum(int(seconds) for line in re.findall(r'(?m)^ +end_part (.*)', ending) for seconds in re.findall(r'[A-Z]+ (\d+)', line))
        patience += sum(int(seconds) for seconds in re.findall(r'deadline=\$\(\(SECONDS \+ (\d+)', ending))
        self.assertGreater(patience, 100)
        [limit] = re.findall(r'(?m)^TimeoutStopSec=(\d+)s$', read(stacks.PROJECT, 'deploy/systemd/NAME.service'))
        self.assertGreater(int(limit), patience)


class PackageTest(Scratch):
    LASTS_S = 60
    maxDiff = 2000

    def package(self):
        """The path of what `make deb` makes, of the program that people use, whatever else is tested."""
        path = os.path.join(stacks.PROJECT, self.make('deb', SOURCE_DATE_EPOCH=EPOCH, SANITIZE=None, DEBUG=None).splitlines()[-1])
        return shutil.copy(path, self.folder)

    def field(self, package, name):
        return subprocess.run(['dpkg-deb', '--field', package, name], capture_output=True, text=True, check=True).stdout.strip()

    def test_it_says_what_it_is_and_has_all_that_is_installed(self):
        package = self.package()
        [version] = re.findall(r'version = "([\d.]+)"', read(stacks.PROJECT, 'fcgi-app/src/version.hpp'))
        self.assertEqual(os.path.basename(package), f'{PACKAGE}_{version}-0.1_{self.field(package, "Architecture")}.deb')
        needed = subprocess.run([os.path.join(stacks.PROJECT, 'local/packages'), '--names', 'run'], capture_output=True, text=True, check=True)
        depends = [one.split()[0] for one in self.field(package, 'Depends').split(', ')]
        self.assertLessEqual({*needed.stdout.split(), 'libpq5', 'libfcgi0ldbl', 'libc6'}, set(depends))

        self.install()
        extracted = os.path.join(self.folder, 'extracted')
        subprocess.run(['dpkg-deb', '--raw-extract', package, extracted], check=True)
        files = [{os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names}
                 for top in (self.root, extracted)]
        self.assertEqual(files[1] - files[0],
                         {f'usr/share/doc/{PACKAGE}/{name}' for name in ('changelog.gz', 'changelog.Debian.gz', 'copyright')
                          if name != 'changelog.gz' or os.path.exists(os.path.join(stacks.PROJECT, 'CHANGELOG.md'))}
                         | {f'DEBIAN/{name}' for name in ('control', 'conffiles', 'md5sums', 'postinst', 'prerm', 'postrm')})
        self.assertEqual(files[0] - files[1], set())
        self.assertEqual(set(read(extracted, 'DEBIAN/conffiles').split()), {f'/etc/{NAME}/{NAME}.conf', f'/etc/logrotate.d/{NAME}'})
        subprocess.run(['md5sum', '--check', '--quiet', 'DEBIAN/md5sums'], cwd=extracted, check=True)
        with gzip.open(os.path.join(extracted, f'usr/share/man/man8/{NAME}.8.gz'), 'rt', encoding='utf-8') as file:
            page = file.read().replace('\\-', '-')
        for words in ('backup [FILE]', 'restore FILE', '--probe=live', f'/etc/{NAME}/{NAME}.conf', version):
            self.assertIn(words, page)

    def test_it_serves_from_where_it_is_extracted(self):
        subprocess.run(['dpkg-deb', '--extract', self.package(), self.root], check=True)
        self.serve()
        self.command('backup')
        self.assertEqual(len(os.listdir(self.backups)), 1)

    def test_two_of_one_commit_are_one(self):
        first = self.package()
        elsewhere = os.path.join(self.folder, 'a longer path')
        os.mkdir(elsewhere)
        for name in filter(None, ('local', 'sql', 'nginx', 'html', 'deploy', 'fcgi-app', '.env.example', 'LICENSE', 'CHANGELOG.md',
                                  sample.SETTINGS.get('SERVICE'))):
            source, target = os.path.join(stacks.PROJECT, name), os.path.join(elsewhere, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, copy_function=shutil.copyfile)
            elif os.path.exists(source):
                shutil.copyfile(source, target)
        # What another folder changes in the program: its symbols, and the id that the linker makes of them.
        binary, symbols = os.path.join(elsewhere, 'program'), os.path.join(elsewhere, 'id')
        subprocess.run(['objcopy', '--strip-debug', f'--dump-section=.note.gnu.build-id={symbols}', stacks.PROGRAM, binary], check=True)
        with open(symbols, 'r+b') as file:
            file.seek(-20, os.SEEK_END)
            file.write(bytes(range(20)))
        subprocess.run(['objcopy', f'--update-section=.note.gnu.build-id={symbols}', binary], check=True)
        os.chmod(binary, 0o700)
        environment = self.stack.environment(SOURCE_DATE_EPOCH=EPOCH, TZ='Asia/Tokyo', LC_ALL='tr_TR.UTF-8')
        made = subprocess.run(['bash', '-c', 'umask 077; exec bash -p local/deb program out'], cwd=elsewhere, env=environment,
                              capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made)
        self.assertEqual(stacks.read_bytes(first), stacks.read_bytes(os.path.join(elsewhere, made.stdout.strip())))

    def test_a_machine_installs_starts_upgrades_and_removes_it(self):
        package = self.package()
        steps = Steps()
        sample.prepare(steps)
        steps.request('POST', sample.COLLECTION, None, sample.new('Ada'))
        steps = STEPS.replace('@FILL@', steps.text).replace('@NAME@', NAME).replace('@PACKAGE@', PACKAGE).replace('@LIST@', sample.LIST)
        booted = subprocess.run([os.path.join(HERE, 'boot'), package], input=steps, capture_output=True, text=True, timeout=240)
        if booted.returncode == NOT_POSSIBLE:
            self.skipTest(f'no machine of its own can be booted here: {booted.stderr[-200:]}')
        self.assertEqual(re.findall(r'(?m)^= (.*)$', booted.stdout), EXPECTED, booted.stdout + booted.stderr)
        self.assertIn(f'/var/lib/{NAME} is kept', booted.stdout)


class Steps:
    """Takes requests as a Stack does, and makes of them what that machine does."""

    text = ''

    def request(self, method, path, _=None, body=None):
        self.text += f"ask 8080 {method} '{path}' '{json.dumps(body)}'\n"
        return types.SimpleNamespace(status=201)


# What happens there: each step that is told begins with `= `.
STEPS = r"""
export DEBIAN_FRONTEND=noninteractive
told() { what=$1; shift; "$@"; echo "= $what: $?"; }
cat >/root/ask <<'ASK'
import sys, urllib.request
port, method, path, *body = sys.argv[1:]
request = urllib.request.Request(f'http://127.0.0.1:{port}{path}', *(text.encode() for text in body), method=method,
                                 headers={'Content-Type': 'application/json'})
with urllib.request.urlopen(request, timeout=10) as answer:
    text = answer.read()
    if method == 'GET':
        print('=', answer.status, text.count(b'"Ada"'))
ASK
ask() { python3 /root/ask "$@" || echo "= no answer to $2 $3"; }
pid() { cat /var/lib/@NAME@/run/$1.pid; }

told install dpkg --install /root/package.deb
told up @NAME@ status
told active systemctl is-active --quiet @NAME@.service @NAME@-backup.timer
told enabled systemctl is-enabled --quiet @NAME@.service @NAME@-backup.timer
@FILL@ask 8080 GET @LIST@

told backup systemctl start @NAME@-backup
told 'one backup' sh -c '[ "$(ls /var/backups/@NAME@ | wc -l)" -eq 1 ]'

comes_up() { for _ in $(seq 300); do sleep 0.1; @NAME@ status >/dev/null 2>&1 && break; done; @NAME@ status; }
kill -KILL "$(pid supervisor)"
told 'up again' comes_up
told active systemctl is-active --quiet @NAME@

sed -i 's/^RATE_LIMIT=.*/RATE_LIMIT=never/' /etc/@NAME@/@NAME@.conf
told refused systemctl restart @NAME@
journalctl --sync
told reason sh -c 'journalctl --unit=@NAME@ | grep "RATE_LIMIT is .never"'
sed -i 's/^RATE_LIMIT=.*/RATE_LIMIT=on/' /etc/@NAME@/@NAME@.conf
told 'up by itself' comes_up

told rotate logrotate --force /etc/logrotate.d/@NAME@
told rotated [ -s /var/lib/@NAME@/log/access.log.1 ]

sed -i 's/^HTTP_PORT=.*/HTTP_PORT=80/' /etc/@NAME@/@NAME@.conf
told restart systemctl restart @NAME@
ask 80 GET @LIST@
told 'nobody but root is root' sh -c '! ps -o user= -p "$(cat /var/lib/@NAME@/run/nginx.pid)","$(cat /var/lib/@NAME@/run/app.pid)" | grep root'

before=$(pid app)
told upgrade dpkg --install /root/package.deb
told 'another process' [ "$(pid app)" != "$before" ]
ask 80 GET @LIST@

told remove dpkg --remove @PACKAGE@
told inactive sh -c '! systemctl is-active --quiet @NAME@ && ! pgrep fcgi-app'
told purge dpkg --purge @PACKAGE@
told 'no settings' [ ! -e /etc/@NAME@ ]
told 'data' [ -s /var/lib/@NAME@/postgres/PG_VERSION ]
told anew dpkg --install /root/package.deb
ask 8080 GET @LIST@
"""
EXPECTED = ['install: 0', 'up: 0', 'active: 0', 'enabled: 0', '200 1', 'backup: 0', 'one backup: 0', 'up again: 0', 'active: 0', 'refused: 1',
            'reason: 0', 'up by itself: 0', 'rotate: 0', 'rotated: 0', 'restart: 0', '200 1', 'nobody but root is root: 0', 'upgrade: 0', 'another process: 0', '200 1', 'remove: 0', 'inactive: 0', 'purge: 0',
            'no settings: 0', 'data: 0', 'anew: 0', '200 1']


if __name__ == '__main__':
    unittest.main()
