"""`make backup` and `make restore` of the processes that `make start` makes: all of the database goes there and back,
whatever tables are in it, and no database with a row in it is dropped. The containers' way:
tests/containers/test_c_backup.py."""
import os
import shutil
import tempfile
import unittest

from stack import Stack, sample, wait_until

# What somebody else keeps beside the service's tables.
OTHERS = """
    CREATE TABLE notes (text text); INSERT INTO notes VALUES ('of another table');
    CREATE SCHEMA annex; CREATE TABLE annex.notes (text text); INSERT INTO annex.notes VALUES ('of another schema');
    SELECT lo_from_bytea(4711, 'a large object');
"""
NOTES = 'SELECT text FROM notes UNION ALL SELECT text FROM annex.notes UNION ALL SELECT convert_from(lo_get(4711), \'UTF8\')'
NOTED = [('of another table',), ('of another schema',), ('a large object',)]


class BackupTest(unittest.TestCase):
    LASTS_S = 40

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix='v-backup-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def databases(self):
        return [name for name, in self.stack.sql(
            f"SELECT datname FROM pg_database WHERE datname LIKE '{sample.NAME}%' ORDER BY 1")]

    def test_no_row_of_any_table_is_dropped_and_a_backup_has_them_all(self):
        empty, whole, broken = [os.path.join(self.folder, name) for name in ('empty', 'whole', 'broken')]
        self.assertEqual(self.stack.make('backup', FILE=empty).returncode, 0)
        self.stack.sql(OTHERS)
        self.assertEqual(self.stack.make('backup', FILE=whole).returncode, 0)
        with open(whole, 'rb') as source, open(broken, 'wb') as target:
            target.write(source.read()[:-300])

        before = self.databases()
        self.assertIn('nothing has changed', self.stack.make('restore', FILE=broken).stderr)
        self.assertEqual((self.databases(), self.stack.sql(NOTES)), (before, NOTED))

        # Somebody else's, or one that a killed restore left.
        self.stack.sql(f'CREATE DATABASE {sample.NAME}_restoring')
        result = self.stack.make('restore', FILE=empty)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn(f'{sample.NAME}_restoring', result.stdout)
        [kept] = set(self.databases()) - {sample.NAME, f'{sample.NAME}_restoring'}
        self.stack.sql(f'ALTER DATABASE {kept} RENAME TO the_one_before')
        self.assertEqual(self.stack.sql(f'\\c the_one_before\n{NOTES}'), NOTED)

        self.assertEqual(self.stack.make('restore', FILE=whole).returncode, 0)
        self.assertEqual(self.stack.sql(NOTES), NOTED)
        wait_until(self.stack.healthy, 10, 'the restored database is in use')
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('after')).status, 201)


if __name__ == '__main__':
    unittest.main()
