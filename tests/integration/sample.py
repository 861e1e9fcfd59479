"""What the tests of the machinery have to know of the service that they run against: here visitors, whose own tests are in
folders of their name. Another service has a file of its own with these names (the environment variable SAMPLE is its path), and
its own tests beside it. Loaded in one place, stack.py. What a service does not have is None or empty, or left out where stack.py
has SAMPLE_DEFAULTS, and the tests that need it are skipped by name."""
import csv
import io

# The service, as /api says; settings of `make start` that choose it.
NAME = 'visitors'
SETTINGS = {}

# Where one adds, where all are listed a page at a time (`limit`, `before`, `next`, `total` as in API.md), and where one of them is.
COLLECTION = '/api/visitors'
LIST = '/api/visitors'
# Another answer with the same `total`; where the list can be searched (`q`); where an admin gets all of them as CSV.
STATS = '/api/stats'
SEARCH = '/api/visitors'
EXPORT = '/api/visitors.csv'
# What nginx serves from files, with their types; '/' among them is a page.
FILES = {'/': 'text/html; charset=utf-8', '/app.js': 'text/javascript; charset=utf-8', '/style.css': 'text/css; charset=utf-8',
         '/robots.txt': 'text/plain; charset=utf-8', '/icon.svg': 'image/svg+xml', '/openapi.json': 'application/json'}
# Each path of the service, with the methods that Allow names.
ROUTES = {'/api': 'GET HEAD OPTIONS', '/api/visitors': 'GET HEAD OPTIONS POST', '/api/visitors/1': 'DELETE GET HEAD OPTIONS',
          '/api/visitors.csv': 'GET HEAD OPTIONS', '/api/stats': 'GET HEAD OPTIONS', '/health': 'GET HEAD OPTIONS'}
# What describes them all, and the methods that it tells of in words, since every path has them.
OPENAPI = 'html/openapi.json'
UNDESCRIBED = set()
# Types of problems besides those of the machinery.
PROBLEMS = {'/problems/name-length', '/problems/name-characters', '/problems/search-too-broad'}

# A page's member with the items; an item's members, among them `id` and `created_at`; which of them is the text that `new` takes.
ITEMS = 'visitors'
MEMBERS = {'id', 'name', 'created_at'}
TEXT = 'name'
# The body of an addition with everything left out that may be; nginx refuses a body that is larger than this.
LEAST = {}
BODY_MAX_BYTES = 4096

# The items' table, with the columns `id`, TEXT and `created_at`, and where their ids come from.
TABLE = 'visitors'
SEQUENCE = 'visitors_id_seq'
# Where keys are kept with their answers (`key`, `created_at`, and what the service needs), and where those of batches are (`key`, `ids`,
# `created_at`).
KEYS = 'idempotency_keys'
BATCHES = 'batches'
# Each table that a request needs: the requests that cannot be answered while somebody has it locked.
LOCKED = {'visitors': ('add', 'delete', 'first_page', 'one', 'stats', 'search'),
          'visitor_total': ('add', 'delete', 'first_page', 'stats'), 'idempotency_keys': ('add',)}
# Pairs of questions that have the same answer, always: what is counted along, and what there is to count.
COUNTED = [('SELECT total FROM visitor_total', 'SELECT count(*) FROM visitors'),
           ('SELECT day, count FROM visitor_days WHERE count <> 0 ORDER BY day',
            "SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) FROM visitors GROUP BY 1 ORDER BY 1")]
# Some of what the role may do, and a word of what the log says while it may not.
GRANTS = {'UPDATE (key) ON batches': 'batches', 'USAGE ON SEQUENCE visitors_id_seq': 'visitors_id_seq',
          'EXECUTE ON FUNCTION skip_used_ids': 'skip_used_ids'}
# Takes the schema back to before some migration, which `make migrate` then does again.
UNMIGRATE = """
    DELETE FROM schema_migrations WHERE name = '002_add_batches.sql';
    DELETE FROM schema_migrations WHERE name = '003_refuse_odd_rows.sql';
    ALTER TABLE visitors DROP CONSTRAINT visitors_id_positive, DROP CONSTRAINT visitors_created_at_shown;
    ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_created_at_shown;
    DROP TABLE batches;
"""
# The log's words for an addition and for a deletion.
ADDED, REMOVED = 'visitor_added', 'visitor_removed'


def prepare(stack):
    """After each start: what must exist before anything can be added. It may be there already."""


def new(text):
    """The body of an addition that is accepted."""
    return {'name': text}


def item(id_):
    """The path of one."""
    return f'/api/visitors/{id_}'


def row(text, created_at='now()', id_=None):
    """SQL that puts one into the table by hand, and returns its id."""
    id_ = f"nextval('{SEQUENCE}')" if id_ is None else id_
    return f"INSERT INTO visitors (id, name, created_at) VALUES ({id_}, '{text}', {created_at}) RETURNING id;"


def key_row(key):
    """SQL that puts a row of this key among those that are known, of an item that is not there."""
    return f"INSERT INTO idempotency_keys (key, visitor_id, created_at) VALUES ('{key}', 0, now())"


def verify(test, stack, rows):
    """What else must hold when all is quiet; `rows` are (id, text, created_at as the API writes it) of the whole table, by id."""
    stats = stack.get(f'{STATS}?days=366').json()
    test.assertEqual(stats['total'], len(rows))
    test.assertEqual({day['day']: str(day['count']) for day in stats['days'] if day['count']}, dict(stack.sql(
        "SELECT (created_at AT TIME ZONE 'UTC')::date, count(*) FROM visitors WHERE created_at > now() - interval '365 days' GROUP BY 1")))
    export = stack.as_admin('GET', EXPORT)
    test.assertEqual(export.status, 200)
    lines = list(csv.reader(io.StringIO(export.body.decode(), newline='')))[1:]
    test.assertEqual([(int(id_), name, created_at) for id_, name, created_at in lines], rows, 'the CSV and the table')
