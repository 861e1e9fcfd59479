"""More clients than the service can serve: it sheds what it cannot do in time and goes on doing what it can. The work is
made slow in the database, so that this machine's clients can send 4 and 16 times what is possible."""
import asyncio
import collections
import json
import time
import unittest

from clients import NOTHING_DONE, SLOW
from stack import Stack, sample, wait_until

ANSWER_S = 3 * SLOW
STATEMENT_S = 0.32     # what a batch takes in the database, at least
BATCH_MAX_ROWS = 16
CLIENTS_AT_PEAK = 32   # enough to fill batches, few enough to wait for none
PEAK_S = 3
RUN_S = 6
# Of what a run measures, its begin is left out: queues that are still empty are no overload.
SETTLED_S = 1
USEFUL_LEAST = 0.7     # of the peak


class OverloadTest(unittest.TestCase):
    ALONE = True

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(APP_BATCH_MAX_ROWS=str(BATCH_MAX_ROWS))
        cls.addClassCleanup(cls.stack.stop)
        # Once a transaction, however many statements a service's batch has.
        cls.stack.sql("CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                      "IF coalesce(current_setting('overload.slowed', true), '') = '' THEN "
                      f"PERFORM set_config('overload.slowed', 'yes', true), pg_sleep({STATEMENT_S}); END IF; RETURN NULL; END $$; "
                      'CREATE TRIGGER slow AFTER INSERT '
                      f'ON {sample.TABLE} FOR EACH STATEMENT EXECUTE FUNCTION be_slow()')

    def test_four_and_sixteen_times_what_is_possible(self):
        for times in (4, 16):
            with self.subTest(times):
                peak = self.closed_loop()  # anew each time: the machine's disk may have become slower meanwhile
                answers = asyncio.run(self.open_loop(peak * times))
                self.check(answers)
                useful = sum(status == 201 and begin + took > SETTLED_S and begin + took < RUN_S
                             for begin, took, status, _ in answers) / (RUN_S - SETTLED_S)
                by_status = collections.Counter(status for _, _, status, _ in answers)
                slowest = max(took for _, took, _, _ in answers)
                print(f'{times} times: peak {peak:.0f}/s, useful {useful:.0f}/s, slowest {slowest:.2f} s, {dict(by_status)}')
                self.assertGreater(useful, peak * USEFUL_LEAST)
                self.assertGreater(by_status[503], 0, 'this was no overload')
                wait_until(lambda: self.quick(), 3 * SLOW, 'all is well after it')

    def check(self, answers):
        for begin, took, status, body in answers:
            self.assertIn(status, (200, 201, 503, 429), body)
            self.assertLess(took, ANSWER_S, f'{status} begun {begin:.2f} s after the start')
            if status == 503:
                self.assertIn(json.loads(body)['type'], NOTHING_DONE)
        # What was refused was not done, what was acknowledged was.
        added = sum(status == 201 for _, _, status, _ in answers)
        self.assertEqual(self.stack.sql(f"SELECT count(*) FROM {sample.TABLE} WHERE {sample.TEXT} = 'overload'"), [(str(added),)])
        self.stack.sql(f"DELETE FROM {sample.TABLE} WHERE {sample.TEXT} = 'overload'")

    def quick(self):
        start = time.monotonic()
        return self.stack.post(sample.COLLECTION, sample.new('after it')).status == 201 and time.monotonic() - start < 0.5

    def closed_loop(self):
        """The peak in additions a second: each client sends when it was answered."""
        async def client(deadline):
            nonlocal done
            while time.monotonic() < deadline:
                _, status, _ = await self.exchange()
                done += status == 201

        async def run():
            await asyncio.gather(*(client(time.monotonic() + PEAK_S) for _ in range(CLIENTS_AT_PEAK)))

        done = 0
        asyncio.run(run())
        self.stack.sql(f"DELETE FROM {sample.TABLE} WHERE {sample.TEXT} = 'overload'")
        return done / PEAK_S

    async def open_loop(self, rate):
        """Sends `rate` a second whatever the answers are, as a crowd does."""
        async def one(begin):
            took, status, body = await self.exchange()
            answers.append((begin, took, status, body))

        answers, tasks, start = [], [], time.monotonic()
        while (now := time.monotonic() - start) < RUN_S:
            while len(tasks) < rate * now:
                tasks.append(asyncio.create_task(one(now)))
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
        return answers

    BODY = json.dumps(sample.new('overload'))
    REQUEST = (f'POST {sample.COLLECTION} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n'
               f'Content-Length: {len(BODY)}\r\n\r\n{BODY}').encode()

    async def exchange(self):
        """How long an addition took, its status and its body."""
        start = time.monotonic()
        reader, writer = await asyncio.open_connection('127.0.0.1', self.stack.port)
        try:
            writer.write(self.REQUEST)
            head, _, body = (await asyncio.wait_for(reader.read(), 15)).partition(b'\r\n\r\n')
            return time.monotonic() - start, int(head.split()[1]), body
        finally:
            writer.close()


if __name__ == '__main__':
    unittest.main()
