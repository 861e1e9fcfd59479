"""What is promised of visitors alone, beside what contract.py has: names, and those who gave none."""
from contract import ContractTest

NAME_LENGTH = '/problems/name-length'
NAME_CHARACTERS = '/problems/name-characters'
SEARCH_TOO_BROAD = '/problems/search-too-broad'


class VisitorTest(ContractTest):
    def add(self, name=None, key=None):
        """A visitor that is added for a test's sake."""
        answer = self.stack.post('/api/visitors', None if name is None else {'name': name},
                                 {'Idempotency-Key': key} if key else None)
        self.assertEqual(answer.status, 201, answer)
        return answer.json()

    def assert_added(self, answer, name=None, replayed=False):
        """A 201 with this visitor (name None: an unnamed one); returns it."""
        return super().assert_added(answer, f'Visitor_{answer.json().get("id")}' if name is None else name, replayed)
