"""The body of an addition: media types, what is JSON and what is not (400 against 422), how large a body is.
The corpus is this file's own, by RFC 8259's grammar rule by rule. `name` in it stands for the member that the service has."""
import json
import unittest

from contract import BLANK, ContractTest
from stack import sample

JSON = {'Content-Type': 'application/json'}

# The member's name, of which each character is escaped.
ESCAPED = ''.join(f'\\u{ord(character):04x}' for character in sample.TEXT).encode()

ADDED = [  # sentence, body, name
    ('a name', b'{"name":"Ada"}', 'Ada'),
    ('white space wherever it may stand', b' \t\n\r{ \t\n\r"name" \t\n\r: \t\n\r"Ada" \t\n\r} \t\n\r', 'Ada'),
    ('every short escape that is no control', b'{"name":"a\\"b\\\\c\\/d"}', 'a"b\\c/d'),
    ('hexadecimal digits in both cases', b'{"name":"\\u00E9\\u00e9"}', 'éé'),
    ('an escaped member name', b'{"' + ESCAPED + b'":"Ada"}', 'Ada'),
    ('brackets in a string do not nest', b'{"name":"[[[[[[[[[[[[[[[[[[[[{{{{{{{{{{{{"}', '[' * 20 + '{' * 12),
    ('the JSON of another name in a string', b'{"name":"{\\"name\\":1}"}', '{"name":1}'),
]

NO_ITEM = [  # JSON, but not what can be added: 422
    ('null', b'null'),
    ('true', b'true'),
    ('false', b'false'),
    ('a number', b'1'),
    ('a negative number', b'-0.5e+10'),
    ('a string', b'"Ada"'),
    ('an array', b'[]'),
    ('an array with a good one', b'[{"name":"Ada"}]'),
    ('a name of true', b'{"name":true}'),
    ('a name of false', b'{"name":false}'),
    ('a name of 0', b'{"name":0}'),
    ('a name of -0', b'{"name":-0}'),
    ('a name of 1.5E-3', b'{"name":1.5E-3}'),
    ('a name of []', b'{"name":[]}'),
    ('a name of ["Ada"]', b'{"name":["Ada"]}'),
    ('a name of {}', b'{"name":{}}'),
    ('a name of {"name":"Ada"}', b'{"name":{"name":"Ada"}}'),
    ('a name that comes twice', b'{"name":"a","name":"a"}'),
    ('a name that comes twice, once as null', b'{"name":null,"name":"a"}'),
    ('a name that comes twice, once escaped', b'{"name":"a","' + ESCAPED + b'":"b"}'),
    ('a name that comes twice, a wrong type first', b'{"name":1,"name":"a"}'),
    ('a name that comes three times', b'{"name":"a","name":"a","name":"a"}'),
]

UNKNOWN = [  # an unknown member: 422, and the detail says which
    ('beside a name', b'{"name":"Ada","age":36}', 'age'),
    ('before a name', b'{"age":36,"name":"Ada"}', 'age'),
    ('instead of a name', b'{"nmae":"Ada"}', 'nmae'),
    ('in other case', b'{"%s":"Ada"}' % sample.TEXT.capitalize().encode(), sample.TEXT.capitalize()),
    ('the id', b'{"id":1}', 'id'),
    ('the time', b'{"created_at":"2026-11-24T03:33:00.123456Z"}', 'created_at'),
    ('with null', b'{"x-y":null}', 'x-y'),
    ('with an object', b'{"deep":{"name":"Ada"}}', 'deep'),
    ('with an array', b'{"deep":[[["name"]]]}', 'deep'),
    ('in another script', '{"имя":"Ada"}'.encode(), 'имя'),
    ('with a space after', b'{"name ":"Ada"}', f'{sample.TEXT} '),
    ('as markup', b'{"<b>":1}', '<b>'),
    ('with quotes', b'{"a\\"b":1}', 'a"b'),
]
UNKNOWN_ODD = [  # an unknown member whose name cannot well be shown: 422 all the same
    ('of no characters', b'{"":1}'),
    ('of a NUL', b'{"\\u0000":1}'),
    ('which goes on after a NUL', b'{"name\\u0000x":"a"}'),
    ('of control characters', b'{"\\u001b[31m\\r\\n":1}'),
    ('of three thousand bytes', b'{"' + b'x' * 3000 + b'":1}'),
    ('of a thousand emoji', ('{"' + '😀' * 1000 + '":1}').encode()),
    ('of an override', '{"\u202e":1}'.encode()),
    ('of a noncharacter', '{"\uffff":1}'.encode()),
]

NO_JSON = [  # 400
    ('a space alone', b' '),
    ('a byte', b'x'),
    ('a word', b'name'),
    ('a form', b'name=Ada'),
    ('XML', b'<name>Ada</name>'),
    ('an object that is not closed', b'{"name":"Ada"'),
    ('an object that is only opened', b'{'),
    ('an array that is not closed', b'["Ada"'),
    ('a string that is not closed', b'{"name":"Ada}'),
    ('a member without a value', b'{"name":}'),
    ('a member without a colon', b'{"name" "Ada"}'),
    ('a member without a name', b'{:"Ada"}'),
    ('a member alone', b'{"name"}'),
    ('a colon too many', b'{"name"::"Ada"}'),
    ('a comma at the end', b'{"name":"Ada",}'),
    ('a comma at the start', b'{,"name":"Ada"}'),
    ('a comma alone', b'{,}'),
    ('two commas', b'{"name":"Ada",,"x":1}'),
    ('a comma at the end of an array', b'[1,]'),
    ('a comma in an array', b'[,1]'),
    ('two values without a comma', b'[1 2]'),
    ('brackets crossed', b'{"name":[}]'),
    ('a bracket too many', b'[]]'),
    ('a brace too many', b'{"name":"Ada"}}'),
    ('a second value', b'{"name":"Ada"}{"name":"Bob"}'),
    ('a second value after white space', b'{} {}'),
    ('a letter after the end', b'{"name":"Ada"}x'),
    ('a comma after the end', b'{"name":"Ada"},'),
    ('a comment', b'{"name":"Ada"/* */}'),
    ('a comment after the end', b'{"name":"Ada"}//x'),
    ('a comment with a hash', b'{"name":"Ada"}#x'),
    ('single quotes', b"{'name':'Ada'}"),
    ('a name without quotes', b'{name:"Ada"}'),
    ('typographic quotes', '{“name”:1}'.encode()),
    ('True', b'{"name":True}'),
    ('NULL', b'NULL'),
    ('nul', b'nul'),
    ('nulll', b'nulll'),
    ('undefined', b'{"name":undefined}'),
    ('NaN', b'{"name":NaN}'),
    ('Infinity', b'{"name":Infinity}'),
    ('-Infinity', b'{"name":-Infinity}'),
    ('-NaN', b'{"name":-NaN}'),
    ('a number with a plus', b'{"name":+1}'),
    ('a number with a leading zero', b'{"name":01}'),
    ('a negative number with a leading zero', b'{"name":-01}'),
    ('a minus alone', b'{"name":-}'),
    ('a point alone', b'{"name":.}'),
    ('a number that begins with a point', b'{"name":.5}'),
    ('a number that ends with a point', b'{"name":1.}'),
    ('a point before the exponent', b'{"name":1.e3}'),
    ('an exponent without digits', b'{"name":1e}'),
    ('an exponent of a sign', b'{"name":1e+}'),
    ('two points', b'{"name":1.2.3}'),
    ('hexadecimal', b'{"name":0x1F}'),
    ('an underscore in a number', b'{"name":1_000}'),
    ('a space in a number', b'{"name":1 000}'),
    ('digits of another script', '{"name":١}'.encode()),
    ('an escape that is none', b'{"name":"\\x41"}'),
    ('an escape of zero', b'{"name":"\\0"}'),
    ('an escape of a quote', b'{"name":"\\\'"}'),
    ('\\u without digits', b'{"name":"\\u"}'),
    ('\\u with three digits', b'{"name":"\\u00e"}'),
    ('\\u with a letter that is no digit', b'{"name":"\\u00eg"}'),
    ('\\U', b'{"name":"\\U0000e9"}'),
    ('\\u with braces', b'{"name":"\\u{e9}"}'),
    ('a backslash at the end', b'{"name":"a\\'),
    ('an escaped quote at the end', b'{"name":"a\\"}'),
    ('a raw line feed in a string', b'{"name":"a\nb"}'),
    ('a raw tab in a string', b'{"name":"a\tb"}'),
    ('a raw tab in a member name', b'{"na\tme":"a"}'),
    ('a raw U+001F in a string', b'{"name":"a\x1fb"}'),
    ('a raw escape character', b'{"name":"\x1b[31m"}'),
    ('a form feed as white space', b'{"name":\f"Ada"}'),
    ('a vertical tab as white space', b'{\v"name":"Ada"}'),
    ('a no-break space as white space', '{\u00a0"name":"Ada"}'.encode()),
    ('an escape outside a string', b'{\\"name":"a"}'),
    ('a line separator as white space', '{"name":"Ada"}\u2028'.encode()),
    # NUL bytes end nothing.
    ('a NUL alone', b'\0'),
    ('a NUL before', b'\0{"name":"Ada"}'),
    ('a NUL after', b'{"name":"Ada"}\0'),
    ('a NUL and more after', b'{"name":"Ada"}\0garbage'),
    ('a NUL and a second value after', b'{"name":"Ada"}\0{"name":"B"}'),
    ('a NUL in a string', b'{"name":"A\0da"}'),
    ('a NUL in a member name', b'{"name\0":"Ada"}'),
    ('a NUL between', b'{\0"name":"Ada"}'),
    # UTF-8, in a name, in a member name, and outside of strings.
    ('a byte that begins nothing', b'{"name":"\xff"}'),
    ('0xFE', b'{"name":"\xfe"}'),
    ('a stray continuation', b'{"name":"\x80"}'),
    ('a letter in Latin-1', b'{"name":"Jos\xe9"}'),
    ('a sequence cut by the quote', b'{"name":"\xe2\x82"}'),
    ('a sequence of four cut', b'{"name":"\xf0\x9f\x98"}'),
    ('a sequence cut by the end', b'{"name":"\xc3'),
    ('overlong NUL', b'{"name":"\xc0\x80"}'),
    ('overlong slash of two', b'{"name":"\xc0\xaf"}'),
    ('overlong slash of three', b'{"name":"\xe0\x80\xaf"}'),
    ('overlong slash of four', b'{"name":"\xf0\x80\x80\xaf"}'),
    ('overlong U+FFFF', b'{"name":"\xf0\x8f\xbf\xbf"}'),
    ('a high surrogate', b'{"name":"\xed\xa0\x80"}'),
    ('a low surrogate', b'{"name":"\xed\xbf\xbf"}'),
    ('a pair of surrogates', b'{"name":"\xed\xa0\xbd\xed\xb8\x80"}'),
    ('U+110000', b'{"name":"\xf4\x90\x80\x80"}'),
    ('U+13FFFF', b'{"name":"\xf4\xbf\xbf\xbf"}'),
    ('a sequence of five', b'{"name":"\xf8\x88\x80\x80\x80"}'),
    ('a sequence of six', b'{"name":"\xfc\x84\x80\x80\x80\x80"}'),
    ('in a member name', b'{"\xff":1}'),
    ('in an unknown member', b'{"x":"\xff"}'),
    ('outside of strings', b'{}\xff'),
    ('in a string that is all', b'"\xff"'),
    ('UTF-16', '{"name":"Ada"}'.encode('utf-16')),
    ('UTF-16 without a mark', '{"name":"Ada"}'.encode('utf-16-be')),
    ('UTF-32', '{"name":"Ada"}'.encode('utf-32-le')),
    # What is wrong as JSON is a 400, whatever else is wrong with it.
    ('an unknown member, then no JSON', b'{"x":1,"y":}'),
    ('a repeated member, then no JSON', b'{"name":"a","name":"b"'),
    ('a wrong type, then no JSON', b'{"name":1]'),
    ('a bad name, then no JSON', b'{"name":""}x'),
    ('an array, then no JSON', b'["Ada",]'),
    ('an unknown member, then invalid UTF-8', b'{"x":1,"y":"\xff"}'),
]

EITHER = [  # RFC 8259 leaves these to an implementation: 400 or 422, and nothing is added
    ('1e400', b'{"name":1e400}'),
    ('-1e400', b'{"name":-1e400}'),
    ('1e-400', b'{"name":1e-400}'),
    ('a huge exponent', b'{"name":1e99999999999999999999}'),
    ('a tiny exponent', b'{"name":1e-99999999999999999999}'),
    ('20 digits', b'{"name":18446744073709551616}'),
    ('a thousand digits', b'{"name":' + b'9' * 1000 + b'}'),
    ('a thousand decimals', b'{"name":0.' + b'1' * 1000 + b'}'),
    ('four thousand digits', b'1' * 4000),
    ('a number that crashed RapidJSON', b'{"name":128.74836467836484838364836483643636483648e-336}'),
    ('a lone surrogate in a member name', b'{"\\ud800":1}'),
    ('a lone low surrogate in a member name', b'{"\\udc00":1}'),
    ('a lone surrogate in an unknown member', b'{"x":"\\udfff"}'),
    ('a lone surrogate in an array', b'["\\ud800"]'),
]


def nested(depth, opening, closing, middle=b''):
    return opening * depth + middle + closing * depth


AS_DEEP_AS_MAY_BE = [  # 16 levels: JSON, but not what can be added
    ('arrays', nested(16, b'[', b']')),
    ('arrays of a number', nested(16, b'[', b']', b'1')),
    ('objects', nested(15, b'{"a":', b'}', b'{}')),
    ('objects of a name', nested(16, b'{"name":', b'}', b'"Ada"')),
    ('a name', b'{"name":' + nested(15, b'[', b']') + b'}'),
    ('an unknown member', b'{"x":' + nested(15, b'[', b']') + b'}'),
    ('an unknown member of objects', b'{"x":' + nested(14, b'{"y":', b'}', b'{}') + b'}'),
    ('turn and turn about', nested(8, b'[{"a":', b'}]', b'0')),
    ('twice side by side', b'[' + nested(15, b'[', b']') + b',' + nested(15, b'[', b']') + b']'),
]
TOO_DEEP = [  # 17 levels and more
    ('arrays', nested(17, b'[', b']')),
    ('objects', nested(16, b'{"a":', b'}', b'{}')),
    ('objects of a name', nested(17, b'{"name":', b'}', b'"Ada"')),
    ('a name', b'{"name":' + nested(16, b'[', b']') + b'}'),
    ('an unknown member', b'{"x":' + nested(16, b'[', b']') + b'}'),
    ('an unknown member after a name', b'{"name":"Ada","x":' + nested(16, b'[', b']') + b'}'),
    ('an unknown member of objects', b'{"x":' + nested(15, b'{"y":', b'}', b'{}') + b'}'),
    ('an unknown member after another', b'{"x":1,"y":' + nested(16, b'[', b']') + b'}'),
    ('turn and turn about', b'[' + nested(8, b'[{"a":', b'}]', b'0') + b']'),
    ('arrays that are not closed', b'[' * 17),
    ('two thousand arrays', nested(2000, b'[', b']')),
    ('four thousand arrays that are not closed', b'[' * 4000),
    ('six hundred objects', nested(600, b'{"a":', b'}', b'1')),
]

MEDIA_TYPES = [  # Content-Type, right or not
    ('application/json', True),
    ('Application/JSON', True),
    ('application/json; charset=utf-8', True),
    ('application/json;charset=utf-8', True),
    ('application/json ; charset=UTF-8', True),
    ('application/json; charset="utf-8"', True),
    ('application/json; Charset=Utf-8', True),
    ('application/json; charset=iso-8859-1', False),
    ('application/json; charset=utf-16', False),
    ('application/json; charset=utf8', False),
    ('application/json; charset=', False),
    ('application/json; charset="utf-8', False),
    ('application/json;', True),
    ('app lication/json', False),
    ('app"lication/json', False),
    ('text/plain', False),
    ('text/json', False),
    ('application/x-www-form-urlencoded', False),
    ('multipart/form-data; boundary=x', False),
    ('application/problem+json', False),
    ('application/jsonx', False),
    ('application/json-patch+json', False),
    ('application/xml', False),
    ('application', False),
    ('json', False),
    ('*/*', False),
    ('application/*', False),
    ('text/plain; application/json', False),
    ('text/plain, application/json', False),
]


class JsonTest(ContractTest):
    QUICK = True

    def setUp(self):
        self.client = self.stack.client()
        self.addCleanup(self.client.close)

    def post(self, body):
        return self.client.post(sample.COLLECTION, body.replace(b'name', sample.TEXT.encode()), JSON)

    def test_what_is_right_is_added(self):
        for title, body, name in ADDED:
            with self.subTest(title):
                self.assert_added(self.post(body), name.replace('name', sample.TEXT))

    def test_json_that_cannot_be_added_gets_422(self):
        before = self.table_count()
        for title, body in NO_ITEM:
            with self.subTest(title):
                self.assert_problem(self.post(body), 422, BLANK, sample.COLLECTION)
        self.assertEqual(self.table_count(), before)

    def test_an_unknown_member_gets_422_and_is_named(self):
        before = self.table_count()
        for title, body, member in UNKNOWN:
            with self.subTest(title):
                self.assertIn(member, self.assert_problem(self.post(body), 422, BLANK)['detail'])
        for title, body in UNKNOWN_ODD:
            with self.subTest(title):
                self.assert_problem(self.post(body), 422, BLANK)
        self.assertEqual(self.table_count(), before)

    def test_what_is_no_json_gets_400(self):
        before = self.table_count()
        for title, body in NO_JSON:
            with self.subTest(title):
                self.assert_problem(self.post(body), 400, BLANK, sample.COLLECTION)
        self.assertEqual(self.table_count(), before)

    def test_what_the_standard_leaves_open_is_refused_in_order(self):
        before = self.table_count()
        for title, body in EITHER:
            with self.subTest(title):
                self.assert_problem(self.post(body), (400, 422), (BLANK, *sample.PROBLEMS))
        self.assertEqual(self.table_count(), before)

    def test_a_byte_order_mark_is_refused_or_passed_over(self):
        answer = self.post(b'\xef\xbb\xbf{"name":"marked"}')
        if answer.status == 201:
            self.assert_added(answer, 'marked')
        else:
            self.assert_problem(answer, 400)

    def test_sixteen_levels_are_json(self):
        for title, body in AS_DEEP_AS_MAY_BE:
            with self.subTest(title):
                self.assert_problem(self.post(body), 422)

    def test_seventeen_levels_get_400(self):
        before = self.table_count()
        for title, body in TOO_DEEP:
            with self.subTest(title):
                self.assert_problem(self.post(body), 400)
        self.assertEqual(self.table_count(), before)

    def test_the_service_lives_through_the_corpus(self):
        pid = self.stack.pid('app')
        for _, body, *_ in ADDED + NO_JSON + EITHER + TOO_DEEP:
            self.assertLess(self.post(body).status, 500)
        self.assertEqual(self.stack.pid('app'), pid)


class MediaTypeTest(ContractTest):
    QUICK = True

    def test_a_body_is_application_json_in_utf_8_or_gets_415(self):
        before, added = self.table_count(), 0
        for media_type, right in MEDIA_TYPES:
            with self.subTest(media_type):
                answer = self.stack.post(sample.COLLECTION, json.dumps(sample.new('typed')), {'Content-Type': media_type})
                if right:
                    added += 1
                    self.assert_added(answer, 'typed')
                else:
                    self.assert_problem(answer, 415, path=sample.COLLECTION)
        self.assertEqual(self.table_count(), before + added)

    def test_a_body_without_a_media_type_gets_415(self):
        self.assert_problem(self.stack.post(sample.COLLECTION, json.dumps(sample.new('untyped'))), 415)


class SizeTest(ContractTest):
    QUICK = True

    @staticmethod
    def body(size):
        return json.dumps(sample.new('sized')).encode().ljust(size)

    def chunked(self, body):
        half = len(body) // 2
        chunks = b''.join(b'%x\r\n%s\r\n' % (len(part), part) for part in (body[:half], body[half:]))
        return self.stack.raw(f'POST {sample.COLLECTION} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'.encode() +
                              b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
                              + chunks + b'0\r\n\r\n')

    def test_the_largest_body_is_read(self):
        self.assert_added(self.stack.post(sample.COLLECTION, self.body(sample.BODY_MAX_BYTES), JSON), 'sized')

    def test_a_larger_body_gets_413(self):
        before = self.table_count()
        for size in (sample.BODY_MAX_BYTES + 1, 2 * sample.BODY_MAX_BYTES, 65536, 2 << 20):
            with self.subTest(size):
                self.assert_problem(self.stack.post(sample.COLLECTION, self.body(size), JSON), 413, path=sample.COLLECTION)
        self.assertEqual(self.table_count(), before)

    def test_a_chunked_body_has_the_same_limit(self):
        self.assertEqual(self.chunked(self.body(sample.BODY_MAX_BYTES)).split(b' ')[1], b'201')
        self.assertEqual(self.chunked(self.body(sample.BODY_MAX_BYTES + 1)).split(b' ')[1], b'413')

    def test_an_announced_body_is_refused_before_it_is_sent(self):
        raw = self.stack.raw(f'POST {sample.COLLECTION} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'.encode() +
                             b'Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n', timeout_s=1)
        self.assertEqual(raw.split(b' ')[1], b'413')


if __name__ == '__main__':
    unittest.main()
