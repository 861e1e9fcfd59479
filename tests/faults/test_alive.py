"""Alive or ready: what the app's two probes say while the database is frozen or gone and while the app itself is."""
import os
import signal
import subprocess
import unittest

from clients import SLOW
from fault_test import FaultTest, signal_all
from stack import wait_until


class ProbeTest(FaultTest):
    LASTS_S = 30

    def probe(self, which):
        """The exit status of the program as a health check would call it: with the environment of the app that runs."""
        program = os.path.join(self.stack.state_dir, 'release', 'fcgi-app')
        with open(f'/proc/{self.app}/environ', encoding='utf-8') as file:
            environment = dict(entry.split('=', 1) for entry in file.read().split('\0') if entry)
        return subprocess.run([program, which], env=environment, capture_output=True).returncode

    def assert_alive_and_not_ready(self):
        wait_until(lambda: self.probe('--probe') == 1, 10 * SLOW, 'the app is not ready')
        self.assertEqual(self.probe('--probe=live'), 0)

    def test_well(self):
        self.assertEqual((self.probe('--probe'), self.probe('--probe=live')), (0, 0))

    def test_the_database_is_frozen(self):
        pids = self.postgres_pids()
        signal_all(pids, signal.SIGSTOP)
        try:
            self.assert_alive_and_not_ready()
        finally:
            signal_all(pids, signal.SIGCONT)
        wait_until(lambda: self.probe('--probe') == 0, 10 * SLOW, 'the app is ready again')

    def test_the_database_is_gone(self):
        self.supervisor('-d', 'postgres')
        try:
            self.assert_alive_and_not_ready()
        finally:
            self.supervisor('-u', 'postgres')
        wait_until(lambda: self.probe('--probe') == 0, 25 * SLOW, 'the app is ready again')

    def test_the_app_is_frozen(self):
        self.stack.kill('app', signal.SIGSTOP)
        try:
            self.assertEqual((self.probe('--probe'), self.probe('--probe=live')), (1, 1))
        finally:
            os.kill(self.app, signal.SIGCONT)
        wait_until(lambda: self.probe('--probe=live') == 0, 5 * SLOW, 'the app is alive again')

    def test_the_app_is_gone(self):
        self.supervisor('-d', 'app')
        try:
            wait_until(lambda: not os.path.exists(self.stack.socket_path('health')), 20 * SLOW, 'the app has ended')
            environment = {'APP_LISTEN': f'unix:{self.stack.socket_path()}', 'APP_HEALTH_LISTEN': f'unix:{self.stack.socket_path("health")}'}
            program = os.path.join(self.stack.state_dir, 'release', 'fcgi-app')
            for which in ('--probe', '--probe=live'):
                self.assertEqual(subprocess.run([program, which], env=environment).returncode, 1)
        finally:
            self.supervisor('-u', 'app')

    def test_anything_else_is_no_probe(self):
        for argument in ('--probe=', '--probe=ready', '--live'):
            self.assertEqual(self.probe(argument), 2)


if __name__ == '__main__':
    unittest.main()
