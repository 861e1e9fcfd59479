"""A host for the cluster's tests: a network namespace with an address, on a bridge with the others, and while it is on a space of
processes and of mounts of its own, so that each file stands at the path that it has on a real one. Knows how a host is switched on and
off, unplugged, cut off and asked to run something; nothing of what runs there. Root. All that is ended is in such a space."""
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess

CLONE_NEWNET = 0x40000000
PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
PROGRAMS = ('ip', 'nft', 'unshare', 'nsenter', 's6-svscan', 'nginx', 'etcd', 'patroni', 'patronictl')
libc = ctypes.CDLL(None, use_errno=True)


def run(*command, check=True, **options):
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL if 'input' not in options else None,
                          capture_output=True, timeout=options.pop('timeout', 60), **options)
    if check and done.returncode != 0:
        raise RuntimeError(f'{" ".join(command)}: {done.stdout}{done.stderr}')
    return done


def can_be_made():
    """Why no host can be made here, or nothing."""
    if os.geteuid() != 0:
        return 'only root makes namespaces'
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=PATH)]:
        return f'{", ".join(missing)} not installed: local/packages run cluster'
    try:
        run('unshare', '--net', '--mount', '--pid', '--fork', '--mount-proc', 'nft', 'list', 'ruleset')
    except (OSError, RuntimeError) as error:
        return f'no namespaces can be made here: {str(error).strip()}'
    return ''


class Network:
    """The bridge, in a namespace of its own: nothing of this machine's own network is touched."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.name = f'{prefix}-net'
        run('ip', 'netns', 'add', self.name)
        self.ip('link', 'add', 'bridge', 'type', 'bridge')
        self.ip('link', 'set', 'bridge', 'up')

    def ip(self, *arguments):
        run('ip', '-netns', self.name, *arguments)

    def remove(self):
        run('ip', 'netns', 'del', self.name)


class Host:
    """`services` are commands that are started with the host and again whenever they end, as systemd does it: s6-svscan is its init."""

    def __init__(self, network, folder, name, address, services=()):
        self.network, self.name, self.address = network, name, address
        self.namespace = f'{network.prefix}-{name}'
        self.root = os.path.join(folder, name)
        self.services = dict(services)
        self.starter = self.init = None
        run('ip', 'netns', 'add', self.namespace)
        network.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', self.namespace)
        network.ip('link', 'set', name, 'master', 'bridge', 'up')
        for arguments in (('address', 'add', f'{address}/24', 'dev', 'eth0'), ('link', 'set', 'eth0', 'up'), ('link', 'set', 'lo', 'up')):
            run('ip', '-netns', self.namespace, *arguments)
        shutil.copytree('/etc', self.path('/etc'), symlinks=True)
        for path in ('/usr/local', '/var/lib', '/var/log', '/var/tmp'):
            os.makedirs(self.path(path))
        os.symlink('/run', self.path('/var/run'))
        os.chmod(self.path('/var/tmp'), 0o1777)
        os.chmod(self.path('/var/log'), 0o1777)

    def path(self, path):
        """Where this file of the host lies on this machine."""
        return self.root + path

    def put(self, path, text, owner='root', mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), 'w', encoding='utf-8') as file:
            os.fchmod(file.fileno(), mode)
            shutil.chown(self.path(path), owner, owner)
            file.write(text)

    def make_folder(self, path, owner, mode=0o755):
        os.makedirs(self.path(path))
        os.chmod(self.path(path), mode)
        shutil.chown(self.path(path), owner, owner)

    # Switched on and off.

    def switch_on(self):
        lines = ['set -e', *(f"mount --bind '{self.path(path)}' {path}" for path in ('/etc', '/usr/local', '/var')),
                 'mount -t tmpfs tmpfs /run', 'install -d -o postgres -g postgres /run/postgresql']
        for name, command in self.services.items():
            lines += [f'mkdir -p /run/init/{name}', f"printf '#!/bin/sh\\nexec >>/var/log/{name}.log 2>&1\\n%s\\n' '{command}' >/run/init/{name}/run",
                      f'chmod 755 /run/init/{name}/run']
        lines += ['mkdir -p /run/init', 'exec s6-svscan /run/init']
        # What a real one has not done when its power went.
        self.starter = subprocess.Popen(['ip', 'netns', 'exec', self.namespace, 'unshare', '--mount', '--pid', '--fork', '--mount-proc',
                                         '--kill-child', 'sh', '-c', '\n'.join(lines)], cwd='/', start_new_session=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.init = None
        while self.init is None:
            if self.starter.poll() is not None:
                raise RuntimeError(f'{self.name} cannot be switched on')
            with open(f'/proc/{self.starter.pid}/task/{self.starter.pid}/children', encoding='ascii') as children:
                pids = children.read().split()
            if pids and self.began(int(pids[0])):
                self.init = int(pids[0])
        self.plug_in()

    @staticmethod
    def began(pid):
        try:
            with open(f'/proc/{pid}/comm', encoding='ascii') as comm:
                return comm.read().strip() == 's6-svscan'
        except OSError:
            return False

    def is_on(self):
        return self.init is not None

    def switch_off(self):
        """Everything of it is gone at once, and nobody is told: not even by the kernel, which closes its connections."""
        if self.is_on():
            self.unplug()
            os.kill(self.init, signal.SIGKILL)
            self.starter.wait()
            self.init = None

    def remove(self):
        self.switch_off()
        run('ip', 'netns', 'del', self.namespace)

    # What it is connected to.

    def unplug(self):
        self.network.ip('link', 'set', self.name, 'down')

    def plug_in(self):
        self.network.ip('link', 'set', self.name, 'up')

    def cut_off_from(self, others):
        """Nothing passes between this host and those, in silence. Until the next call, which may name none."""
        addresses = ', '.join(other.address for other in others)
        rules = ''
        if addresses:
            rules = f'''table inet cut {{
                chain input {{ type filter hook input priority -200; ip saddr {{ {addresses} }} drop; }}
                chain output {{ type filter hook output priority -200; ip daddr {{ {addresses} }} drop; }}
            }}'''
        run('ip', 'netns', 'exec', self.namespace, 'nft', '-f', '-', input=f'table inet cut\ndelete table inet cut\n{rules}\n')

    # Asked to run something.

    def run(self, *command, **options):
        return run('nsenter', '--target', str(self.init), '--mount', '--net', '--pid', '--', *command, cwd='/', **options)

    def shell(self, text, **options):
        return self.run('sh', '-c', text, **options)

    @contextlib.contextmanager
    def network_of_this_thread(self):
        """What this thread opens meanwhile is opened from this host."""
        with open('/proc/thread-self/ns/net', 'rb') as before, open(f'/run/netns/{self.namespace}', 'rb') as there:
            self.enter(there)
            try:
                yield
            finally:
                self.enter(before)

    @staticmethod
    def enter(namespace):
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), 'setns')
