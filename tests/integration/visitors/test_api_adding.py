"""POST /api/visitors: names, what they may consist of, and that they are kept as sent."""
import json
import unicodedata
import unittest

from visitor_contract import NAME_CHARACTERS, NAME_LENGTH, VisitorTest

# Unicode's property White_Space, all of it.
WHITE_SPACE = '\t\n\v\f\r \x85\xa0\u1680' + ''.join(map(chr, range(0x2000, 0x200b))) + '\u2028\u2029\u202f\u205f\u3000'

NAMES = [  # sentence, name: kept exactly
    ('one letter', 'a'),
    ('Latin with accents', 'José Ñúñez Łukasz'),
    ('Greek', 'Ελένη Παπαδοπούλου'),
    ('Cyrillic', 'Екатерина Ивановна'),
    ('Arabic', 'محمد بن سلمان'),
    ('Hebrew with points', 'דָּוִד'),
    ('Devanagari', 'क्षत्रिय'),
    ('Thai', 'สมชาย ใจดี'),
    ('Tamil', 'தமிழ்ச்செல்வன்'),
    ('Han', '王小明'),
    ('Hangul', '김민수'),
    ('Japanese', 'さくら サクラ 桜'),
    ('Ethiopic', 'ኃይለ ሥላሴ'),
    ('Cherokee', 'ᏣᎳᎩ'),
    ('Gothic, beyond the first plane', '𐌰𐌱𐌲'),
    ('Han beyond the first plane', '𠮷野家'),
    ('one emoji', '👋'),
    ('a family joined by zero-width joiners', '👩‍👩‍👧‍👦'),
    ('a flag and a skin tone', '🇧🇷 👍🏽'),
    ('an emoji with a variation selector', '❤️'),
    ('composed é stays composed', '\u00e9'),
    ('decomposed é stays decomposed', 'e\u0301'),
    ('a letter with twenty accents', 'z' + '\u0308' * 20),
    ('quotes and backslashes', '"\'\\`"'),
    ('markup', '<script>alert(1)</script>&amp;'),
    ('SQL', "'); DROP TABLE visitors; --"),
    ('format strings', '%s %n {} {0} ${x} %00'),
    ('a comma, semicolon and tab-like words', 'a,b;c\\t\\n'),
    ('a formula', '=1+1'),
    ('digits', '0'),
    ('what looks like null', 'null'),
    ('what looks like a name given by the service', 'Visitor_1'),
    ('two spaces inside', 'a  b'),
    ('no-break and ideographic space inside', 'a\u00a0b\u3000c'),
    ('narrow no-break space inside, beside the bidirectional overrides', 'a\u202fb'),
    ('zero-width space at the ends is not White_Space', '\u200ba\u200b'),
    ('Mongolian vowel separator is not White_Space any more', '\u180ea\u180e'),
    ('byte order mark is not White_Space', '\ufeffa\ufeff'),
    ('word joiner', 'a\u2060b'),
    ('left-to-right and right-to-left marks are no overrides', 'a\u200e\u200fb'),
    ('Arabic letter mark', 'a\u061cb'),
    ('soft hyphen', 'a\u00adb'),
    ('the space is the first that is no control', 'a\u0020b'),
    ('tilde is the last before DEL', 'a\u007eb'),
    ('U+00A0 is the first after the C1 controls', 'a\u00a0b'),
    ('U+2027 stands before the separators', 'a\u2027b'),
    ('U+2065 stands before the isolates', 'a\u2065b'),
    ('U+206A stands after the isolates', 'a\u206ab'),
    ('U+D7FF stands before the surrogates', '\ud7ff'),
    ('U+E000 stands after the surrogates', '\ue000'),
    ('U+FDCF and U+FDF0 stand round the noncharacters', '\ufdcf\ufdf0'),
    ('U+FFFD stands before the noncharacters', '\ufffd'),
    ('U+FFF9 to U+FFFC', '\ufff9\ufffa\ufffb\ufffc'),
    ('U+10000 is the first beyond the first plane', '\U00010000'),
    ('U+1FFFD and U+20000 stand round the noncharacters', '\U0001fffd\U00020000'),
    ('U+10FFFD is the last of all', '\U0010fffd'),
    ('a tag character behind a letter', 'x\U000e0041'),
    ('a letter among what does not show', '\u2800 \u200b\u3164a\ufeff'),
    ('fifty letters', 'x' * 50),
    ('fifty code points of four bytes', '😀' * 50),
    ('fifty combining accents', '\u0301' * 50),
]

FORBIDDEN = {  # class: code points at its boundaries and within
    'C0 control': [0x00, 0x01, 0x08, 0x09, 0x0a, 0x0d, 0x1b, 0x1f],
    'DEL': [0x7f],
    'C1 control': [0x80, 0x85, 0x90, 0x9f],
    'line separator': [0x2028],
    'paragraph separator': [0x2029],
    'bidirectional override': [0x202a, 0x202b, 0x202c, 0x202d, 0x202e],
    'bidirectional isolate': [0x2066, 0x2067, 0x2068, 0x2069],
    'noncharacter': [0xfdd0, 0xfdd8, 0xfdef] + [plane << 16 | end for plane in range(17) for end in (0xfffe, 0xffff)],
    'lone surrogate': [0xd800, 0xdbff, 0xdc00, 0xdfff],
}


class NamesTest(VisitorTest):
    QUICK = True

    def post_name(self, name, ascii=False):
        """`ascii`: every other character as \\u escapes, which can also write what UTF-8 cannot."""
        body = json.dumps({'name': name}, ensure_ascii=ascii)
        return self.stack.post('/api/visitors', body, {'Content-Type': 'application/json'})

    def test_a_name_is_kept_exactly_as_sent(self):
        visitors = []
        for title, name in NAMES:
            for ascii in (False, True):
                with self.subTest(title, escaped=ascii):
                    visitor = self.assert_added(self.post_name(name, ascii), name)
                    visitors.append(visitor)
                    self.assertEqual(self.stack.get(f'/api/visitors/{visitor["id"]}').json(), visitor)
        self.assert_stored(visitors)
        listed = {visitor['id']: visitor for visitor in self.stack.get('/api/visitors?limit=100').json()['visitors']}
        for visitor in visitors[-100:]:
            self.assertEqual(listed[visitor['id']], visitor)

    def test_surrounding_white_space_is_trimmed(self):
        visitors = []
        for space in WHITE_SPACE:
            for around in (f'{space}a b', f'a b{space}', f'{space} {space}a b{space}\u3000{space}'):
                with self.subTest(f'U+{ord(space):04X}', name=ascii(around)):
                    visitors.append(self.assert_added(self.post_name(around, ascii=True), 'a b'))
        self.assert_stored(visitors)

    def test_only_white_space_is_trimmed(self):
        kept = [char for char in map(chr, list(range(0x20, 0x3100)) + [0xfeff])
                if unicodedata.category(char) in ('Zs', 'Cf', 'Mn') and char not in WHITE_SPACE]
        forbidden = {code for codes in FORBIDDEN.values() for code in codes}
        kept = [char for char in kept if ord(char) not in forbidden]
        names = [''.join(kept[start:start + 50]) for start in range(0, len(kept), 50)]
        self.assertGreater(len(names), 5)
        for name in names:
            with self.subTest(ascii(name)):
                self.assert_added(self.post_name(name), name)

    def test_a_name_has_1_to_50_code_points_after_trimming(self):
        before = self.table_count()
        for title, name in [('empty', ''), ('a space', ' '), ('white space of every kind', WHITE_SPACE),
                            ('51 letters', 'x' * 51), ('51 code points of four bytes', '😀' * 51),
                            ('51 code points that look like one', 'e' + '\u0301' * 50),
                            ('51 code points with spaces around', f'  {"x" * 51}  '), ('a thousand', 'é' * 1000)]:
            with self.subTest(title):
                self.assert_problem(self.post_name(name), 422, NAME_LENGTH, '/api/visitors')
        self.assertEqual(self.table_count(), before)

    def test_by_hand_too_a_name_has_1_to_50_code_points(self):
        insert = "BEGIN; INSERT INTO visitors (name) VALUES ('{}'); ROLLBACK"
        for name in ('x', '😀' * 50):
            self.stack.sql(insert.format(name))
        for name in ('', 'x' * 51):
            with self.subTest(name), self.assertRaisesRegex(RuntimeError, 'visitors_name_length'):
                self.stack.sql(insert.format(name))

    def test_white_space_that_is_trimmed_does_not_count(self):
        for title, name in [('spaces', f'{" " * 300}{"x" * 50}{" " * 300}'),
                            ('ideographic spaces', f'{chr(0x3000) * 300}{"😀" * 50}{chr(0x3000) * 300}')]:
            with self.subTest(title):
                self.assert_added(self.post_name(name), name.strip())

    def test_forbidden_characters_are_refused_wherever_they_stand(self):
        before = self.table_count()
        for kind, codes in FORBIDDEN.items():
            for code in codes:
                char = chr(code)
                places = [f'a{char}b'] if char in WHITE_SPACE else [f'a{char}b', f'{char}a', f'a{char}', char]
                for name in places:
                    with self.subTest(kind, name=ascii(name)):
                        self.assert_problem(self.post_name(name, ascii=True), 422, NAME_CHARACTERS, '/api/visitors')
        self.assertEqual(self.table_count(), before)

    def test_forbidden_characters_are_refused_as_raw_bytes_too(self):
        for kind, codes in FORBIDDEN.items():
            # JSON itself forbids raw C0 controls, UTF-8 itself the surrogates: those are a 400 (see test_api_json).
            for code in codes if kind not in ('C0 control', 'lone surrogate') else ():
                with self.subTest(kind, code=f'U+{code:04X}'):
                    self.assert_problem(self.post_name(f'a{chr(code)}b'), 422, NAME_CHARACTERS)

    def test_a_name_must_have_a_character_that_shows(self):
        before = self.table_count()
        for title, name in [('zero-width space', '\u200b'), ('Hangul filler', '\u3164'), ('word joiner', '\u2060'),
                            ('byte order mark', '\ufeff'), ('soft hyphen', '\u00ad'), ('grapheme joiner', '\u034f'),
                            ('variation selector', '\ufe0f'), ('Braille blank', '\u2800'), ('letter mark', '\u061c'),
                            ('tag', '\U000e0041'), ('unassigned, but ignorable', '\U000e0fff'),
                            ('Mongolian vowel separator', '\u180e'), ('musical begin beam', '\U0001d173'),
                            ('shorthand overlap', '\U0001bca0'), ('halfwidth filler', '\uffa0'),
                            ('several, and white space between', '\u200b \u3000\u200d'),
                            ('Braille blanks and spaces', ' \u2800 \u2800 '), ('fifty', '\u2060' * 50)]:
            for escaped in (False, True):
                with self.subTest(title, escaped=escaped):
                    answer = self.post_name(name, ascii=escaped)
                    problem = self.assert_problem(answer, 422, NAME_CHARACTERS, '/api/visitors')
                    self.assertEqual(problem['detail'], 'name must have a character that shows')
        self.assertEqual(self.table_count(), before)

    def test_every_control_character_is_refused(self):
        controls = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == 'Cc']
        self.assertEqual(len(controls), 65)
        with self.stack.client() as client:
            for char in controls:
                with self.subTest(f'U+{ord(char):04X}'):
                    self.assert_problem(client.post('/api/visitors', {'name': f'a{char}b'}), 422, NAME_CHARACTERS)

    def test_a_surrogate_pair_in_escapes_is_one_code_point(self):
        body = b'{"name":"' + b'\\ud83d\\ude00' * 50 + b'"}'
        self.assert_added(self.stack.post('/api/visitors', body, {'Content-Type': 'application/json'}), '😀' * 50)

    def test_a_pair_in_the_wrong_order_is_two_lone_surrogates(self):
        for body in (b'{"name":"\\ude00\\ud83d"}', b'{"name":"a\\ud83d\\ud83d\\ude00"}', b'{"name":"\\ud83dx"}'):
            with self.subTest(body):
                answer = self.stack.post('/api/visitors', body, {'Content-Type': 'application/json'})
                self.assert_problem(answer, 422, NAME_CHARACTERS)


class UnnamedTest(VisitorTest):
    QUICK = True

    def test_whoever_gives_no_name_is_called_by_the_id(self):
        json_type = {'Content-Type': 'application/json'}
        visitors = []
        for title, headers, body in [
                ('no body at all', None, None),
                ('no body, but its media type', json_type, None),
                ('an empty body', json_type, b''),
                ('an empty body without a media type', None, b''),
                ('an empty body with another media type', {'Content-Type': 'text/plain'}, b''),
                ('an empty object', json_type, b'{}'),
                ('an empty object in white space', json_type, b' \t\r\n{ } \n'),
                ('a name of null', json_type, b'{"name":null}'),
                ('a name of null, escaped', json_type, b'{ "n\\u0061me" : null }')]:
            with self.subTest(title):
                visitors.append(self.assert_added(self.stack.post('/api/visitors', body, headers)))
        self.assert_stored(visitors)

    def test_a_chunked_body_without_chunks_is_no_body(self):
        raw = self.stack.raw(b'POST /api/visitors HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                             b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
        self.assertEqual(raw.split(b' ')[1], b'201')


class AddedTest(VisitorTest):
    QUICK = True

    def test_an_addition_adds_one_row_and_no_more(self):
        before = self.table_count()
        visitor = self.add('just one')
        self.assertEqual(self.table_count(), before + 1)
        self.assert_stored([visitor])

    def test_ids_grow_and_times_are_now(self):
        first, second = self.add('first'), self.add('second')
        self.assertGreater(second['id'], first['id'])
        self.assertGreaterEqual(second['created_at'], first['created_at'])
        age = self.stack.sql(f"SELECT clock_timestamp() - '{second['created_at']}' "
                             f"BETWEEN interval '0' AND interval '5 s'")
        self.assertEqual(age, [('t',)])

    def test_an_id_that_somebody_took_by_hand_is_no_fault_of_the_name(self):
        before = self.add('before')
        taken, = self.stack.sql("INSERT INTO visitors (id, name) SELECT last_value + 1, 'by hand' FROM visitors_id_seq "
                                'RETURNING id')[0]
        self.addCleanup(self.stack.sql, f'DELETE FROM visitors WHERE id = {taken}')
        self.assertEqual(int(taken), before['id'] + 1)
        after = self.add('the next')
        self.assertGreater(after['id'], int(taken))
        self.assert_stored([after])

    def test_the_same_name_without_a_key_is_added_again(self):
        self.assertNotEqual(self.add('twin')['id'], self.add('twin')['id'])

    def test_the_location_leads_to_the_visitor(self):
        answer = self.stack.post('/api/visitors', {'name': 'located'})
        self.assertEqual(self.stack.get(answer.headers['Location']).json(), answer.json())


if __name__ == '__main__':
    unittest.main()
