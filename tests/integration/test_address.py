"""Where nginx listens: HTTP_ADDRESS, both addresses of "localhost" without it, and clear words where that cannot be. Knows the
settings, and of nginx's configuration the one file that has the addresses."""
import http.client
import os
import shutil
import socket
import subprocess
import unittest

import stack as stacks
from contract import ContractTest
from stack import Stack, StartFailed, sample


def status_at(address, port):
    """Of GET /health there; None if nobody listens."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request('GET', '/health')
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


@unittest.skipUnless(socket.has_dualstack_ipv6(), 'no IPv6 here')
class LocalhostTest(ContractTest):
    def test_both_addresses_of_localhost_are_ours(self):
        """Another program on one of them would be what a browser shows."""
        self.assertEqual([status_at(address, self.stack.port) for address in ('127.0.0.1', '::1', 'localhost')], [200] * 3)
        self.assertIsNone(status_at('127.0.0.2', self.stack.port))


class AddressTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack(start=False)
        self.addCleanup(self.stack.remove)


class ChosenTest(AddressTest):
    LASTS_S = 50

    @unittest.skipUnless(socket.has_dualstack_ipv6(), 'no IPv6 here')
    def test_one_address_or_all_of_them(self):
        for value, host, open_at, closed_at in [
                ('::1', '[::1]', ['::1'], ['127.0.0.1']), ('127.0.0.9', '127.0.0.9', ['127.0.0.9'], ['127.0.0.1', '::1']),
                ('*', 'localhost', ['127.0.0.1', '127.0.0.9', '::1'], [])]:
            with self.subTest(value):
                self.stack.settings['HTTP_ADDRESS'] = value
                ready = f'ready at http://{host}:{self.stack.port}'
                self.assertIn(ready, self.stack.make('start').stdout)
                self.addCleanup(self.stack.make, 'stop')
                self.assertEqual([status_at(address, self.stack.port) for address in open_at], [200] * len(open_at))
                self.assertEqual([status_at(address, self.stack.port) for address in closed_at], [None] * len(closed_at))
                self.assertEqual(self.stack.make('status').returncode, 0)
                again = self.stack.make('start', HTTP_ADDRESS='127.0.0.1')
                self.assertEqual((again.returncode, again.stdout.splitlines()[-1]), (0, f'{sample.NAME}: ' + ready))
                self.assertIn('HTTP_ADDRESS', again.stderr)
                self.assertEqual(self.stack.make('stop').returncode, 0)


class RefusedTest(AddressTest):
    LASTS_S = 50

    def assert_refused(self, *words, **changes):
        """start says why in words, and leaves nothing running."""
        with self.assertRaises(StartFailed) as caught:
            self.stack.start(**changes)
            self.stack.stop()
        for word in words:
            self.assertIn(word, caught.exception.result.stderr)
        self.assertEqual(self.stack.processes(), [])

    def test_an_invalid_value_is_an_error_that_names_the_setting(self):
        self.assert_refused('HTTP_ADDRESS is "localhost"', 'must be one IPv4 or IPv6 address', HTTP_ADDRESS='localhost')
        self.assertEqual(os.listdir(self.stack.state_dir), [])  # said before anything is made
        for value in ('x', '1.2.3', '256.0.0.1', '1.2.3.4.5', '127.0.0.1:80', '01.2.3.4', '[::1]', '1::2::3', ':::', '::::', '1:2',
                      '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', 'fe80::1%lo', '::g', '12345::', '127.0.0.1 ::1', '**', '127.0.0.1;'):
            with self.subTest(value):
                self.assertIn(f'HTTP_ADDRESS is "{value}"', self.check(value))
        for value in ('', '*', '0.0.0.0', '255.255.255.255', '::', '::1', '1::', 'fe80::1', '2001:DB8:0:0:0:0:0:1', '1:2:3:4:5:6:7::'):
            with self.subTest(value):
                self.assertEqual(self.check(value), '')

    def check(self, value):
        """What the scripts say of a value, without anything being started."""
        common = os.path.join(stacks.PROJECT, 'local', 'common')
        return subprocess.run(['bash', '-c', 'source "$0"; check_start_settings', common], capture_output=True, text=True,
                              env=self.stack.environment(HTTP_ADDRESS=value)).stderr

    def test_an_address_of_another_machine_is_named_with_the_setting(self):
        self.assert_refused('HTTP_ADDRESS', '2001:db8::1', 'no such address', HTTP_ADDRESS='2001:db8::1')

    @unittest.skipUnless(socket.has_dualstack_ipv6(), 'no IPv6 here')
    def test_a_port_that_another_program_has_on_one_address_alone_is_named(self):
        for address, more in [('::1', {}), ('::1', {'HTTP_ADDRESS': '*'}), ('127.0.0.9', {'HTTP_ADDRESS': '127.0.0.9'})]:
            with self.subTest(address, **more), socket.create_server((address, 0), family=(
                    socket.AF_INET6 if ':' in address else socket.AF_INET)) as holder:
                port = holder.getsockname()[1]
                self.assert_refused(f'port {port} is in use', 'choose another HTTP_PORT', HTTP_PORT=str(port), **more)

    @unittest.skipUnless(os.geteuid() == 0, 'takes root to be another user')
    def test_a_port_for_root_alone_is_an_error_that_says_so(self):
        with open('/proc/sys/net/ipv4/ip_unprivileged_port_start', encoding='ascii') as file:
            first = int(file.read())
        start = [os.path.join(stacks.PROJECT, 'local', 'start'), stacks.PROGRAM]
        as_nobody = ['runuser', '-u', 'nobody', '--']
        if first <= 80 or subprocess.run(as_nobody + ['test', '-x', start[1]]).returncode != 0:
            self.skipTest('any user may have port 80 here, or the checkout is its owner\'s alone')
        shutil.chown(self.stack.state_dir, 'nobody')
        result = subprocess.run(as_nobody + start, env=self.stack.environment(HTTP_PORT='80', ADMIN_TOKEN_FILE=None),
                                capture_output=True, text=True, timeout=120)
        self.assertIn(f'HTTP_PORT is 80, but the user nobody may not listen there; choose one from {first} on', result.stderr)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.stack.processes(), [])

    @unittest.skipUnless(os.geteuid() == 0, 'takes root for a network of its own')
    def test_where_there_is_no_ipv6_it_is_not_asked_for(self):
        for value, addresses in [('', ['127.0.0.1']), ('*', ['0.0.0.0'])]:
            # A new network has no address at all.
            subprocess.run(['unshare', '--net', os.path.join(stacks.PROJECT, 'local', 'release'), '/bin/true'],
                           env=self.stack.environment(HTTP_ADDRESS=value), check=True)
            with open(os.path.join(self.stack.state_dir, 'release', 'nginx', 'snippets', 'listen.conf'), encoding='utf-8') as file:
                listens = file.read().splitlines()
            self.assertEqual(listens, [f'listen {address}:{self.stack.port} backlog=4096;' for address in addresses])


if __name__ == '__main__':
    unittest.main()
