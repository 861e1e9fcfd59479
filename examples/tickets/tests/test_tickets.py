"""What is promised of projects and tickets, through HTTP: tables of requests, each with its answer. What every service
promises (errors, keys, restarts, faults) the machinery's tests ask of this one, too; sample.py tells them of it."""
import os

from contract import KEY_REUSED, ContractTest
from stack import wait_until

LENGTH, CHARACTERS, TOO_MANY = '/problems/text-length', '/problems/text-characters', '/problems/too-many'
JSON, MISSING = {'Content-Type': 'application/json'}, f'/api/tickets/{2 ** 63 - 1}'
PROJECT, TICKETS = '/api/projects/XY', '/api/projects/XY/tickets'


def tag(version):
    return {'If-Match': f'"{version}"'}


class TicketsTest(ContractTest):
    QUICK = True

    def setUp(self):
        clean = "DELETE FROM tickets WHERE project LIKE 'X%'; DELETE FROM projects WHERE key LIKE 'X%'"
        self.addCleanup(self.stack.sql, clean)
        self.ask(201, 'PUT', PROJECT, {'title': 'Mine'}, wanted={'key': 'XY', 'title': 'Mine', 'tickets': 0})

    def add(self, title='grey', headers=None, **members):
        answer = self.ask(201, 'POST', TICKETS, {'title': title, **members}, headers)
        return answer.headers['Location'], answer.json()

    def test_the_index_and_projects(self):
        index = self.ask(200, 'GET', '/').json()
        self.assertEqual(index['links'], {'projects': '/api/projects', 'tickets': '/api/tickets', 'health': '/health',
                                          'openapi': '/openapi.json'})
        self.ask(200, 'GET', '/api', wanted=index)
        for title, kept in [('x', 'x'), (' \u2003Über\t', 'Über'), ('😀' * 120, '😀' * 120)]:
            mine = {'key': 'XY', 'title': kept, 'tickets': 0}
            self.ask(200, 'PUT', PROJECT, {'title': title}, wanted=mine)
            etag = self.ask(200, 'GET', PROJECT, wanted=mine).headers['ETag']
            self.ask(304, 'GET', PROJECT, headers={'If-None-Match': etag})
            self.assertIn(mine, self.ask(200, 'GET', '/api/projects').json()['projects'])
        for bad in ('X', 'x1', '1X', 'X' * 11, 'X-1', 'X%C3%84'):
            self.ask(404, 'PUT', f'/api/projects/{bad}', {'title': 'x'})
        self.ask(404, 'GET', '/api/projects/XABSENT')
        self.ask(405, 'DELETE', PROJECT)

    def test_the_hundred_and_first_project_is_too_many(self):
        for number in range(len(self.ask(200, 'GET', '/api/projects').json()['projects']), 100):
            self.ask(201, 'PUT', f'/api/projects/X{number}', {'title': 'x'})
        self.ask(422, 'PUT', '/api/projects/XMORE', {'title': 'x'}, wanted=TOO_MANY)
        self.ask(200, 'PUT', PROJECT, {'title': 'is there already'})
        keys = [project['key'] for project in self.ask(200, 'GET', '/api/projects').json()['projects']]
        self.assertEqual((keys, len(keys)), (sorted(keys), 100))

    def test_texts_have_bounds_wherever_they_are_sent(self):
        path, ticket = self.add()
        for method, at, headers in (('PUT', PROJECT, JSON), ('POST', TICKETS, JSON), ('PATCH', path, JSON | tag(1))):
            for status, body, wanted in [
                    (400, '{', None), (422, [], None), (422, {'title': 1}, None), (422, {'title': None}, None),
                    (422, {'title': 'x', 'more': 1}, None), (422, '{"title":"x","title":"x"}', None),
                    (422, {'title': ' '}, LENGTH), (422, {'title': 'x' * 121}, LENGTH),
                    (422, {'title': '\u2060'}, CHARACTERS), (422, {'title': 'a\nb'}, CHARACTERS),
                    (413, '{"title":"x"}'.ljust(16 * 1024 + 1), None)]:
                self.ask(status, method, at, body, headers, wanted)
            self.ask(415, method, at, '{"title":"x"}', {**headers, 'Content-Type': 'text/plain'})
            self.ask(403, method, at, {'title': 'x'}, {'Sec-Fetch-Site': 'cross-site', **headers})
        for body, wanted in [('x' * 4001, LENGTH), ('a\tb', CHARACTERS), ('a\r\nb', CHARACTERS), (1, None)]:
            self.ask(422, 'POST', TICKETS, {'title': 'x', 'body': body}, wanted=wanted)
            self.ask(422, 'PATCH', path, {'body': body}, tag(1), wanted)
        self.ask(422, 'POST', TICKETS, {})
        self.ask(200, 'GET', path, wanted=ticket)

    def test_a_ticket_is_added_and_read(self):
        for body in (None, '', ' ', ' a\n\nb ', 'é'.ljust(4000)):
            path, ticket = self.add(' grey ', body=body)
            self.assertEqual(path, f'/api/tickets/{ticket["id"]}')
            self.assertEqual(ticket, {
                'id': ticket['id'], 'project': 'XY', 'title': 'grey', 'body': body or '', 'state': 'open', 'version': 1,
                'created_at': ticket['created_at'], 'updated_at': ticket['created_at']})
            self.assertEqual(self.ask(200, 'GET', path, wanted=ticket).headers['ETag'], '"1"')
        self.ask(200, 'GET', PROJECT, wanted={'tickets': 5})
        self.ask(404, 'GET', MISSING)

    def test_pages_are_filtered_searched_and_counted(self):
        first, second, third = (self.add(title, body=body)[1]['id'] for title, body in (
            ('Größe 100%', 'x'), ('other', 'GROSSE grösse'), ('last', 'X')))
        self.ask(200, 'PATCH', f'/api/tickets/{second}', {'state': 'done'}, tag(1))
        for query, ids, total in [
                ('', [third, second, first], 3), ('&state=open', [third, first], 2), ('&state=done', [second], 1),
                ('&q=grO%CC%88%C3%9Fe', [first], 1), ('&q=gr%C3%B6sse', [second], 1), ('&q=0%25', [first], 1),
                ('&q=_', [], 0), ('&q=GRO', [second, first], 2), ('&q=GRO&state=done', [second], 1),
                (f'&before={second}', [first], 3), ('&limit=1', [third], 3)]:
            page = self.ask(200, 'GET', f'/api/tickets?project=XY{query}', wanted={'total': total}).json()
            self.assertEqual([ticket['id'] for ticket in page['tickets']], ids, query)
        page = self.ask(200, 'GET', '/api/tickets?project=XY&state=open&q=x&limit=1', wanted={'total': 2}).json()
        self.assertNotIn('body', page['tickets'][0])
        self.assertRegex(page['next'], r'^/api/tickets\?(?=.*project=XY)(?=.*state=open)(?=.*q=x)(?=.*limit=1)')
        self.assertEqual([ticket['id'] for ticket in self.ask(200, 'GET', page['next']).json()['tickets']], [first])
        self.ask(200, 'GET', '/api/tickets?project=XABSENT', wanted={'tickets': [], 'total': 0, 'next': None})
        for query in ('project=', 'project=x', 'state=', 'state=Open', 'q=', 'limit=0', 'before=x', 'x=1', 'q=a&q=a'):
            self.ask(400, 'GET', f'/api/tickets?{query}')

    def test_a_ticket_is_changed_by_who_knows_its_version(self):
        path, ticket = self.add(body='b')
        for status, body, headers, wanted in [
                (428, {'title': ''}, {}, None), (422, {'title': ''}, tag(9), LENGTH), (412, {'body': ''}, tag(9), None),
                (422, {'body': None}, tag(1), None), (422, {'state': ''}, tag(1), None), (412, {}, tag('1 '), None),
                (200, {}, tag(1), {'version': 1}), (200, {'title': ' grey', 'state': 'open'}, tag(1), {'version': 1}),
                (200, {'state': 'done'}, tag(1), {'version': 2, 'state': 'done', 'title': 'grey', 'body': 'b'}),
                (412, {'body': ''}, tag(1), None), (200, {'body': ''}, {'If-Match': '*'}, {'version': 3, 'body': ''}),
                (200, {'title': 'red'}, {'If-Match': '"x", "3"'}, {'version': 4, 'created_at': ticket['created_at']})]:
            answer, before = self.ask(status, 'PATCH', path, body, headers, wanted), ticket
            if status == 200:
                ticket = answer.json()
                self.assertEqual(answer.headers['ETag'], f'"{ticket["version"]}"')
                self.assertEqual(ticket['updated_at'] > before['updated_at'], ticket['version'] > before['version'])
        self.ask(200, 'GET', path, wanted=ticket)
        self.ask(404, 'PATCH', MISSING, {'title': ''})

    def test_the_first_answer_is_given_again(self):
        once, again = ({'Idempotency-Key': os.urandom(8).hex()} for _ in range(2))
        self.ask(404, 'POST', '/api/projects/XABSENT/tickets', {'title': 'grey'}, once)
        path, added = self.add(headers=once)
        changed = self.ask(200, 'PATCH', path, {'title': 'red'}, again | tag(1), {'version': 2}).json()
        for removed in (412, 204, 404):
            for answer, first in [(self.ask(201, 'POST', TICKETS, {'title': 'grey'}, once), added),
                                  (self.ask(200, 'PATCH', path, {'title': 'red'}, again | tag(7)), changed)]:
                self.assertEqual((answer.json(), answer.headers['Idempotent-Replayed']), (first, 'true'))
            self.ask(401, 'DELETE', path, headers=once)
            self.assertEqual(self.stack.as_admin('DELETE', path, tag(1 if removed == 412 else 2)).status, removed)
        self.ask(200, 'GET', '/api/tickets?project=XY', wanted={'tickets': [], 'total': 0})
        self.ask(422, 'POST', TICKETS, {'title': 'red'}, once, KEY_REUSED)
        self.ask(422, 'PUT', PROJECT, {'title': 'grey'}, once, KEY_REUSED)

    def test_of_changes_of_one_version_at_once_one_is_made(self):
        path, _ = self.add()
        answers = self.in_a_batch(*(('PATCH', path, tag(1), {'title': f'by {n}'}) for n in range(8)))
        self.assertEqual(sorted(answer.status for answer in answers), [200] + 7 * [412])
        made, = (answer.json() for answer in answers if answer.status == 200)
        self.assertEqual(self.ask(200, 'GET', path, wanted={'version': 2}).json(), made)

    def test_a_key_that_a_problem_left_is_the_next_one_s_in_the_same_batch(self):
        def in_order():
            key = {'Idempotency-Key': os.urandom(8).hex()}
            answers = self.in_a_batch(('POST', '/api/projects/XABSENT/tickets', key, {'title': 'grey'}), *(
                ('POST', TICKETS, key, {'title': title}) for title in ('grey', ' grey', 'red')))
            return answers if [one.status for one in answers] == [404, 201, 201, 422] else None

        _, first, again, _ = wait_until(in_order, 20, 'they came in order, and each got its own')
        self.assertEqual((first.json(), first.headers['Idempotent-Replayed']), (again.json(), None))
        self.assertEqual(again.headers['Idempotent-Replayed'], 'true')
