"""What this service promises of its own, beside what the tests of the machinery ask of any: texts, pages, and who may delete."""
from contract import ContractTest
from stack import sample

LENGTH = '/problems/text-length'
CHARACTERS = '/problems/text-characters'


class NotesTest(ContractTest):
    QUICK = True

    def post(self, text):
        return self.stack.post(sample.COLLECTION, {'text': text})

    def test_a_text_is_trimmed_and_kept_as_it_was_sent(self):
        for sent, kept in [('Ada', 'Ada'), (' two words\u3000', 'two words'), ('é' * 120, 'é' * 120), ('<b>"\\</b>', '<b>"\\</b>'),
                           ("'); DROP TABLE notes; --", "'); DROP TABLE notes; --"), ('👩‍🚀', '👩‍🚀')]:
            with self.subTest(sent):
                added = self.assert_added(self.post(sent), kept)
                self.assertEqual(self.stack.get(sample.item(added['id'])).json(), added)

    def test_a_text_that_breaks_its_rule_is_refused(self):
        before = self.table_count()
        for text, type_ in [('', LENGTH), (' \t', LENGTH), ('é' * 121, LENGTH), ('a\nb', CHARACTERS), ('a\0b', CHARACTERS),
                            ('\u200b', CHARACTERS)]:
            with self.subTest(text):
                self.assert_problem(self.post(text), 422, type_, sample.COLLECTION)
        self.assertEqual(self.table_count(), before)

    def test_a_body_of_another_form_is_refused(self):
        for body in ({}, {'text': None}, {'text': 1}, {'text': 'a', 'more': 'b'}, []):
            with self.subTest(body):
                self.assertEqual(self.stack.post(sample.COLLECTION, body).status, 422)

    def test_pages_are_linked_newest_first(self):
        ids = [self.add(f'page {n}')['id'] for n in range(5)]
        page = self.stack.get(f'{sample.LIST}?limit=2').json()
        self.assertEqual([row['id'] for row in page['notes']], [ids[4], ids[3]])
        following = self.stack.get(page['next']).json()
        self.assertEqual([row['id'] for row in following['notes']], [ids[2], ids[1]])
        self.assertEqual(page['total'], following['total'])

    def test_only_the_admin_deletes(self):
        path = sample.item(self.add('to be deleted')['id'])
        self.assertEqual(self.stack.request('DELETE', path).status, 401)
        self.assertEqual(self.stack.get(path).status, 200)
        self.assertEqual(self.stack.as_admin('DELETE', path).status, 204)
        self.assert_problem(self.stack.get(path), 404, path=path)
        self.assert_problem(self.stack.as_admin('DELETE', path), 404, path=path)
