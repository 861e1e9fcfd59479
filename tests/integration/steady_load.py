"""Clients that add while parts of the service are ended, killed and started again, and what must hold after it: whatever was
acknowledged is there, once. (With deletions and reads, and through faults that last: tests/faults/clients.py.)"""
import http.client
import itertools
import os
import threading
import time

from contract import verify_all
from stack import sample, wait_until

SLOW = 4 if os.environ.get('SANITIZE') else 1
BACK_S = 2 * SLOW  # "within 1 s", and the part's own start


class Load:
    """Clients that add without a pause. An addition without a certain outcome is sent again with its key until it is
    acknowledged, as the page does."""

    def __init__(self, stack, clients=8):
        self.stack, self.mark = stack, os.urandom(5).hex()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.begun, self.acknowledged, self.errors = set(), {}, []
        self.latest_start = 0.0  # of an attempt that was acknowledged
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: len(self.acknowledged) > 20, 4 * BACK_S, 'the load is under way')
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def run(self, number):
        with self.stack.client(timeout_s=8) as client:
            for count in itertools.count():
                if self.stopping.is_set():
                    break
                text = f'{self.mark} {number} {count}'
                with self.lock:
                    self.begun.add(text)
                item = self.add(client, text)
                if item:
                    with self.lock:
                        self.acknowledged[text] = item['id']

    def add(self, client, text):
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            start = time.monotonic()
            try:
                answer = client.post(sample.COLLECTION, sample.new(text), {'Idempotency-Key': text.replace(' ', '-')})
            except (OSError, http.client.HTTPException):
                answer = None
            if answer and answer.status == 201:
                self.latest_start = max(self.latest_start, start)
                return answer.json()
            if answer and (answer.status not in (502, 503, 504) or answer.json()['status'] != answer.status):
                self.errors.append(answer)
                return None
            if self.stopping.is_set():
                return None
            time.sleep(0.01)  # a client's pause between two tries
        self.errors.append(f'{text} was not acknowledged for 60 s')
        return None

    def wait_for_success_after(self, moment, timeout_s=BACK_S):
        wait_until(lambda: self.latest_start > moment, timeout_s, 'an addition begun after the fault is acknowledged')

    def verify(self, test):
        """Nothing acknowledged is missing or doubled, nothing is there that nobody sent. After its end."""
        test.assertEqual(self.errors[:5], [])
        rows = [(id_, text) for id_, text, _ in verify_all(test, self.stack) if text.startswith(self.mark)]
        table = {text: id_ for id_, text in rows}
        test.assertEqual(len(table), len(rows), 'a text is in the table twice')
        lost = {text: id_ for text, id_ in self.acknowledged.items() if table.get(text) != id_}
        test.assertEqual(lost, {})
        test.assertEqual(set(table) - self.begun, set())


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except (ProcessLookupError, TypeError):
        return False
