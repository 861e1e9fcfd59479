"""The engine is restarted, as with a new version of Docker or a reboot of the host: the service comes back by itself, whole. How it
is restarted is the machine's: the command in ENGINE_RESTART, as root; without it this is skipped by name."""
import os
import subprocess
import unittest

import containers
from stack import wait_until

COMMAND = os.environ.get('ENGINE_RESTART')
# Docker starts all containers at once; the app waits for the database as long as that needs.
BACK_S = 90


@unittest.skipUnless(COMMAND, 'ENGINE_RESTART does not say how the engine is restarted here')
class EngineTest(unittest.TestCase):
    def test_the_service_comes_back_with_all_that_it_acknowledged(self):
        service = containers.shared()
        service.wait_healthy()
        key = {'Idempotency-Key': f'engine-{os.getpid()}'}
        added = service.post('/api/visitors', {'name': 'before the restart'}, key)
        self.assertEqual(added.status, 201)
        before = [service.inspect(name)['Id'] for name in containers.SERVICES]
        subprocess.run(COMMAND, shell=True, check=True, stdin=subprocess.DEVNULL, timeout=300)
        wait_until(service.healthy, BACK_S, 'the service is back')
        self.assertEqual([service.inspect(name)['Id'] for name in containers.SERVICES], before, 'the same containers')
        again = service.post('/api/visitors', {'name': 'before the restart'}, key)
        self.assertEqual((again.status, again.json()), (201, added.json()))
