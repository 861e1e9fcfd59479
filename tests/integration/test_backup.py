"""`make backup` and `make restore` of the processes that `make start` makes: all of the database goes there and back,
whatever is in it, and no database with a row in it is dropped. The containers' way:
tests/containers/test_c_backup.py."""
import os
import shutil
import tempfile
import unittest

from stack import Stack, sample, wait_until

# What somebody else keeps beside the service's tables.
OTHERS = """
    CREATE TABLE asides (text text); INSERT INTO asides VALUES ('of another table');
    CREATE SCHEMA annex; CREATE TABLE annex.asides (text text); INSERT INTO annex.asides VALUES ('of another schema');
    CREATE SEQUENCE annex.noted; CREATE VIEW annex.noticed AS SELECT text FROM annex.asides;
    CREATE INDEX asides_text ON annex.asides (text); ALTER TABLE annex.asides ADD CHECK (text <> '');
    CREATE FUNCTION annex.change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER changed BEFORE INSERT ON annex.asides FOR EACH ROW EXECUTE FUNCTION annex.change();
    SELECT lo_from_bytea(4711, 'a large object');
"""
ASIDES = 'SELECT text FROM asides UNION ALL SELECT text FROM annex.asides UNION ALL SELECT convert_from(lo_get(4711), \'UTF8\')'
# What a comparison of before and after calls them.
ADDED = {'table asides', 'table annex.asides', 'large object 4711', 'sequence annex.noted', 'view annex.noticed', 'index annex.asides_text',
         'constraint asides_text_check of annex.asides', 'trigger changed of annex.asides', 'function annex.change()'}
ASIDE = [('of another table',), ('of another schema',), ('a large object',)]

# All that is in the database, whoever made it: what it is, and how. A table is its rows, in whatever order they lie there.
CONTENTS = r"""
    WITH spaces AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
         relations AS (SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM spaces)),
         functions AS (SELECT * FROM pg_proc AS p WHERE pronamespace IN (SELECT oid FROM spaces) AND prokind <> 'a' AND NOT EXISTS (
             SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e'))
    SELECT 'table ' || oid::regclass, query_to_xml(format('SELECT count(*) AS rows, md5(string_agg(whole_row::text, chr(10)
        ORDER BY whole_row::text COLLATE "C")) FROM %s AS whole_row', oid::regclass), false, true, '')::text
    FROM relations WHERE relkind IN ('r', 'p')
    UNION ALL SELECT 'column ' || attrelid::regclass || '.' || attname, concat_ws(' ', format_type(atttypid, atttypmod), attnotnull,
        attidentity, attcollation::regcollation, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
    FROM pg_attribute JOIN relations AS r ON r.oid = attrelid WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')
    UNION ALL SELECT 'sequence ' || schemaname || '.' || sequencename, last_value::text FROM pg_sequences
    UNION ALL SELECT 'view ' || oid::regclass, pg_get_viewdef(oid) FROM relations WHERE relkind IN ('v', 'm')
    UNION ALL SELECT 'index ' || indexrelid::regclass, pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indrelid IN (SELECT oid FROM relations)
    UNION ALL SELECT 'constraint ' || conname || ' of ' || conrelid::regclass, concat(pg_get_constraintdef(oid), convalidated)
    FROM pg_constraint WHERE conrelid IN (SELECT oid FROM relations)
    UNION ALL SELECT 'trigger ' || tgname || ' of ' || tgrelid::regclass, concat(pg_get_triggerdef(oid), tgenabled)
    FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations) AND NOT tgisinternal
    UNION ALL SELECT 'function ' || oid::regprocedure, pg_get_functiondef(oid) FROM functions
    UNION ALL SELECT 'extension ' || extname, extversion FROM pg_extension
    UNION ALL SELECT 'large object ' || oid, md5(lo_get(oid)) FROM pg_largeobject_metadata
    UNION ALL SELECT concat('grant of ', privilege_type, ' on ', what, ' to ', coalesce(nullif(grantee, 0)::regrole::text, 'all')), ''
    FROM (SELECT oid::regclass::text, relacl FROM relations UNION ALL SELECT oid::regprocedure::text, proacl FROM functions
          UNION ALL SELECT attrelid::regclass || '.' || attname, attacl FROM pg_attribute WHERE attrelid IN (SELECT oid FROM relations)
         ) AS all_of_them (what, acl), aclexplode(acl)"""


class BackupTest(unittest.TestCase):
    LASTS_S = 40
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix='v-backup-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def databases(self):
        return [name for name, in self.stack.sql(
            f"SELECT datname FROM pg_database WHERE datname LIKE '{sample.NAME}%' ORDER BY 1")]

    def contents(self):
        return dict(self.stack.sql(CONTENTS))

    def test_no_row_of_any_table_is_dropped_and_a_backup_has_them_all(self):
        empty, whole, broken = [os.path.join(self.folder, name) for name in ('empty', 'whole', 'broken')]
        answer = self.stack.post(sample.COLLECTION, sample.new('before'), {'Idempotency-Key': 'before'})
        self.assertEqual(answer.status, 201, answer)
        own = self.contents()
        self.assertEqual(self.stack.make('backup', FILE=empty).returncode, 0)
        self.stack.sql(OTHERS)
        all_of_it = self.contents()
        # What is looked at does tell them.
        self.assertEqual(own, {what: how for what, how in all_of_it.items() if what in own})
        self.assertEqual({what for what in all_of_it.keys() - own.keys() if not what.startswith(('column ', 'grant '))}, ADDED)
        self.assertEqual(self.stack.make('backup', FILE=whole).returncode, 0)
        with open(whole, 'rb') as source, open(broken, 'wb') as target:
            target.write(source.read()[:-300])

        before = self.databases()
        self.assertIn('nothing has changed', self.stack.make('restore', FILE=broken).stderr)
        self.assertEqual((self.databases(), self.stack.sql(ASIDES)), (before, ASIDE))

        # Somebody else's, or one that a killed restore left.
        self.stack.sql(f'CREATE DATABASE {sample.NAME}_restoring')
        result = self.stack.make('restore', FILE=empty)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn(f'{sample.NAME}_restoring', result.stdout)
        [kept] = set(self.databases()) - {sample.NAME, f'{sample.NAME}_restoring'}
        self.stack.sql(f'ALTER DATABASE {kept} RENAME TO the_one_before')
        self.assertEqual(self.stack.sql(f'\\c the_one_before\n{ASIDES}'), ASIDE)
        self.assertEqual(self.contents(), own)

        self.assertEqual(self.stack.make('restore', FILE=whole).returncode, 0)
        self.assertEqual(self.stack.sql(ASIDES), ASIDE)
        self.assertEqual(self.contents(), all_of_it)
        wait_until(self.stack.healthy, 10, 'the restored database is in use')
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('after')).status, 201)


if __name__ == '__main__':
    unittest.main()
