"""Clients that add, delete and read without a pause and remember what each answer promised; at the end the table and the API
are held against that. Every test of this folder sends them through its fault. They know of the API what `sample` tells and what
time each answer may take, and nothing of faults.

Of an addition or deletion the outcome is acknowledged, denied (a 503 that says that nothing was done: the client gives
up, and nothing may be there), or unknown (sent again, with the same key, until it is one of the others)."""
import http.client
import os
import random
import threading
import time

from contract import verify_all
from stack import sample, wait_until

# Sanitizers slow everything down.
SLOW = 4 if os.environ.get('SANITIZE') else 1
ANSWER_S = 5 * SLOW    # the longest that any answer may take
HEALTH_S = 2 * SLOW    # /health, however the database is
PAGE_S = 1 * SLOW      # the page, which needs neither app nor database; a busy machine included
WHOLE_S = 3 * SLOW     # until all is well after a fault's cause has gone
SETTLE_S = 40 * SLOW   # until the last unknown outcome must be known
STOCK = 10             # additions that are kept, so that there is something to delete in a fault, too
OUTCOME_UNKNOWN = '/problems/outcome-unknown'
NOTHING_DONE = ('/problems/database-away', '/problems/overloaded')
# Kinds of requests, as far as the service has them; those of API are the app's, and need the database.
API = ('add', 'delete', 'first_page', 'one', *(['stats'] if sample.STATS else []), *(['search'] if sample.SEARCH else []))
KINDS = (*(['page'] if '/' in sample.FILES else []), 'health', *API)


class Addition:
    """One item, from the first try to add it to its deletion. Times are time.monotonic()'s."""

    def __init__(self, text):
        self.text, self.key = text, text.replace(' ', '-')
        self.item = None                             # as it was acknowledged
        self.acknowledged_at = None
        self.denied = False
        self.delete_begun_at = self.deleted_at = None


class Clients:
    """`always_reachable`: nginx is not what is disturbed, so each request gets an answer, in time. `checks_time` is off
    where nginx itself is frozen or the machine starts things beside it."""

    def __init__(self, stack, adders=2, deleters=1, readers=1, pause_s=0.02, seed=0, always_reachable=True,
                 checks_time=True):
        self.stack, self.pause_s, self.always_reachable, self.checks_time = stack, pause_s, always_reachable, checks_time
        self.mark = f'c{os.urandom(4).hex()}'
        self.stopping = threading.Event()
        self.give_up_at = None
        self.lock = threading.Lock()
        self.by_text, self.acknowledged = {}, []     # all additions; those with a 201, in that order
        self.begun = self.denied = self.delete_begun = self.deleted = 0
        self.violations = []
        self.answers = {kind: [] for kind in KINDS}  # (start, end, status)
        self.latest = dict.fromkeys(KINDS, 0.0)      # when the latest success was begun
        self.latest_unknown = 0
        # A client for each kind of read: one that waits keeps no other from being asked.
        reads = {'first_page': self.reads_first_page, 'stats': self.reads_stats, 'one': self.reads_one, 'search': self.searches}
        runs = ([self.adds] * adders + [self.deletes] * deleters
                + [self.reads(read) for kind, read in reads.items() if kind in KINDS] * readers
                + [self.asks_for_page] * ('page' in KINDS) + [self.asks_for_health] * 4)
        self.threads = [threading.Thread(target=self.guarded, args=(run, random.Random(f'{seed} {n}'), n), daemon=True)
                        for n, run in enumerate(runs)]
        self.kinds = [kind for kind in KINDS if (kind != 'add' or adders) and (kind != 'delete' or deleters)
                      and (kind in ('add', 'delete', 'page', 'health') or readers)]

    def __enter__(self):
        self.rows_before = self.stack.get(f'{sample.LIST}?limit=1').json()['total']
        for thread in self.threads:
            thread.start()
        self.wait_whole(time.monotonic(), 10 * SLOW)
        return self

    def __exit__(self, *_):
        self.give_up_at = time.monotonic() + SETTLE_S
        self.stopping.set()
        for thread in self.threads:
            thread.join(SETTLE_S + 20)

    def wait_whole(self, since, timeout_s=WHOLE_S):
        """Until each kind of request that was begun after `since` has succeeded; returns how long that took."""
        missing = None

        def whole():
            nonlocal missing
            missing = [kind for kind in self.kinds if self.latest[kind] < since]
            return not missing

        try:
            wait_until(whole, max(0.1, since + timeout_s - time.monotonic()), 'all is well')
        except AssertionError as error:
            raise AssertionError(f'{error}; still without success: {missing}') from None
        return time.monotonic() - since

    def seen(self, kind, statuses, since):
        """Whether a request of the kind got one of these after `since`."""
        return any(status in statuses for _, end, status in self.answers[kind][-200:] if end > since)

    # What each client does. An exception is a violation, too: it would end the client unseen.

    def guarded(self, run, source, number):
        try:
            with self.stack.client(timeout_s=3 * ANSWER_S) as client:
                run(client, source, number)
        except BaseException as error:
            self.violation(f'a client ended: {error!r}')

    def pause(self):
        self.stopping.wait(self.pause_s)

    def adds(self, client, source, number):
        count = 0
        while not self.stopping.is_set():
            count += 1
            addition = Addition(f'{self.mark} {number} {count}')
            with self.lock:
                self.by_text[addition.text] = addition
                self.begun += 1
            self.settle_addition(client, addition)
            if addition.item and source.random() < 0.05:
                self.settle_addition(client, addition)  # a replay: the same item again
            self.pause()

    def settle_addition(self, client, addition):
        unknown = addition.item is not None
        while True:
            answer, problem = self.ask(client, 'add', 'POST', sample.COLLECTION, sample.new(addition.text),
                                       {'Idempotency-Key': addition.key})
            if answer is not None and answer.status == 201:
                return self.acknowledge(addition, answer.json())
            if problem in NOTHING_DONE and not unknown:
                with self.lock:
                    addition.denied = True
                    self.denied += 1
                return None
            unknown = unknown or problem not in NOTHING_DONE
            if self.given_up():
                return self.violation(f'{addition.text}: its outcome is still unknown')
            self.pause()

    def acknowledge(self, addition, item):
        with self.lock:
            if addition.item is None:
                addition.item = item
                addition.acknowledged_at = time.monotonic()
                self.acknowledged.append(addition)
        if item != addition.item or item[sample.TEXT] != addition.text:
            self.violation(f'{addition.text}: acknowledged as {item}, before as {addition.item}')

    def deletes(self, client, source, _):
        authorization = {'Authorization': f'Bearer {self.stack.token}'}
        while not self.stopping.is_set():
            with self.lock:
                there = [addition for addition in self.acknowledged[-60:] if not addition.delete_begun_at]
                addition = source.choice(there) if len(there) > STOCK else None
                if addition:
                    addition.delete_begun_at = time.monotonic()
                    self.delete_begun += 1
            if addition:
                self.settle_deletion(client, addition, authorization)
            self.pause()

    def settle_deletion(self, client, addition, authorization):
        unknown = False
        while True:
            answer, problem = self.ask(client, 'delete', 'DELETE', sample.item(addition.item['id']), None, authorization)
            if answer is not None and answer.status in (204, 404):
                if answer.status == 404 and not unknown:
                    return self.violation(f'{addition.text}: acknowledged, but its deletion got 404')
                with self.lock:
                    addition.deleted_at = time.monotonic()
                    self.deleted += 1
                return None
            if problem in NOTHING_DONE and not unknown:
                with self.lock:
                    addition.delete_begun_at = None  # must still be there, and may be asked for again
                    self.delete_begun -= 1
                return None
            unknown = unknown or problem not in NOTHING_DONE
            if self.given_up():
                return self.violation(f'{addition.text}: its deletion is still unknown')
            self.pause()

    def reads(self, read):
        def run(client, source, _):
            while not self.stopping.is_set():
                read(client, source)
                self.pause()

        return run

    def reads_first_page(self, client, _):
        bounds = self.total_bounds()
        start = time.monotonic()
        answer, _ = self.ask(client, 'first_page', 'GET', f'{sample.LIST}?limit=100')
        if answer is None or answer.status != 200:
            return
        page = answer.json()
        ids = {item['id'] for item in page[sample.ITEMS]}
        lowest = min(ids, default=0) if page['next'] else 0
        with self.lock:
            for addition in self.acknowledged[-300:]:
                if addition.item['id'] < lowest or addition.acknowledged_at > start:
                    continue
                if addition.item['id'] not in ids and addition.delete_begun_at is None:
                    self.violations.append(f'{addition.text}: acknowledged {start - addition.acknowledged_at:.4f} s '
                                           'before a read that does not show it')
                if addition.item['id'] in ids and addition.deleted_at and addition.deleted_at < start:
                    self.violations.append(f'{addition.text}: deleted before a read that shows it')
            for item in page[sample.ITEMS]:
                addition = self.by_text.get(item[sample.TEXT])
                if item[sample.TEXT].startswith(self.mark) and (addition is None or addition.denied):
                    self.violations.append(f'{item} was read, but nobody asked for it or it was denied')
        self.check_total(page['total'], bounds)

    def reads_stats(self, client, _):
        bounds = self.total_bounds()
        answer, _ = self.ask(client, 'stats', 'GET', sample.STATS)
        if answer is not None and answer.status == 200:
            self.check_total(answer.json()['total'], bounds)

    def total_bounds(self):
        """What must be counted by a read that begins now; what may be counted is known after it. Nobody else adds meanwhile."""
        with self.lock:
            return len(self.acknowledged), self.deleted

    def check_total(self, total, bounds):
        acknowledged, deleted = bounds
        with self.lock:
            least = self.rows_before + acknowledged - self.delete_begun
            most = self.rows_before + self.begun - deleted
        if not least <= total <= most:
            self.violation(f'total is {total}, but must be from {least} to {most}')

    def reads_one(self, client, source):
        with self.lock:
            addition = source.choice(self.acknowledged[-200:]) if self.acknowledged else None
        if addition is None:
            return
        start = time.monotonic()
        answer, _ = self.ask(client, 'one', 'GET', sample.item(addition.item['id']))
        if answer is None or answer.status == 503:
            return
        with self.lock:
            may_be_gone = addition.delete_begun_at is not None
            must_be_gone = addition.deleted_at is not None and addition.deleted_at < start
        if answer.status == 200 and (must_be_gone or answer.json() != addition.item):
            self.violation(f'{addition.text}: read as {answer}, deleted before: {must_be_gone}')
        if answer.status == 404 and not may_be_gone:
            self.violation(f'{addition.text}: acknowledged, but not found')

    def searches(self, client, source):
        with self.lock:
            addition = source.choice(self.acknowledged[-50:]) if self.acknowledged else None
        if addition is None:
            return
        answer, _ = self.ask(client, 'search', 'GET', f'{sample.SEARCH}?q={addition.text.replace(" ", "+")}')
        if answer is None or answer.status != 200:
            return
        found = [item['id'] for item in answer.json()[sample.ITEMS]]
        if addition.item['id'] not in found and addition.delete_begun_at is None:
            self.violation(f'{addition.text}: acknowledged, but a search does not find it')

    def asks_for_page(self, client, _, __):
        while not self.stopping.is_set():
            self.ask(client, 'page', 'GET', '/')
            self.stopping.wait(0.1)

    def asks_for_health(self, client, source, _):
        """Not in step with the others who ask: some ask while a check is under way."""
        while not self.stopping.is_set():
            self.ask(client, 'health', 'GET', '/health')
            self.stopping.wait(source.uniform(0.05, 0.6))

    # One request and what holds for each answer.

    GOOD = {'page': (200,), 'health': (200,), 'add': (201,), 'delete': (204, 404), 'first_page': (200,), 'one': (200, 404),
            'stats': (200,), 'search': (200,)}
    LIMIT_S = {'page': PAGE_S, 'health': HEALTH_S}

    def ask(self, client, kind, method, path, body=None, headers=None):
        """The answer (None: the connection broke) and the type of its problem (None: a good answer or none)."""
        start = time.monotonic()
        try:
            answer = client.request(method, path, headers, body)
        except ConnectionRefusedError:
            self.unreachable(kind, 'refused')
            return None, NOTHING_DONE[1]  # nobody got the request
        except (OSError, http.client.HTTPException) as error:
            self.unreachable(kind, repr(error))
            return None, None
        end = time.monotonic()
        self.answers[kind].append((start, end, answer.status))
        if self.checks_time and end - start > self.LIMIT_S.get(kind, ANSWER_S):
            self.violation(f'{kind}: {end - start:.2f} s for {answer}')
        if answer.status in self.GOOD[kind]:
            self.latest[kind] = max(self.latest[kind], start)
            return answer, None
        return answer, self.problem_type(kind, answer)

    def problem_type(self, kind, answer):
        wanted = 'application/json' if kind == 'health' and answer.body.startswith(b'{"status"') else 'application/problem+json'
        retry_after = answer.headers['Retry-After'] or ''
        if kind == 'page' or answer.status != 503 or answer.headers['Content-Type'] != wanted or not retry_after.isdigit():
            self.violation(f'{kind}: {answer}')
            return None
        problem = answer.json()
        if kind == 'health' and 'type' not in problem:
            return None
        if problem['status'] != 503 or problem['type'] not in (*NOTHING_DONE, OUTCOME_UNKNOWN):
            self.violation(f'{kind}: {answer}')
        if problem['type'] == OUTCOME_UNKNOWN:
            self.latest_unknown += 1
        return problem['type']

    def unreachable(self, kind, why):
        if self.always_reachable:
            self.violation(f'{kind}: no answer: {why}')
        self.stopping.wait(0.02)

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    def given_up(self):
        return self.give_up_at is not None and time.monotonic() > self.give_up_at

    # The end.

    def verify(self, test, least=5):
        """What holds at the end. After the clients' own end."""
        test.assertEqual([thread.name for thread in self.threads if thread.is_alive()], [])
        test.assertEqual(self.violations[:8], [], f'{len(self.violations)} violations')
        test.assertGreaterEqual(len(self.acknowledged), least)
        mine = [row for row in verify_all(test, self.stack) if row[1].startswith(self.mark)]
        table = {text: (id_, created_at) for id_, text, created_at in mine}
        test.assertEqual(len(table), len(mine), 'a text is there twice')
        for addition in self.by_text.values():
            present = table.pop(addition.text, None)
            if addition.denied:
                test.assertIsNone(present, f'{addition.text} was denied and is there')
            elif addition.deleted_at:
                test.assertIsNone(present, f'{addition.text} was deleted and is there')
            elif addition.acknowledged_at and addition.delete_begun_at is None:
                test.assertEqual(present, (addition.item['id'], addition.item['created_at']), f'{addition.text} was acknowledged')
        test.assertEqual(table, {}, 'nobody asked for these')

    def figures(self):
        slowest = {kind: max((end - start for start, end, _ in answers), default=0)
                   for kind, answers in self.answers.items()}
        return {'acknowledged': len(self.acknowledged), 'denied': self.denied, 'deleted': self.deleted,
                'unknown_answers': self.latest_unknown, 'reads': sum(len(self.answers[kind]) for kind in API[2:]),
                'slowest_s': {kind: round(seconds, 2) for kind, seconds in slowest.items()}}
