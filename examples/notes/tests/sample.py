"""What the tests of the machinery have to know of this service; tests/integration/stack.py loads it by the environment variable SAMPLE,
and in a project that `make new` has made, as its own. What a service does not have is None or empty here, and the tests that need it
are skipped by name."""
# The service, as /api says, after which its database and role are called; further settings of `make start` that choose it.
NAME = 'notes'
SETTINGS = {'SERVICE': 'examples/notes'}

# Where one adds, where all are listed a page at a time (`limit`, `before`, `next`, `total`), and where one of them is.
COLLECTION = '/api/notes'
LIST = '/api/notes'
# Another answer with the same `total`; where the list can be searched (`q`); where an admin gets all of them as CSV.
STATS = None
SEARCH = None
EXPORT = None
# What nginx serves from files, with their types; '/' among them is a page.
FILES = {'/': 'text/html; charset=utf-8', '/app.js': 'text/javascript; charset=utf-8', '/style.css': 'text/css; charset=utf-8',
         '/openapi.json': 'application/json'}
# Each path of the service, with the methods that Allow names.
ROUTES = {'/api': 'GET HEAD OPTIONS', '/api/notes': 'GET HEAD OPTIONS POST', '/api/notes/1': 'DELETE GET HEAD OPTIONS',
          '/health': 'GET HEAD OPTIONS'}
# What describes them, all but these.
OPENAPI = 'examples/notes/html/openapi.json'
UNDESCRIBED = {'HEAD', 'OPTIONS'}  # methods that every path has
# Types of problems besides those of the machinery.
PROBLEMS = {'/problems/text-length', '/problems/text-characters'}

# A page's member with the rows; a row's members, among them `id` and `created_at`; which of them is the text that `new` takes.
ITEMS = 'notes'
MEMBERS = {'id', 'text', 'created_at'}
TEXT = 'text'
# The body of an addition with everything left out that may be; nginx refuses a body that is larger than this.
LEAST = {'text': 'x'}
BODY_MAX_BYTES = 4096

# The table, with the columns `id`, TEXT and `created_at`, and where its ids come from.
TABLE = 'notes'
SEQUENCE = 'notes_id_seq'
# Where keys are kept with their answers (`key`, `created_at`, and what the service needs), and where those of batches are.
KEYS = 'kept_answers'
BATCHES = None
# Each table that a request needs: the requests that cannot be answered while somebody has it locked.
LOCKED = {'notes': ('add', 'delete', 'first_page', 'one'), 'notes_total': ('add', 'delete', 'first_page'), 'kept_answers': ('add',)}
# Pairs of questions that have the same answer, always: what is counted along, and what there is to count.
COUNTED = [('SELECT total FROM notes_total', 'SELECT count(*) FROM notes')]
# Some of what the role may do, and a word of what the log says while it may not.
GRANTS = {'INSERT ON notes': 'notes', 'SELECT ON notes_total': 'notes_total'}
# Takes the schema back to before some migration, which `make migrate` then does again.
UNMIGRATE = ''
# The log's words for an addition, and for a deletion.
ADDED = 'notes_added'
REMOVED = 'notes_removed'


def prepare(stack):
    """After each start: what must exist before anything can be added. It may be there already."""


def new(text):
    """The body of an addition that is accepted."""
    return {'text': text}


def item(id_):
    """The path of one."""
    return f'/api/notes/{id_}'


def row(text, created_at='now()', id_=None):
    """SQL that puts one into the table by hand, and returns its id."""
    id_ = f"nextval('{SEQUENCE}')" if id_ is None else id_
    return f"INSERT INTO notes (id, text, created_at) VALUES ({id_}, '{text}', {created_at}) RETURNING id;"


def key_row(key):
    """SQL that puts a row of this key among those that are known, of what is not there."""
    return f"INSERT INTO kept_answers (key, request, answer, created_at) VALUES ('{key}', '', '', now())"


def verify(test, stack, rows):
    """What else must hold when all is quiet; `rows` are (id, text, created_at as the API writes it) of the whole table, by id."""
