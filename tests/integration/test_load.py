"""64 clients read and add at once for ten seconds: no error, nothing lost, nobody starved, no memory gained."""
import os
import statistics
import threading
import time
import unittest

from contract import ContractTest, verify_all
from stack import sample

CLIENTS = 64
DURATION_S = 10
WARM_UP_S = 4


def rss_kib(pid):
    with open(f'/proc/{pid}/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmRSS:'))


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


class LoadTest(ContractTest):
    ALONE = True

    def test_64_clients_reading_and_adding(self):
        mark, errors, added, answers = os.urandom(5).hex(), [], [], [0] * CLIENTS
        pid = self.stack.pid('app')
        start = time.monotonic()
        end = start + DURATION_S

        def client_main(number):
            client, etag = self.stack.client(), None
            others = [path for path in (sample.SEARCH and f'{sample.SEARCH}?limit=5&q={mark}+{number}', sample.STATS) if path]
            self.addCleanup(client.close)
            try:
                while time.monotonic() < end:
                    kind = answers[number] % (2 + len(others))
                    if kind == 0:
                        answer = client.post(sample.COLLECTION, sample.new(f'{mark} {number}'))
                        if answer.status == 201:
                            added.append(answer.json()['id'])
                    elif kind == 1:
                        answer = client.get(sample.LIST, {'If-None-Match': etag} if etag else None)
                        etag = answer.headers['ETag']
                    else:
                        answer = client.get(others[kind - 2])
                    if answer.status not in (200, 201, 304):
                        errors.append(answer)
                    answers[number] += 1
            except Exception as error:  # whatever it is, it belongs into the verdict and not into a dead thread
                errors.append(error)

        threads = [threading.Thread(target=client_main, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(WARM_UP_S)  # the load's own first part, not a synchronisation
        warm_kib = rss_kib(pid)
        for thread in threads:
            thread.join()

        self.assertEqual(errors[:5], [])
        self.assertEqual(self.stack.pid('app'), pid)
        self.assertEqual(self.ids_of(f'{mark} %'), sorted(added))
        self.assertEqual(len(set(added)), len(added))
        verify_all(self, self.stack)
        # Nobody may pay for the speed of others: percentiles of what was answered would not show it.
        self.assertGreater(min(answers), statistics.median(answers) / 4, answers)
        if not os.environ.get('SANITIZE'):  # a sanitizer keeps freed memory back on purpose
            self.assertLess(rss_kib(pid), warm_kib * 1.1 + 4096)
        self.assertLess(descriptors(pid), CLIENTS * 4 + 100)

    def test_no_thread_of_the_app_takes_the_core_from_others(self):
        # Without it all answers are right still, and cost half as much again (tests/bench/README.md).
        threads = os.listdir(f'/proc/{self.stack.pid("app")}/task')
        policies = {os.sched_getscheduler(int(thread)) for thread in threads}
        self.assertEqual(policies, {os.SCHED_BATCH})


if __name__ == '__main__':
    unittest.main()
