"""A database that the version before left is brought up to date by `make migrate`, while the service runs."""
import unittest

import stack as stacks
from stack import Stack, sample
from visitor_contract import VisitorTest

# What only an older version took: no date of four digits, or no number from 1.
ODD_ROWS = """
    ALTER TABLE visitors DROP CONSTRAINT visitors_id_positive, DROP CONSTRAINT visitors_created_at_shown;
    ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_created_at_shown;
    ALTER TABLE batches DROP CONSTRAINT batches_created_at_shown;
    INSERT INTO visitors (id, name, created_at) VALUES
        (901, 'odd', 'infinity'), (902, 'odd', '-infinity'), (903, 'odd', '10000-01-01 00:00:00+00'), (904, 'odd', '0001-12-31 23:59:59+00 BC'),
        (0, 'odd', now()), (905, 'even', '0001-01-01 00:00:00+00'), (906, 'even', '9999-12-31 23:59:59.999999+00');
    DELETE FROM schema_migrations WHERE name = '003_refuse_odd_rows.sql';
"""


class MigrationTest(VisitorTest):
    LASTS_S = 20

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def test_a_migration_that_was_edited_after_it_had_been_applied_is_told_of(self):
        first = "schema_migrations SET checksum = {} WHERE name = '001_create_visitors.sql'"
        of_first = "SELECT checksum FROM schema_migrations WHERE name = '001_create_visitors.sql'"
        applied, = self.stack.sql(of_first)
        # As if the file had said something else when it was applied.
        self.stack.sql('UPDATE ' + first.format("'of another text'"))
        result = self.stack.make('migrate')
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('sql/001_create_visitors.sql was edited after it had been applied', result.stderr)
        # Versions before 2.0 kept none.
        self.stack.sql('UPDATE ' + first.format('NULL'))
        result = self.stack.make('migrate')
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(self.stack.sql(of_first), [applied])

    def test_migrate_brings_the_schema_of_the_version_before_up_to_date(self):
        visitor = self.add('of version 1.0.0')
        keyed = self.stack.post('/api/visitors', {'name': 'with a key'}, {'Idempotency-Key': 'of-1.0.0'}).json()
        app = self.stack.pid('app')
        self.add('José of 1.0.0')
        # What 1.0.0 left: no batches, the index for clients' keys only, a key of the app's own, and searches by case alone.
        self.stack.sql("""
            DROP TABLE batches;
            DROP INDEX idempotency_keys_age;
            CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at) WHERE key >= '!';
            ALTER INDEX visitors_name_search RESET (gin_pending_list_limit);
            CREATE OR REPLACE FUNCTION fold_case(value text) RETURNS text
                LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN lower(upper(value));
            REINDEX INDEX visitors_name_search;
            DROP FUNCTION skip_used_ids, refuse_alteration;
            ALTER TABLE visitors DROP CONSTRAINT visitors_id_positive, DROP CONSTRAINT visitors_created_at_shown;
            ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_created_at_shown;
            INSERT INTO idempotency_keys VALUES (' 0006', NULL, 1, now() - interval '26 hours');
            DELETE FROM schema_migrations WHERE name >= '002'""")
        stacks.wait_until(lambda: self.stack.post('/api/visitors', {'name': 'too early'}).status == 503, 5,
                          'additions are refused without the table')
        self.assertEqual(self.stack.get('/api/visitors?q=jose+of+1').json()['total'], 0)
        result = self.stack.make('migrate')
        self.assertEqual(result.returncode, 0, result)
        for name in ('002_add_batches.sql', '005_fold_accents.sql'):
            self.assertIn(name, result.stdout + result.stderr)
        self.assertEqual(self.stack.get('/api/visitors?q=jose+of+1').json()['total'], 1)
        stacks.wait_until(lambda: self.stack.post('/api/visitors', {'name': 'after'}).status == 201, 5, 'additions work again')
        self.assertEqual(self.stack.get(f'/api/visitors/{visitor["id"]}').json(), visitor)
        again = self.stack.post('/api/visitors', {'name': 'with a key'}, {'Idempotency-Key': 'of-1.0.0'})
        self.assertEqual((again.status, again.json()), (201, keyed))
        self.assertEqual(self.stack.get('/api/visitors?q=too%20early').json()['total'], 0)

        def old_key_is_purged():  # every five seconds at most, behind an addition
            self.add('later')
            return self.stack.sql("SELECT count(*) FROM idempotency_keys WHERE key LIKE ' %'") == [('0',)]

        stacks.wait_until(old_key_is_purged, 10, 'the old key is purged')
        self.assertEqual(self.stack.pid('app'), app, 'the app was restarted')
        self.assertNotIn('002', self.stack.make('migrate').stdout)

    def assert_counted(self):
        for counted, there in sample.COUNTED:
            self.assertEqual(self.stack.sql(counted), self.stack.sql(there))

    def test_odd_rows_are_named_by_the_upgrade_and_do_not_stop_it(self):
        self.stack.sql(ODD_ROWS)
        self.addCleanup(self.stack.sql, 'DELETE FROM visitors WHERE id BETWEEN 901 AND 906 OR id < 1')
        said = self.stack.make('migrate')
        self.assertEqual(said.returncode, 0, said)
        self.assertRegex(said.stderr, r'visitors has 4 rows that cannot be shown, such as \(90\d,odd,.*visitors_created_at_shown')
        self.assertRegex(said.stderr, r'visitors has 1 rows that cannot be shown, such as \(0,odd,.*visitors_id_positive')
        self.assert_counted()
        for row in ("7, 'infinity'", "7, '-infinity'", "7, '10000-01-01 00:00:00+00'", "7, '0001-12-31 23:59:59+00 BC'", '0, now()', '-1, now()'):
            with self.subTest(row), self.assertRaisesRegex(RuntimeError, 'visitors_(created_at_shown|id_positive)'):
                self.stack.sql(f"INSERT INTO visitors (id, created_at, name) SELECT {row}, 'odd'")
        self.stack.sql("DELETE FROM visitors WHERE name = 'odd'")
        self.assert_counted()
        self.assertNotIn('WARNING', self.stack.make('migrate').stderr)
        self.assertEqual(self.stack.sql('SELECT conname FROM pg_constraint WHERE NOT convalidated'), [])


if __name__ == '__main__':
    unittest.main()
