"""If-Match (RFC 9110, 13.1.1): what is asked is done only to the document that has one of these tags; else 412, and
nothing is done. If-None-Match alone: the tests of pages."""
import os
import unittest

from contract import ContractTest
from stack import sample

ABSENT = sample.item(2 ** 63 - 1)
STATS = [sample.STATS] if sample.STATS else []
OTHER = '"no-such-tag"'


class PreconditionTest(ContractTest):
    EVERY_SERVICE = True
    QUICK = True

    def documents(self):
        """The paths of documents that have an ETag, each with it."""
        item = self.add(f'preconditioned {os.urandom(4).hex()}')
        paths = [sample.LIST, f'{sample.LIST}?limit=1', f'{sample.LIST}?before={item["id"] + 1}', sample.item(item['id']), *STATS]
        if sample.SEARCH:
            paths += [f'{sample.SEARCH}?q={item[sample.TEXT].replace(" ", "+")}', f'{sample.SEARCH}?q=nobody+is+called+so']
        return {path: self.stack.get(path).headers['ETag'] for path in paths}

    def added(self, key=None):
        """The path of one, and the tag that reading it gives."""
        path = sample.item(self.add('preconditioned', key)['id'])
        return path, self.stack.get(path).headers['ETag']

    @staticmethod
    def right(tag):
        """Sentence, If-Match that the tag fulfils."""
        return [('the tag', tag), ('made weak by compression', f'W/{tag}'), ('an asterisk', '*'),
                ('first of a list', f'{tag}, "x"'), ('last of a list', f'"x", W/"y",{tag}'),
                ('without blanks', f'"x",{tag},"y"'), ('many blanks', f'"x"  ,\t{tag}  ,"y"'),
                ('behind a tag with a comma', f'"x,y", {tag}'), ('behind a tag with a space', f'"x y", {tag}'),
                ('behind an empty tag', f'"", {tag}'), ('behind an asterisk in quotes', f'"*", {tag}'),
                ('with empty elements', f',, {tag} ,'), ('the tag twice', f'{tag}, {tag}')]

    @staticmethod
    def wrong(tag):
        """Sentence, If-Match that the tag does not fulfil, or that is no list of tags."""
        bare = tag.strip('"')
        return [('another tag', OTHER), ('another tag, weak', f'W/{OTHER}'), ('others', f'{OTHER}, W/"x"'),
                ('an empty tag', '""'), ('an asterisk in quotes', '"*"'), ('two asterisks', '**'),
                ('an asterisk in a list', f'{OTHER}, *'), ('an asterisk before a tag', f'*, {tag}'),
                ('the tag in other case', tag.upper() if tag != tag.upper() else f'"{bare}x"'),
                ('a longer tag', f'"{bare}x"'), ('a shorter tag', f'"{bare[:-1]}"'), ('no quotes', bare),
                ('a quote missing at the start', f'{bare}"'), ('a quote missing at the end', f'"{bare}'),
                ('single quotes', f"'{bare}'"), ('a lower-case w', f'w/{tag}'), ('a W without its slash', f'W{tag}'),
                ('W/ and a blank', f'W/ {tag}'), ('W/ twice', f'W/W/{tag}'), ('inside another tag', f'"x {bare} y"'),
                ('run together with another', f'"x"{tag}'), ('run together with a word', f'{tag}x'),
                ('between the quotes of others', f'"x,{tag},y"'), ('commas only', ', ,'), ('a quote alone', '"')]

    def test_a_document_that_has_one_of_the_tags_is_answered(self):
        for path, tag in self.documents().items():
            expected = self.stack.get(path)
            self.assertEqual(expected.headers['ETag'], tag)
            for title, value in self.right(tag):
                with self.subTest(path, title=title):
                    answer = self.stack.get(path, {'If-Match': value})
                    self.assertEqual((answer.status, answer.body, answer.headers['ETag']), (200, expected.body, tag))

    def test_a_document_that_has_none_of_the_tags_gets_412(self):
        for path, tag in self.documents().items():
            for title, value in self.wrong(tag):
                with self.subTest(path, title=title):
                    answer = self.stack.get(path, {'If-Match': value})
                    self.assert_problem(answer, 412, path=path.split('?')[0])
                    self.assertEqual(answer.headers['Cache-Control'], 'no-store')
            with self.subTest(path, method='HEAD'):
                answer = self.stack.request('HEAD', path, {'If-Match': OTHER})
                self.assert_every_answer(answer)
                self.assertEqual((answer.status, answer.body), (412, b''))
                self.assertEqual(self.stack.request('HEAD', path, {'If-Match': tag}).status, 200)

    def test_the_tag_of_a_compressed_answer_is_taken(self):
        self.add('x' * 50)
        for path in (sample.LIST, *STATS):
            packed = self.stack.get(path, {'Accept-Encoding': 'gzip'})
            self.assertTrue(packed.headers['ETag'].startswith('W/'), packed)
            for encoding in ('gzip', 'identity'):
                headers = {'Accept-Encoding': encoding, 'If-Match': packed.headers['ETag']}
                self.assertEqual(self.stack.get(path, headers).status, 200)

    def test_an_empty_header_is_none(self):
        path, _ = self.added()
        for value in ('', '  '):
            self.assertEqual(self.stack.get(path, {'If-Match': value}).status, 200)
        self.assertEqual(self.stack.as_admin('DELETE', path, {'If-Match': ''}).status, 204)

    def test_if_match_comes_before_if_none_match(self):
        for path, tag in self.documents().items():
            for match, none_match, status in [(OTHER, tag, 412), (OTHER, '*', 412), (OTHER, OTHER, 412),
                                              (tag, tag, 304), ('*', '*', 304), (tag, OTHER, 200)]:
                for method in ('GET', 'HEAD'):
                    with self.subTest(path, method=method, if_match=match, if_none_match=none_match):
                        headers = {'If-Match': match, 'If-None-Match': none_match}
                        self.assertEqual(self.stack.request(method, path, headers).status, status)

    def test_it_changes_no_other_refusal(self):
        for value in (OTHER, '*', '"'):
            for path, status in [(ABSENT, 404), (sample.item(0), 404), ('/api/none', 404), (f'{sample.LIST}?limit=0', 400),
                                 *((f'{path}?days=0', 400) for path in STATS)]:
                with self.subTest(path, if_match=value):
                    self.assert_problem(self.stack.get(path, {'If-Match': value}), status, path=path.split('?')[0])
            with self.subTest('a wrong method', if_match=value):
                self.assert_problem(self.stack.request('PUT', sample.LIST, {'If-Match': value}), 405)

    def test_a_document_that_has_changed_gets_412(self):
        old = self.stack.get(sample.LIST).headers['ETag']
        self.add('changes the first page')
        self.assert_problem(self.stack.get(sample.LIST, {'If-Match': old}), 412)

    def test_a_deletion_is_done_to_what_has_the_tag(self):
        for title, _ in self.right('""'):
            path, tag = self.added()
            value = dict(self.right(tag))[title]
            with self.subTest(title):
                self.assertEqual(self.stack.as_admin('DELETE', path, {'If-Match': value}).status, 204)
                self.assertEqual(self.stack.get(path).status, 404)

    def test_a_deletion_of_what_has_another_tag_gets_412_and_nothing_is_done(self):
        path, tag = self.added()
        before = self.table_count()
        for title, value in self.wrong(tag) + [('the tag of a page', self.stack.get(sample.LIST).headers['ETag'])]:
            with self.subTest(title):
                self.assert_problem(self.stack.as_admin('DELETE', path, {'If-Match': value}), 412, path=path)
        self.assertEqual(self.table_count(), before)
        self.assertEqual(self.stack.get(path).headers['ETag'], tag)

    def test_what_was_changed_by_hand_has_another_tag(self):
        path, tag = self.added()
        self.stack.sql(f"UPDATE {sample.TABLE} SET {sample.TEXT} = 'by hand' WHERE id = {path.rsplit('/', 1)[1]}")
        self.assert_problem(self.stack.as_admin('DELETE', path, {'If-Match': tag}), 412)
        now = self.stack.get(path).headers['ETag']
        self.assertEqual(self.stack.as_admin('DELETE', path, {'If-Match': now}).status, 204)

    def test_a_deletion_is_refused_for_other_reasons_first(self):
        path, _ = self.added()
        for value in (OTHER, '*'):
            with self.subTest(value):
                self.assert_problem(self.stack.request('DELETE', path, {'If-Match': value}), 401)
                answer = self.stack.as_admin('DELETE', path, {'If-Match': value, 'Sec-Fetch-Site': 'cross-site'})
                self.assert_problem(answer, 403)
                self.assert_problem(self.stack.as_admin('DELETE', f'{path}?x=1', {'If-Match': value}), 400)
                self.assert_problem(self.stack.as_admin('DELETE', ABSENT, {'If-Match': value}), 404)
        self.assertEqual(self.stack.get(path).status, 200)

    def test_dates_are_no_condition(self):
        path, tag = self.added()
        headers = {'If-Unmodified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT',
                   'If-Modified-Since': 'Fri, 31 Dec 2100 00:00:00 GMT'}
        for document in (path, sample.LIST, *STATS):
            self.assertEqual(self.stack.get(document, headers).status, 200)
        self.assertEqual(self.stack.get(path, {**headers, 'If-Match': tag}).status, 200)
        self.assertEqual(self.stack.as_admin('DELETE', path, headers).status, 204)


if __name__ == '__main__':
    unittest.main()
