"""Every read is linearizable. Several clients add, delete and read at once for some seconds; every read is held against
what had been acknowledged before it began and what had been begun before it ended."""
import os
import threading
import time
import unittest

from contract import ContractTest, verify_all
from stack import sample

DURATION_S = 8
WRITERS = 4


class History:
    """What the clients began and what was acknowledged to them. One lock; a snapshot is of one moment."""

    def __init__(self):
        self.lock = threading.Lock()
        self.added, self.deletions_begun, self.deleted = set(), set(), set()
        self.additions_begun = 0
        self.violations = []
        self.reads = 0

    def snapshot(self):
        with self.lock:
            return set(self.added), set(self.deleted), set(self.deletions_begun), self.additions_begun

    def violation(self, text):
        with self.lock:
            self.violations.append(text)


class LinearizabilityTest(ContractTest):
    EVERY_SERVICE = True
    LASTS_S = 20

    def setUp(self):
        self.mark = os.urandom(5).hex()
        self.history = History()
        self.base_total = self.table_count()
        self.end = time.monotonic() + DURATION_S

    def client(self):
        client = self.stack.client()
        self.addCleanup(client.close)
        return client

    def writer(self, number):
        history, client, other = self.history, self.client(), self.client()
        mine, admin = [], {'Authorization': f'Bearer {self.stack.token}'}
        while time.monotonic() < self.end:
            with history.lock:
                history.additions_begun += 1
            answer = client.post(sample.COLLECTION, sample.new(f'{self.mark} {number}'))
            if answer.status != 201:
                return history.violation(f'an addition got {answer}')
            id_ = answer.json()['id']
            with history.lock:
                history.added.add(id_)
            mine.append(id_)
            if other.get(sample.item(id_)).status != 200:
                history.violation(f'{id_} was acknowledged and is not there for another connection')
            if len(mine) % 3 == 0:
                id_ = mine.pop(0)
                with history.lock:
                    history.deletions_begun.add(id_)
                answer = client.request('DELETE', sample.item(id_), admin)
                if answer.status != 204:
                    return history.violation(f'a deletion got {answer}')
                with history.lock:
                    history.deleted.add(id_)
                if other.get(sample.item(id_)).status != 404:
                    history.violation(f'{id_} was deleted and is there for another connection')

    def check(self, what, before, after, total, ids=None, lowest=0, base=0):
        """`ids`: every id from `lowest` up that the read showed; `base`: how many `total` counts beside ours."""
        added, deleted, _, _ = before
        _, _, deletions_begun, additions_begun = after
        least = base + len(added) - len(deletions_begun)
        most = base + additions_begun - len(deleted)
        if total is not None and not least <= total <= most:
            self.history.violation(f'{what}: total {total}, which must be {least} to {most}')
        if ids is not None:
            missing = {id_ for id_ in added - deletions_begun if id_ >= lowest} - ids
            if missing:
                self.history.violation(f'{what}: {sorted(missing)[:5]} had been acknowledged and are not shown')
            if ids & deleted:
                self.history.violation(f'{what}: {sorted(ids & deleted)[:5]} had been deleted and are shown')

    def reader(self, path, base):
        client, known = self.client(), None
        while time.monotonic() < self.end:
            before = self.history.snapshot()
            # With the ETag, as the page does: a 304 says that the old answer is still true.
            answer = client.get(path, {'If-None-Match': known.headers['ETag']} if known else None)
            after = self.history.snapshot()
            if answer.status == 304:
                answer = known
            elif answer.status != 200:
                return self.history.violation(f'{path} got {answer}')
            known, body = answer, answer.json()
            if sample.ITEMS in body:
                ids = [item['id'] for item in body[sample.ITEMS]]
                if ids != sorted(set(ids), reverse=True):
                    self.history.violation(f'{path}: not newest first: {ids}')
                lowest = ids[-1] if body['next'] else 0
                self.check(path, before, after, body['total'], set(ids), lowest, base)
            else:
                self.check(path, before, after, body['total'], base=base)
            with self.history.lock:
                self.history.reads += 1

    def walker(self):
        """The union of all pages of a walk has everything that was there from its start to its end, once."""
        client = self.client()
        while time.monotonic() < self.end:
            before = self.history.snapshot()
            ids, path = [], f'{sample.SEARCH}?limit=25&q={self.mark}'
            while path:
                page = client.get(path).json()
                ids += [item['id'] for item in page[sample.ITEMS]]
                path = page['next']
            if len(ids) != len(set(ids)):
                self.history.violation('a walk showed one twice')
            self.check('a walk', before, self.history.snapshot(), None, set(ids))

    def test_every_read_shows_what_was_acknowledged_before_it_began(self):
        threads = [threading.Thread(target=self.writer, args=(n,)) for n in range(WRITERS)]
        for path, base in [(f'{sample.LIST}?limit=100', self.base_total), (f'{sample.LIST}?limit=1', self.base_total),
                           (sample.SEARCH and f'{sample.SEARCH}?limit=100&q={self.mark}', 0), (sample.STATS, self.base_total)]:
            if path:
                threads.append(threading.Thread(target=self.reader, args=(path, base)))
        if sample.SEARCH:
            threads.append(threading.Thread(target=self.walker))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DURATION_S + 60)
        self.assertEqual(self.history.violations[:10], [])
        self.assertGreater(len(self.history.added), 50)
        self.assertGreater(len(self.history.deleted), 10)
        self.assertGreater(self.history.reads, 100)

        self.assertEqual(set(self.ids_of(f'{self.mark}%')), self.history.added - self.history.deleted)
        verify_all(self, self.stack)


if __name__ == '__main__':
    unittest.main()
