"""Clients that add, delete and read through nginx while a cluster is broken, and what must hold: by name, as an id may be another's. What
was acknowledged is there once, nothing else is, and whoever reads after an acknowledgement sees it. Knows nothing of what is broken."""
import http.client
import json
import random
import threading
import time
import uuid

ADDERS, READERS = 4, 3
# What a client never sees: nginx's and the app's own word for "not now" is 503.
NEVER = (500, 502, 504)
# Of each kind of request no more than this many reasons are kept for the report.
SHOWN = 5


class Gaps:
    """When something succeeded, and the longest time without, since asked last. Any thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.latest, self.longest, self.count = time.monotonic(), 0, 0

    def success(self):
        with self.lock:
            now = time.monotonic()
            self.longest, self.latest, self.count = max(self.longest, now - self.latest), now, self.count + 1

    def take(self):
        with self.lock:
            longest = max(self.longest, time.monotonic() - self.latest)
            self.longest = 0
            return longest


class Clients:
    """In a `with`: at work. All that is written about a name is under the lock."""

    def __init__(self, cluster, seed):
        self.cluster, self.seed = cluster, seed
        self.ended, self.lock = threading.Event(), threading.Lock()
        self.tried, self.added, self.removing, self.removed = set(), {}, set(), set()
        self.faults, self.stale, self.failed = [], [], []
        self.writes, self.reads = Gaps(), Gaps()
        self.threads = [threading.Thread(target=self.work, args=[kind, number])
                        for kind, count in ((self.add_and_remove, ADDERS), (self.read, READERS)) for number in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def work(self, kind, number):
        chance = random.Random(f'{self.seed} {kind.__name__} {number}')
        connection = None
        while not self.ended.is_set():
            try:
                connection = connection or self.cluster.connection()
                kind(connection, chance)
            except (OSError, http.client.HTTPException):
                # nginx or the network; what was asked is asked again by whoever needs to know.
                connection = None
                self.ended.wait(0.1)

    def ask(self, connection, method, path, body=None, **headers):
        connection.request(method, path, body and json.dumps(body), headers | ({'Content-Type': 'application/json'} if body else {}))
        answer = connection.getresponse()
        data = answer.read()
        if answer.status in NEVER:
            self.faults.append(f'{method} {path}: {answer.status} {data[:200]}')
        if answer.status >= 500 and len(self.failed) < 100000:
            self.failed.append((method, answer.status, data))
        return answer.status, data

    def certain(self, *request, **headers):
        """Asked again until it is known what became of it; nothing if that is never known."""
        connection = None
        while not self.ended.is_set():
            try:
                connection = connection or self.cluster.connection()
                status, data = self.ask(connection, *request, **headers)
                if status < 500:
                    return status, data
            except (OSError, http.client.HTTPException):
                connection = None
            self.ended.wait(0.05)
        return 0, b''

    def add_and_remove(self, connection, chance):
        name = f'cluster {uuid.UUID(int=chance.getrandbits(128))}'
        with self.lock:
            self.tried.add(name)
        status, data = self.certain('POST', '/api/visitors', {'name': name}, **{'Idempotency-Key': name.replace(' ', '-')})
        if status not in (200, 201):
            if status:
                self.faults.append(f'POST {name}: {status} {data[:200]}')
            return
        self.writes.success()
        with self.lock:
            self.added[name] = json.loads(data)['id']
        self.look_at(connection, name)
        if chance.random() < 0.3:
            self.remove(connection, name)

    def look_at(self, connection, name):
        """One that was acknowledged before this begins."""
        with self.lock:
            if name in self.removing:
                return
        status, data = self.ask(connection, 'GET', f'/api/visitors/{self.added[name]}')
        if status < 500:
            self.reads.success()
            with self.lock:
                if name not in self.removing and (status != 200 or json.loads(data)['name'] != name):
                    self.stale.append(f'GET of {name}, acknowledged before: {status} {data[:200]}')

    def remove(self, connection, name):
        with self.lock:
            self.removing.add(name)
        token = {'Authorization': f'Bearer {self.cluster.token}'}
        path = f'/api/visitors/{self.added[name]}'
        try:
            status, data = self.ask(connection, 'DELETE', path, **token)
        except (OSError, http.client.HTTPException):
            status, data = 503, b''
        if status == 404:
            self.stale.append(f'DELETE of {name}, which was acknowledged and never removed: 404')
        if status >= 500:
            # Done or not: sent again, 404 is an answer too.
            status, data = self.certain('DELETE', path, None, **token)
        if status not in (204, 404):
            return
        self.writes.success()
        with self.lock:
            self.removed.add(name)
        status, data = self.ask(connection, 'GET', path)
        if status < 500 and status != 404:
            self.stale.append(f'GET of {name}, removed before: {status} {data[:200]}')

    def read(self, connection, chance):
        with self.lock:
            added, names = len(self.added), list(self.added)[-200:]
        if names:
            self.look_at(connection, chance.choice(names))
        status, data = self.ask(connection, 'GET', chance.choice(('/api/visitors', '/api/stats')))
        if status == 200:
            self.reads.success()
            with self.lock:
                least = added - len(self.removing)
            if json.loads(data)['total'] < least:
                self.stale.append(f'total {json.loads(data)["total"]}, where {least} were acknowledged before')
        self.ended.wait(0.02)

    def verify(self):
        """After the end, on a cluster that is whole: what is wrong, in words. The names are looked for in the table."""
        rows = [name for name, in self.cluster.rows("SELECT name FROM visitors WHERE name LIKE 'cluster %'")]
        table, wrong = set(rows), []
        for what, names in (('lost', set(self.added) - self.removing - table), ('came back', self.removed & table),
                            ('invented', table - self.tried), ('there twice', [name for name in table if rows.count(name) > 1]
                                                               if len(rows) != len(table) else [])):
            wrong += [f'{len(names)} {what}: {sorted(names)[:SHOWN]}'] if names else []
        for what, found in (('stale', self.stale), ('never to be answered', self.faults)):
            wrong += [f'{len(found)} {what}: {found[:SHOWN]}'] if found else []
        if self.cluster.rows('SELECT total FROM visitor_total') != (counted := self.cluster.rows('SELECT count(*) FROM visitors')):
            wrong.append(f'the total is not the count, {counted}')
        status, data = self.cluster.ask('GET', '/api/visitors')
        if status != 200 or [[str(json.loads(data)['total'])]] != counted:
            wrong.append(f'the page says {status} {data[:100]}, the table {counted}')
        return wrong
