"""Several hosts in DATABASE_URL, one of which is silent: the connections of an app learn from one another which one is good."""
import contextlib
import socket
import unittest

import stack as stacks
from beside import SLOW, App, url_of
from stack import ROLE, sample, wait_until

# Of one app.
CONNECTIONS = 6
# Those of the app beside the stack's own, which comes by a socket.
OURS = f"FROM pg_stat_activity WHERE usename = '{ROLE}' AND client_addr IS NOT NULL"


def asked(silent):
    """How many connections there have been since this was asked last."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            silent.accept()[0].close()
            count += 1
    return count


class SilentHostTest(unittest.TestCase):
    def test_it_is_asked_no_more_once_another_is_good(self):
        stack = stacks.shared()
        with socket.create_server(('127.0.0.1', 0)) as silent, App(
                stack, DATABASE_URL=url_of(silent.getsockname()[1], stack.postgres_port)) as app:
            silent.setblocking(False)

            def is_well():
                return [app.get(path).status for path in ('/health', sample.LIST, sample.STATS)] == [200] * 3

            wait_until(lambda: is_well() and stack.sql(f'SELECT count(*) {OURS}') == [(str(CONNECTIONS),)], 20 * SLOW, 'all are connected')
            self.assertGreater(asked(silent), 0)
            # With a limit in ms it waits for their end: an idle connection that is closed throws no suspicion on its host.
            stack.sql(f'SELECT pg_terminate_backend(pid, 10000) {OURS}')
            wait_until(is_well, 20 * SLOW, 'the app is well again')
            self.assertEqual(asked(silent), 0)


if __name__ == '__main__':
    unittest.main()
