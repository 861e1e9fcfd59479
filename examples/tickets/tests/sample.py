"""What the machinery's tests have to know of tickets: the names that tests/integration/sample.py explains."""
NAME, SETTINGS, OPENAPI = 'tickets', {'SERVICE': 'examples/tickets'}, 'examples/tickets/openapi.json'
COLLECTION, LIST, SEARCH = '/api/projects/WEB/tickets', '/api/tickets', '/api/tickets'
FILES = {'/openapi.json': 'application/json'}
ROUTES = {'/api': 'GET HEAD OPTIONS', '/api/projects': 'GET HEAD OPTIONS', '/api/projects/WEB': 'GET HEAD OPTIONS PUT',
          COLLECTION: 'OPTIONS POST', LIST: 'GET HEAD OPTIONS', '/api/tickets/1': 'DELETE GET HEAD OPTIONS PATCH',
          '/health': 'GET HEAD OPTIONS'}
PROBLEMS = {'/problems/text-length', '/problems/text-characters', '/problems/too-many', '/problems/search-too-broad'}
ITEMS, TEXT, LEAST, BODY_MAX_BYTES = 'tickets', 'title', {'title': 'least'}, 16384
MEMBERS = {'id', 'project', 'title', 'body', 'state', 'version', 'created_at', 'updated_at'}
TABLE, SEQUENCE, ADDED, REMOVED = 'tickets', 'tickets_id_seq', 'ticket_added', 'ticket_removed'
LOCKED = {'tickets': ('add', 'delete', 'first_page', 'one', 'search'), 'projects': ('add', 'delete', 'first_page'),
          'kept_answers': ('add',)}
COUNTED = [('SELECT key, open, done FROM projects ORDER BY key', """
    SELECT key, count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'done')
    FROM projects LEFT JOIN tickets ON project = key GROUP BY key ORDER BY key""")]
GRANTS = {'INSERT (title) ON tickets': 'tickets', 'UPDATE (title) ON projects': 'projects'}
new, item = lambda text: {'title': text}, '/api/tickets/{}'.format


def prepare(stack):
    assert stack.request('PUT', '/api/projects/WEB', None, {'title': 'The web site'}).status in (200, 201)


def row(text, created_at='now()', id_="nextval('tickets_id_seq')"):
    return (f'INSERT INTO tickets (id, project, title, body, created_at, updated_at) OVERRIDING SYSTEM VALUE '
            f"VALUES ({id_}, 'WEB', '{text}', '', {created_at}, {created_at}) RETURNING id;")
