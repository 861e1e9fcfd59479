"""What the machinery's tests have to know of tickets: the names that tests/integration/sample.py explains."""
NAME, SETTINGS = 'tickets', {'SERVICE': 'examples/tickets'}
COLLECTION, LIST, SEARCH, STATS, EXPORT = '/api/projects/WEB/tickets', '/api/tickets', '/api/tickets', None, None
OPENAPI, UNDESCRIBED, FILES = 'examples/tickets/openapi.json', {'HEAD', 'OPTIONS'}, {'/openapi.json': 'application/json'}
ROUTES = {'/api': 'GET HEAD OPTIONS', '/api/projects': 'GET HEAD OPTIONS', '/api/projects/WEB': 'GET HEAD OPTIONS PUT',
          '/api/projects/WEB/tickets': 'OPTIONS POST', '/api/tickets': 'GET HEAD OPTIONS',
          '/api/tickets/1': 'DELETE GET HEAD OPTIONS PATCH', '/health': 'GET HEAD OPTIONS'}
PROBLEMS = {'/problems/text-length', '/problems/text-characters', '/problems/too-many', '/problems/search-too-broad'}
ITEMS, TEXT, LEAST, BODY_MAX_BYTES = 'tickets', 'title', {'title': 'least'}, 16384
MEMBERS = {'id', 'project', 'title', 'body', 'state', 'version', 'created_at', 'updated_at'}
TABLE, SEQUENCE, KEYS, BATCHES = 'tickets', 'tickets_id_seq', 'kept_answers', None
ADDED, REMOVED = 'ticket_added', 'ticket_removed'
LOCKED = {'tickets': ('add', 'delete', 'first_page', 'one', 'search'), 'projects': ('add', 'delete', 'first_page'),
          'kept_answers': ('add',)}
COUNTED = [('SELECT key, open, done FROM projects ORDER BY key', """
    SELECT key, count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'done')
    FROM projects LEFT JOIN tickets ON project = key GROUP BY key ORDER BY key""")]
GRANTS, UNMIGRATE = {'INSERT (title) ON tickets': 'tickets', 'UPDATE (title) ON projects': 'projects'}, ''


def prepare(stack):
    assert stack.request('PUT', '/api/projects/WEB', None, {'title': 'The web site'}).status in (200, 201)


def new(text):
    return {'title': text}


def item(id_):
    return f'/api/tickets/{id_}'


def row(text, created_at='now()', id_="nextval('tickets_id_seq')"):
    return (f'INSERT INTO tickets (id, project, title, body, created_at, updated_at) OVERRIDING SYSTEM VALUE '
            f"VALUES ({id_}, 'WEB', '{text}', '', {created_at}, {created_at}) RETURNING id;")


def key_row(key):
    return f"INSERT INTO kept_answers (key, request, answer) VALUES ('{key}', '', '')"


def verify(test, stack, rows):
    tickets = sum(project['tickets'] for project in stack.get('/api/projects').json()['projects'])
    test.assertEqual(tickets, len(rows))
