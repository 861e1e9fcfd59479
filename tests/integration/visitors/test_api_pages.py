"""GET /api/visitors and /api/visitors/{id}: pages, searching, paging on, ETags."""
import concurrent.futures
import gzip
import json
import os
import time
import unittest
import urllib.parse

from contract import DATABASE_AWAY, STRONG_ETAG
from visitor_contract import SEARCH_TOO_BROAD, VisitorTest

PARAMETERS_400 = [  # sentence, query
    ('limit 0', 'limit=0'),
    ('limit 101', 'limit=101'),
    ('limit -1', 'limit=-1'),
    ('limit with a sign', 'limit=%2B5'),
    ('limit with a space', 'limit=+5'),
    ('limit with a space after', 'limit=5%20'),
    ('limit that is no number', 'limit=x'),
    ('limit with a letter after', 'limit=5x'),
    ('limit with a fraction', 'limit=5.0'),
    ('limit with an exponent', 'limit=1e1'),
    ('limit in hexadecimal', 'limit=0x10'),
    ('limit in other digits', 'limit=%D9%A5'),
    ('limit beyond 64 bits', 'limit=18446744073709551621'),
    ('limit beyond every size', 'limit=' + '9' * 400),
    ('limit with NUL', 'limit=5%00'),
    ('limit empty', 'limit='),
    ('limit without a value', 'limit'),
    ('before that is no number', 'before=x'),
    ('before negative', 'before=-1'),
    ('before with a fraction', 'before=1.5'),
    ('before beyond an id', 'before=9223372036854775808'),
    ('before beyond every size', 'before=' + '9' * 400),
    ('before empty', 'before='),
    ('before without a value', 'before'),
    ('before with a space', 'before=%201'),
    ('q empty', 'q='),
    ('q without a value', 'q'),
    ('q of 51 letters', 'q=' + 'x' * 51),
    ('q of 51 code points of four bytes', 'q=' + '%F0%9F%98%80' * 51),
    ('q of 51 spaces', 'q=' + '+' * 51),
    ('q of an accent alone', 'q=%CC%81'),
    ('q of the first and the last accent', 'q=%CC%80%CD%AF'),
    ('q of 50 accents', 'q=' + '%CC%88' * 50),
    ('q with a percent sign at the end', 'q=a%'),
    ('q with one digit after the percent sign', 'q=a%2'),
    ('q with no digits after the percent sign', 'q=%zz'),
    ('q with a percent sign twice', 'q=%%41'),
    ('q with a sign as a digit', 'q=%+1'),
    ('q with a byte that begins nothing', 'q=%FF'),
    ('q with a stray continuation', 'q=a%80'),
    ('q with a sequence cut', 'q=%E2%82'),
    ('q with an overlong NUL', 'q=%C0%80'),
    ('q with an overlong slash', 'q=%E0%80%AF'),
    ('q with a surrogate', 'q=%ED%A0%80'),
    ('q with U+110000', 'q=%F4%90%80%80'),
    ('limit twice', 'limit=5&limit=5'),
    ('before twice', 'before=5&before=6'),
    ('q twice', 'q=a&q=b'),
    ('limit twice, far apart', 'limit=5&q=a&limit=6'),
    ('an unknown parameter', 'x=1'),
    ('an unknown parameter beside a known one', 'limit=5&offset=10'),
    ('another case', 'Limit=5'),
    ('an unknown parameter without a value', 'x'),
    ('a member of another route', 'days=30'),
    ('a broken percent sign in a name', 'limi%7=5'),
    ('a name that begins like one', 'limits=5'),
]
PARAMETERS_200 = [
    ('limit 1', 'limit=1'),
    ('limit 100', 'limit=100'),
    ('limit percent-encoded', 'limit=%31%30'),
    ('before 1', 'before=1'),
    ('the greatest id', 'before=9223372036854775807'),
    ('q of one letter', 'q=x'),
    ('q of 50 letters', 'q=' + 'x' * 50),
    ('q of 50 code points of four bytes', 'q=' + '%f0%9f%98%80' * 50),
    ('q of a space', 'q=+'),
    ('q of an encoded ampersand and equals sign', 'q=%26%3D'),
    ('q of an equals sign', 'q=='),
    ('q of an accent on a space', 'q=+%CC%81'),
    ('q of what stands round the accents', 'q=%CB%BF%CD%B0'),
    ('q of characters that no name may have', 'q=%01%E2%80%AE%EF%BF%BF'),
    ('every parameter, in any order', 'q=x&before=7&limit=3'),
    ('an empty query', ''),
]
LITERAL = ['%', '_', '\\', '%%', '\\%', '\\\\', 'a%c', 'a_c', 'a\\c', "'", '"', '.', '.*', '^', '$', '[a-z]', '(', ')',
           '*', '+', '?', '|', '{2}', '&', '=', '#', '/', ';', ',', '<', '~', 'é%', '💡_', ' & ', '%00', '%25']

CASE_PAIRS = [  # sentence, a name, a search that finds it
    ('Latin', 'ADA lovelace', 'ada LOVELACE'),
    ('Latin with accents', 'ÀÉÎÕÜÇÑ', 'àéîõüçñ'),
    ('Turkish and Polish letters', 'ŞĞŁŻŹ', 'şğłżź'),
    ('sharp s', 'STRAẞE', 'straße'),
    ('long s is an s', 'Congreſs', 'CONGRESS'),
    ('Greek, every sigma is one letter', 'ΟΔΥΣΣΕΥΣ', 'οδυσσευς'),
    ('Greek, the other way', 'οδυσσευς', 'ΟΔΥΣΣΕΥΣ'),
    ('Greek, final sigma and sigma', 'σοφος', 'σοφοσ'),
    ('Greek with accents', 'ΆΈΉΊΌΎΏ', 'άέήίόύώ'),
    ('the micro sign is a mu', '\u00b5', 'Μ'),
    ('the Kelvin sign is a k', '\u212aelvin', 'KELVIN'),
    ('the Ångström sign is an å', '\u212bngstrom', 'ångström'.replace('ö', 'o')),
    ('the Ohm sign is an omega', '\u2126', 'ω'),
    ('digraphs in three cases, title', 'ǅ', 'ǆ'),
    ('digraphs in three cases, upper', 'ǅ', 'Ǆ'),
    ('Cyrillic', 'ЖЁЩЪЇЄЏ', 'жёщъїєџ'),
    ('Armenian', 'ԱԲԳ', 'աբգ'),
    ('Georgian', '\u1c90\u1c91', '\u10d0\u10d1'),
    ('Cherokee', '\u13a0\u13a1', '\uab70\uab71'),
    ('Glagolitic and Coptic', 'ⰀⲀ', 'ⰰⲁ'),
    ('Roman numerals', 'Ⅷ', 'ⅷ'),
    ('letters in circles', 'Ⓐ', 'ⓐ'),
    ('full width', 'ＡＢＣ', 'ａｂｃ'),
    ('Deseret, beyond the first plane', '𐐀𐐁', '𐐨𐐩'),
    ('Adlam, beyond the first plane', '𞤀𞤁', '𞤢𞤣'),
]

ACCENTS = [  # sentence, a name, a search that finds it, and the other way round
    ('none finds one', 'José Ñandú', 'jose nandu'),
    ('composed and apart', 'Jos\u00e9', 'jose\u0301'),
    ('other accents on the same letters', 'àéîõü', 'áèïôu'),
    ('two accents on a letter', 'Vi\u1ec7t', 'viet'),
    ('two accents in either order', 'a\u0323\u0302', 'a\u0302\u0323'),
    ('an accent at the end', 'Zoe\u0308', 'ZOE'),
    ('many accents', 'z' + '\u0351' * 9 + 'algo', 'zalgo'),
    ('the first and the last accent', 'x\u0300\u036fy', 'xy'),
    ('the capital i with its dot', 'İstanbul', 'istanbul'),
    ('Greek', 'Ά\u03cc', 'αο'),
    ('the iota below, which has a capital of its own', '\u1fb3x', 'αX'),
    ('Cyrillic', 'Ёй', 'ЕИ'),
    ('the sign of the Ångström', '\u212b', 'a'),
    ('an accent that stands for another', 'e\u0341', 'é'),
    ('a sign with a stroke through it', '1 ≠ 2', '1 = 2'),
    ('Hangul, composed and apart', '한글', '\u1112\u1161\u11ab\u1100\u1173\u11af'),
    ('an accent on what LIKE knows', '50%\u0301_\u0301\\\u0301', '50%_\\'),
]
APART = [  # sentence, a name, a search that does not find it
    ('other letters', 'jose', 'josa'),
    ('a stroke through a letter is no accent', 'ø', 'o'),
    ('ligatures are other letters', 'æ', 'ae'),
    ('compatible is not canonical', '\ufb01', 'fi'),
    ('a percent sign with an accent is no wildcard', '50x', '5%\u0301x'),
    ('a line with an accent is no wildcard', '50x', '5_\u0301x'),
    ('marks of other scripts', '\u0915\u093c', '\u0915x'),
]


def query(**parameters):
    return '/api/visitors?' + urllib.parse.urlencode(parameters)


def simple_case_pairs():
    """Every pair of characters of which one is the other's case, by Python's Unicode tables. Accents are no letters, though
    one of them (U+0345) has a capital."""
    pairs = set()
    for char in map(chr, range(0x110000)):
        for other in (char.lower(), char.upper()):
            if len(other) == 1 and other != char and not 0x300 <= ord(char) <= 0x36f:
                pairs.add((char, other))
    return sorted(pairs)


class PagesTest(VisitorTest):
    def setUp(self):
        # Names that belong to this test alone: the table has others.
        self.mark = os.urandom(5).hex()

    def insert(self, count, prefix=''):
        """`count` visitors by SQL; the ids, oldest first."""
        rows = self.stack.sql(f"INSERT INTO visitors (name) SELECT '{prefix}{self.mark} ' || n "
                              f"FROM generate_series(1, {count}) AS n RETURNING id")
        return [int(id_) for id_, in rows]

    def page(self, path):
        answer = self.stack.get(path)
        page = self.assert_json(answer)
        self.assertEqual(set(page), {'visitors', 'total', 'next'})
        for visitor in page['visitors']:
            self.assert_item(visitor)
        self.assertTrue(page['total'] is None or type(page['total']) is int and page['total'] >= len(page['visitors']))
        self.assertEqual(answer.headers['Link'], f'<{page["next"]}>; rel="next"' if page['next'] else None)
        self.assertEqual(answer.headers['Cache-Control'], 'no-cache')
        self.assertRegex(answer.headers['ETag'], STRONG_ETAG)
        return page

    def walk(self, path):
        """The visitors of this page and of all that follow it."""
        visitors, pages = [], 0
        while path:
            page = self.page(path)
            visitors += page['visitors']
            path = page['next']
            pages += 1
            self.assertLess(pages, 5000)
        return visitors

    # Which visitors.

    def test_a_page_is_the_newest_visitors_newest_first(self):
        ids = self.insert(25)
        page = self.page('/api/visitors')
        self.assertEqual([visitor['id'] for visitor in page['visitors']], ids[:-21:-1])
        self.assertEqual(page['total'], self.table_count())

    def test_limit_is_1_to_100_and_20_if_left_out(self):
        ids = self.insert(101)[::-1]
        for path, limit in [('/api/visitors', 20), ('/api/visitors?limit=1', 1), ('/api/visitors?limit=20', 20),
                            ('/api/visitors?limit=99', 99), ('/api/visitors?limit=100', 100)]:
            with self.subTest(path):
                self.assertEqual([visitor['id'] for visitor in self.page(path)['visitors']], ids[:limit])

    def test_before_shows_only_smaller_ids(self):
        ids = self.insert(5)
        for title, before, first in [('an id', ids[3], ids[2]), ('the newest', ids[4], ids[3]),
                                     ('beyond the newest', ids[4] + 1000, ids[4]),
                                     ('the greatest of all', 2 ** 63 - 1, ids[4])]:
            with self.subTest(title):
                self.assertEqual(self.page(query(limit=1, before=before))['visitors'][0]['id'], first)
        self.assertEqual(self.page(query(before=1))['visitors'], [])

    def test_the_first_page_shows_every_commit_at_once_and_nothing_before_it(self):
        names = lambda: [visitor['name'] for visitor in self.page('/api/visitors?limit=2')['visitors']]
        first, second = self.insert(2)
        known = names()
        with self.stack.sql_session() as early, self.stack.sql_session() as late:
            for session, id_ in ((early, first), (late, second)):
                session.execute(f"BEGIN; UPDATE visitors SET name = 'renamed {id_}' WHERE id = {id_};")
                self.assertEqual(names(), known)
            # Who began first ends last: that no newer transaction has ended since is not enough.
            late.execute('COMMIT;')
            for _ in range(3):
                self.assertEqual(names(), [f'renamed {second}', known[1]])
            early.execute('COMMIT;')
            self.assertEqual(names(), [f'renamed {second}', f'renamed {first}'])
            late.execute(f"BEGIN; SAVEPOINT one; UPDATE visitors SET name = 'back' WHERE id = {first}; RELEASE one;")
            self.assertEqual(names()[1], f'renamed {first}')
            late.execute('COMMIT;')
            self.assertEqual(names()[1], 'back')
        self.stack.sql(f'DELETE FROM visitors WHERE id = {second}')
        self.assertEqual(names()[0], 'back')

    def test_the_largest_id_is_on_a_page_like_any_other(self):
        largest = 2**63 - 1
        self.stack.sql(f"INSERT INTO visitors (id, name) VALUES ({largest}, '{self.mark}')")
        try:
            for path in ('/api/visitors?limit=1', query(q=self.mark)):
                self.assertEqual(self.page(path)['visitors'][0]['id'], largest)
            self.assertEqual(self.stack.get(f'/api/visitors/{largest}').json()['name'], self.mark)
            self.assertNotEqual(self.page(f'/api/visitors?limit=1&before={largest}')['visitors'][0]['id'], largest)
        finally:
            self.stack.sql(f'DELETE FROM visitors WHERE id = {largest}')

    def test_before_need_not_be_the_id_of_a_visitor(self):
        ids = self.insert(3)
        self.stack.sql(f'DELETE FROM visitors WHERE id = {ids[1]}')
        self.assertEqual(self.page(query(limit=1, before=ids[1]))['visitors'][0]['id'], ids[0])

    def test_a_visitor_in_a_page_is_the_visitor(self):
        visitor = self.add(f'é {self.mark} 😀')
        self.assertEqual(self.page('/api/visitors?limit=1')['visitors'], [visitor])
        self.assertEqual(self.assert_json(self.stack.get(f'/api/visitors/{visitor["id"]}')), visitor)

    def test_every_name_comes_out_as_it_stands_in_the_table(self):
        # By SQL also what the API would not take: an old row must not break the pages of all.
        names = ['"', '\\', '/', '</script>', '\x01', '\x1f', '\t', '\x7f', '\x85', '\u2028', '\u202e', '\ufffe', 'é']
        literals = ','.join(f"($name${self.mark}{name}$name$)" for name in names)
        self.stack.sql(f'INSERT INTO visitors (name) VALUES {literals}')
        page = self.page(query(limit=len(names)))
        self.assertEqual([visitor['name'] for visitor in page['visitors']], [self.mark + name for name in names[::-1]])

    def test_created_at_has_six_digits_even_of_a_whole_second(self):
        for title, time, shown in [
                ('a whole second', '2026-11-24 03:33:00+00', '2026-11-24T03:33:00.000000Z'),
                ('one microsecond', '2026-11-24 03:33:00.000001+00', '2026-11-24T03:33:00.000001Z'),
                ('another zone', '2026-11-24 03:33:00.5+05:30', '2026-11-23T22:03:00.500000Z'),
                ('a leap day', '2024-02-29 23:59:59.999999+00', '2024-02-29T23:59:59.999999Z'),
                ('before 1970', '1969-07-20 20:17:40.25+00', '1969-07-20T20:17:40.250000Z')]:
            with self.subTest(title):
                id_, = self.stack.sql(f"INSERT INTO visitors (name, created_at) VALUES ('timed', '{time}') "
                                      f"RETURNING id")[0]
                self.assertEqual(self.stack.get(f'/api/visitors/{id_}').json()['created_at'], shown)
                self.assertEqual(self.page('/api/visitors?limit=1')['visitors'][0]['created_at'], shown)
        self.stack.sql("DELETE FROM visitors WHERE name = 'timed'")

    # Paging on.

    def test_next_leads_through_everything_once(self):
        self.insert(30)
        rows = [int(id_) for id_, in self.stack.sql('SELECT id FROM visitors ORDER BY id DESC')]
        self.assertEqual([visitor['id'] for visitor in self.walk('/api/visitors?limit=100')], rows)

    def test_next_keeps_limit_and_q_and_is_null_on_the_last_page(self):
        ids = self.insert(7, 'é&%+ _')[::-1]
        q = f'É&%+ _{self.mark}'
        page = self.page(query(limit=3, q=q))
        parts = urllib.parse.urlsplit(page['next'])
        self.assertEqual(parts.path, '/api/visitors')
        self.assertEqual(urllib.parse.parse_qs(parts.query, strict_parsing=True),
                         {'limit': ['3'], 'q': [q], 'before': [str(ids[2])]})
        self.assertTrue(page['next'].isascii())
        self.assertEqual([visitor['id'] for visitor in self.walk(query(limit=3, q=q))], ids)

    def test_next_is_null_when_a_page_ends_with_the_oldest(self):
        ids = self.insert(6)[::-1]
        for title, limit, pages in [('the last page is full', 3, [3, 3]), ('the last page is not full', 4, [4, 2]),
                                    ('one full page', 6, [6]), ('one page that is not full', 100, [6])]:
            with self.subTest(title):
                path, sizes = query(limit=limit, q=self.mark), []
                while path:
                    page = self.page(path)
                    sizes.append(len(page['visitors']))
                    path = page['next']
                self.assertEqual(sizes, pages)
        oldest = int(self.stack.sql('SELECT min(id) FROM visitors')[0][0])
        self.assertIsNone(self.page(query(limit=1, before=oldest + 1))['next'])
        self.assertEqual(self.page(query(limit=1, q=self.mark))['total'], len(ids))

    def test_a_page_of_nothing_is_a_page(self):
        page = self.page(query(q=f'nobody is called {self.mark}'))
        self.assertEqual(page, {'visitors': [], 'total': 0, 'next': None})

    def test_total_with_q_counts_every_match_and_not_only_the_page_s(self):
        ids = self.insert(45)
        for path in (query(limit=10, q=self.mark), query(limit=10, q=self.mark, before=ids[20])):
            with self.subTest(path):
                self.assertEqual(self.page(path)['total'], 45)

    def test_total_without_q_counts_all_whatever_before_says(self):
        ids = self.insert(3)
        self.assertEqual(self.page(query(before=ids[0]))['total'], self.table_count())

    # Searching.

    def found(self, q):
        return {visitor['id'] for visitor in self.page('/api/visitors?limit=100&q=' + q)['visitors']}

    def test_every_character_of_q_stands_for_itself(self):
        ids = {}
        for text in LITERAL:
            ids[text] = self.add(f'{self.mark}{text}.')['id']
        decoy = self.add(f'{self.mark}abcé0💡x \\')['id']
        for text in LITERAL:
            with self.subTest(text):
                found = self.found(urllib.parse.quote(f'{self.mark}{text}', safe=''))
                expected = {id_ for other, id_ in ids.items() if f'{other}.'.startswith(text)}
                self.assertEqual(found, expected)
                self.assertNotIn(decoy, found)

    def test_q_is_found_at_the_start_in_the_middle_and_at_the_end(self):
        id_ = self.add(f'x{self.mark}y')['id']
        for q in (f'x{self.mark}y', f'x{self.mark}', f'{self.mark}y', self.mark, self.mark[3:7]):
            with self.subTest(q):
                self.assertIn(id_, self.found(q))
        self.assertEqual(self.found(f'{self.mark}x'), set())

    def test_q_of_one_and_two_characters_finds_too(self):
        id_ = self.add(f'㐀{self.mark}')['id']
        self.assertIn(id_, self.found(urllib.parse.quote('㐀')))
        self.assertIn(id_, self.found(urllib.parse.quote('㐀' + self.mark[0])))

    def test_a_plus_is_a_space_and_percent_2b_a_plus(self):
        space, plus = self.add(f'{self.mark} b')['id'], self.add(f'{self.mark}+b')['id']
        self.assertEqual(self.found(f'{self.mark}+b'), {space})
        self.assertEqual(self.found(f'{self.mark}%20b'), {space})
        self.assertEqual(self.found(f'{self.mark}%2Bb'), {plus})
        self.assertEqual(self.found(f'{self.mark}%2bb'), {plus})

    def test_q_is_not_trimmed(self):
        inside, end = self.add(f'a {self.mark} b')['id'], self.add(f'a {self.mark}')['id']
        self.assertEqual(self.found(f'{self.mark}+'), {inside})
        self.assertEqual(self.found(self.mark), {inside, end})

    def test_letters_of_unicode_are_found_in_either_case(self):
        for title, name, q in CASE_PAIRS:
            with self.subTest(title):
                id_ = self.add(f'{self.mark}{name}')['id']
                self.assertIn(id_, self.found(urllib.parse.quote(f'{self.mark}{q}')))
                self.stack.as_admin('DELETE', f'/api/visitors/{id_}')

    def test_every_simple_case_pair_of_unicode_is_one_letter(self):
        # Forty pairs to a name: the search has the other half of each, and finds the name only if all forty match.
        pairs = simple_case_pairs()
        self.assertGreater(len(pairs), 2500)
        parts = [pairs[start:start + 40] for start in range(0, len(pairs), 40)]
        client = self.stack.client()
        self.addCleanup(client.close)
        for part in parts:
            name = ''.join(char for char, _ in part)
            q = ''.join(other for _, other in part)
            visitor = client.post('/api/visitors', {'name': name}).json()
            answer = client.get(query(limit=100, q=q))
            with self.subTest(f'U+{ord(part[0][0]):04X} to U+{ord(part[-1][0]):04X}'):
                if visitor not in answer.json()['visitors']:
                    missing = []
                    for char, other in part:  # name the letters at fault
                        single = client.post('/api/visitors', {'name': f'{self.mark}{char}'}).json()
                        one = client.get(query(limit=1, q=f'{self.mark}{other}')).json()
                        if single not in one['visitors']:
                            missing.append(f'{char}/{other} U+{ord(char):04X}/U+{ord(other):04X}')
                    self.fail(f'not one letter: {missing}')

    def test_accents_are_no_part_of_a_letter(self):
        for title, one, other in ACCENTS:
            for name, q in ((one, other), (other, one), (one, one)):
                with self.subTest(title, name=ascii(name), q=ascii(q)):
                    id_ = self.add(f'{self.mark}{name}')['id']
                    self.assertIn(id_, self.found(urllib.parse.quote(f'{self.mark}{q}')))
                    self.assertIn(id_, self.found(urllib.parse.quote(q)))
                    self.stack.as_admin('DELETE', f'/api/visitors/{id_}')
        for title, name, q in APART:
            with self.subTest(title):
                id_ = self.add(f'{self.mark}{name}')['id']
                self.assertNotIn(id_, self.found(urllib.parse.quote(f'{self.mark}{q}')))

    def test_total_and_next_are_by_what_is_found_without_accents(self):
        for name in ('José', 'jose', 'Jose\u0301'):
            self.add(f'{self.mark} {name}')
        for q in (f'{self.mark} jose', f'{self.mark} JOSÉ'):
            page = self.page(query(limit=2, q=q))
            self.assertEqual((len(page['visitors']), page['total']), (2, 3))
            rest = self.page(page['next'])
            self.assertEqual((len(rest['visitors']), rest['total'], rest['next']), (1, 3, None))
            self.assertIn(f'q={urllib.parse.quote(q)}', page['next'])

    def test_a_search_goes_by_its_index(self):
        plan = self.stack.sql("SET enable_seqscan = off; EXPLAIN SELECT id FROM visitors "
                              "WHERE fold_case(name) LIKE fold_case('%José%')")
        self.assertIn('visitors_name_search', str(plan))
        options = self.stack.sql("SELECT reloptions FROM pg_class WHERE relname = 'visitors_name_search'")
        self.assertEqual(options, [('{gin_pending_list_limit=64}',)])

    def test_a_nul_in_q_finds_nothing_and_breaks_nothing(self):
        answer = self.stack.get(f'/api/visitors?q={self.mark}%00')
        if answer.status != 200:
            self.assert_problem(answer, 400)
        else:
            self.assertEqual(answer.json()['visitors'], [])

    # Parameters.

    def test_a_parameter_that_is_not_what_it_must_be_gets_400(self):
        for title, text in PARAMETERS_400:
            for method in ('GET', 'HEAD'):
                with self.subTest(title, method=method):
                    answer = self.stack.request(method, f'/api/visitors?{text}')
                    if method == 'GET':
                        self.assert_problem(answer, 400, path='/api/visitors')
                    self.assertEqual(answer.status, 400)

    def test_a_parameter_within_its_bounds_gets_200(self):
        for title, text in PARAMETERS_200:
            with self.subTest(title):
                self.page(f'/api/visitors?{text}')

    def test_a_parameter_where_none_is_known_gets_400(self):
        id_ = self.add('without parameters')['id']
        before = self.table_count()
        for method, path in [('GET', '/api'), ('GET', f'/api/visitors/{id_}'), ('DELETE', f'/api/visitors/{id_}'),
                             ('POST', '/api/visitors'), ('GET', '/api/visitors.csv'), ('GET', '/api/stats')]:
            for text in ('x=1', 'limit=1'):
                with self.subTest(f'{method} {path}?{text}'):
                    self.assert_problem(self.stack.as_admin(method, f'{path}?{text}'), 400, path=path)
        self.assertEqual(self.table_count(), before)

    # One visitor.

    def test_a_visitor_who_is_not_there_gets_404(self):
        gone = self.add('gone')['id']
        self.stack.sql(f'DELETE FROM visitors WHERE id = {gone}')
        for title, id_ in [('deleted', gone), ('not yet there', gone + 1000000), ('zero', 0), ('far beyond', 10 ** 40),
                           ('the greatest', 2 ** 63 - 1), ('one more than the greatest', 2 ** 63)]:
            with self.subTest(title):
                self.assert_problem(self.stack.get(f'/api/visitors/{id_}'), 404, path=f'/api/visitors/{id_}')


class SlowSearchTest(VisitorTest):
    """A table of a million rows, made of few: each row of this test's takes a hundredth of a second to compare."""

    CALM = True  # it measures how long a search may take
    ROWS = 300

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mark = f'slow {os.urandom(4).hex()}'
        cls.stack.sql(f"INSERT INTO visitors (name) SELECT '㐁{cls.mark} ' || n "
                      f"FROM generate_series(1, {cls.ROWS}) AS n; ANALYZE visitors")
        definition = cls.stack.sql("SELECT pg_get_functiondef('fold_case'::regproc)")[0][0]
        cls.addClassCleanup(cls.stack.sql, f"DELETE FROM visitors WHERE name LIKE '%{cls.mark}%'")
        cls.addClassCleanup(cls.stack.sql, definition)
        cls.stack.sql(f"""
            CREATE OR REPLACE FUNCTION fold_case(value text) RETURNS text
                LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
            BEGIN
                IF value LIKE '%{cls.mark} %' THEN PERFORM pg_sleep(0.01); END IF;
                RETURN lower(upper(value));
            END $$""")

    def test_total_is_null_where_counting_takes_too_long(self):
        for q in ('㐁', '㐁s'):
            with self.subTest(q):
                answer = self.stack.get(query(limit=5, q=q))
                page = self.assert_json(answer)
                self.assertIsNone(page['total'])
                self.assertEqual(len(page['visitors']), 5)
                self.assertIsNotNone(page['next'])
                self.assertRegex(answer.headers['ETag'], STRONG_ETAG)

    def test_a_search_that_takes_a_second_is_given_up(self):
        """With fewer characters than the index has in a group trying again cannot help."""
        for q, status, problem in [('㐂', 422, SEARCH_TOO_BROAD), ('㐂㐂', 422, SEARCH_TOO_BROAD),
                                   ('㐁 no', 503, DATABASE_AWAY), (f'{self.mark} x', 503, DATABASE_AWAY)]:
            with self.subTest(q):
                start = time.monotonic()
                answer = self.stack.get(query(limit=5, q=q))
                took_s = time.monotonic() - start
                if took_s > 0.5 or answer.status != 200:  # an index may know at once that there is nothing
                    self.assert_problem(answer, status, problem, '/api/visitors')
                    self.assertLess(took_s, 2.5)

    def test_slow_searches_hold_up_nothing_else(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            searches = [pool.submit(self.stack.get, query(limit=5, q='㐂')) for _ in range(4)]
            client = self.stack.client()
            self.addCleanup(client.close)
            while not all(search.done() for search in searches):
                start = time.monotonic()
                self.assertEqual(client.get('/api/visitors').status, 200)
                self.assertEqual(client.post('/api/visitors', {'name': 'beside a search'}).status, 201)
                self.assertLess(time.monotonic() - start, 0.7)


class EtagTest(VisitorTest):
    QUICK = True

    def setUp(self):
        self.mark = os.urandom(5).hex()
        for n in range(3):
            self.add(f'{self.mark} {n}')
        self.paths = ['/api/visitors', f'/api/visitors?q={self.mark}', '/api/visitors?limit=1', '/api/stats',
                      '/api/stats?days=1']

    def test_a_page_that_is_known_gets_304(self):
        for path in self.paths:
            etag = self.stack.get(path).headers['ETag']
            self.assertRegex(etag, STRONG_ETAG)
            for title, value in [
                    ('itself', etag),
                    ('as a weak one', f'W/{etag}'),
                    ('anything', '*'),
                    ('last of a list', f'"x", {etag}'),
                    ('first of a list', f'{etag}, "x"'),
                    ('in a list without spaces', f'"x",{etag},"y"'),
                    ('weak in a list of weak ones', f'W/"x", W/{etag}, W/"y"'),
                    ('after empty members', f', ,{etag}'),
                    ('before empty members', f'{etag} , ,'),
                    ('after one with a comma', f'"x,y", {etag}'),
                    ('after one that ends with a backslash', f'"x\\", {etag}'),
                    ('with white space', f' \t{etag}\t '),
                    ('after an empty one', f'"", {etag}'),
                    ('after one with bytes beyond ASCII', f'"\xe9", {etag}'),
                    ('last of many', ', '.join(f'"{n}"' for n in range(100)) + f', {etag}')]:
                for method in ('GET', 'HEAD'):
                    with self.subTest(path, title=title, method=method):
                        answer = self.stack.request(method, path, {'If-None-Match': value})
                        self.assertEqual((answer.status, answer.body), (304, b''))
                        self.assertEqual(answer.headers['ETag'], etag)
                        self.assertEqual(answer.headers['Cache-Control'], 'no-cache')
                        self.assert_every_answer(answer)

    def test_any_other_etag_gets_the_page(self):
        for path in self.paths:
            etag = self.stack.get(path).headers['ETag']
            inner = etag.strip('"')
            for title, value in [
                    ('another', '"x"'),
                    ('a list of others', '"x", W/"y"'),
                    ('a part of it', f'"{inner[:-1]}"'),
                    ('more than it', f'"{inner}x"'),
                    ('without quotes', inner),
                    ('in single quotes', f"'{inner}'"),
                    ('with a quote only before', f'"{inner}'),
                    ('with a quote only after', f'{inner}"'),
                    ('empty', '""'),
                    ('a W alone', 'W/'),
                    ('commas alone', ',,,'),
                    ('garbage', '\\"\t;=\xff'),
                    ('an asterisk in quotes', '"*"')]:
                with self.subTest(path, title=title):
                    answer = self.stack.get(path, {'If-None-Match': value})
                    self.assertEqual(answer.status, 200)
                    self.assertEqual(answer.headers['ETag'], etag)

    def test_an_etag_changes_with_the_page_and_only_with_it(self):
        q = f'/api/visitors?q={self.mark}'
        known = {path: self.stack.get(path).headers['ETag'] for path in self.paths}
        self.assertEqual({path: self.stack.get(path).headers['ETag'] for path in self.paths}, known)
        id_ = self.add('somebody else')['id']
        for path in self.paths:
            with self.subTest(path):
                answer = self.stack.get(path, {'If-None-Match': known[path]})
                self.assertEqual(answer.status, 304 if path == q else 200)
                if path != q:
                    self.assertNotEqual(answer.headers['ETag'], known[path])
        self.stack.as_admin('DELETE', f'/api/visitors/{id_}')
        for path in self.paths:
            with self.subTest(path, again=True):
                answer = self.stack.get(path)
                self.assertTrue(answer.status == 200 and answer.headers['ETag'])
        self.add(f'{self.mark} is there')
        self.assertEqual(self.stack.get(q, {'If-None-Match': known[q]}).status, 200)

    def test_a_rename_by_sql_changes_the_etag(self):
        id_ = self.add('old name')['id']
        etag = self.stack.get('/api/visitors?limit=1').headers['ETag']
        self.stack.sql(f"UPDATE visitors SET name = 'new name' WHERE id = {id_}")
        answer = self.stack.get('/api/visitors?limit=1', {'If-None-Match': etag})
        self.assertEqual(answer.json()['visitors'][0]['name'], 'new name')

    def test_a_compressed_page_carries_its_etag_as_a_weak_one(self):
        self.stack.sql(f"INSERT INTO visitors (name) SELECT '{self.mark} ' || n FROM generate_series(1, 100) AS n")
        path = '/api/visitors?limit=100'
        plain = self.stack.get(path)
        packed = self.stack.get(path, {'Accept-Encoding': 'gzip'})
        self.assertIsNone(plain.headers['Content-Encoding'])
        if packed.headers['Content-Encoding'] == 'gzip':
            self.assertEqual(gzip.decompress(packed.body), plain.body)
            self.assertEqual(packed.headers['ETag'], f'W/{plain.headers["ETag"]}')
            self.assertIn('Accept-Encoding', packed.headers['Vary'] or '')
        else:
            self.assertEqual(packed.body, plain.body)
            self.assertEqual(packed.headers['ETag'], plain.headers['ETag'])
        for etag in (plain.headers['ETag'], packed.headers['ETag']):
            for encoding in ('identity', 'gzip'):
                headers = {'If-None-Match': etag, 'Accept-Encoding': encoding}
                self.assertEqual(self.stack.get(path, headers).status, 304)

    def test_a_condition_changes_no_error(self):
        for path, status in [('/api/visitors?limit=0', 400), ('/api/none', 404), ('/api/visitors/0', 404)]:
            with self.subTest(path):
                self.assert_problem(self.stack.get(path, {'If-None-Match': '*'}), status)

    def test_a_page_is_json_in_utf_8_without_needless_escapes(self):
        self.add('é😀')
        body = self.stack.get('/api/visitors?limit=1').body
        self.assertIn('é😀'.encode(), body)
        json.loads(body)


if __name__ == '__main__':
    unittest.main()
