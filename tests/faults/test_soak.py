"""Thirty seconds of the main test, each time with another seed; soak.py says what it is and runs it for longer."""
import random
import unittest

from soak import Soak


class SoakTest(unittest.TestCase):
    CALM = True
    LASTS_S = 45

    def test_thirty_seconds_of_faults(self):
        soak = Soak(seconds=30, seed=random.randrange(10 ** 9))
        print(f'soak: seed {soak.seed}', flush=True)
        try:
            soak.run(self)
        finally:
            if soak.recoveries and soak.clients:
                print(soak.report(), flush=True)


if __name__ == '__main__':
    unittest.main()
