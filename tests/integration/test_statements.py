"""Each statement of the service and of the machinery, described by a real PostgreSQL: it gives the columns that the line above
it says, which is what the program reads them by; and nothing that the app's role may do is missing without one of them telling."""
import contextlib
import os
import re
import unittest

import stack as stacks
from contract import ContractTest
from stack import ROLE, SqlSession, sample

FILES = ['sql/machinery/statements.sql', os.path.join(sample.SETTINGS.get('SERVICE', ''), 'sql/statements.sql')]
# As fcgi-app/statements reads them.
STATEMENT = re.compile(r'^-- gives:(.*)\n(?:--.*\n)*PREPARE (\w+).* AS\n((?:.*\n)*?.*);$', re.M)


def text_of(file):
    with open(os.path.join(stacks.PROJECT, file), encoding='utf-8') as opened:
        return opened.read()


def statements():
    """Name, columns as they are told, SQL."""
    return [(name, re.findall(r'\w+', told), sql) for file in FILES for told, name, sql in STATEMENT.findall(text_of(file))]


class StatementsTest(ContractTest):
    QUICK = True

    def given(self, sql):
        """The names of the columns, as PostgreSQL has them; a DELETE without RETURNING has none."""
        described = self.stack.sql(f'{sql}\n\\gdesc')
        return [] if described[0][0].startswith('The command has no result') else [name for name, _ in described]

    def wrong_columns(self, name, told, sql):
        """Of what is told otherwise than it is, each in words. A column that the SQL gives no name (a sum, what a function gives) has
        whatever name PostgreSQL makes up, and may be told by any."""
        given = self.given(sql)
        if len(given) != len(told):
            return [f'{name} gives {len(given)} columns, but is told to give {len(told)}']
        named = [bool(re.search(rf'(?<!\$)\b{re.escape(column)}\b(?! *\()', sql)) for column in given]
        return [f'{name} gives {column}, but is told to give {other}'
                for column, other, has_name in zip(given, told, named) if has_name and column != other]

    def test_each_gives_the_columns_that_are_told(self):
        found = statements()
        prepared = [name for file in FILES for name in re.findall(r'^PREPARE (\w+)', text_of(file), re.M)]
        self.assertEqual([name for name, *_ in found], prepared)
        for name, told, sql in found:
            with self.subTest(name):
                self.assertEqual(self.wrong_columns(name, told, sql), [])

    def test_what_is_wrong_is_found(self):
        """One too many, one too few, two that changed places, one that is not there."""
        name, told, sql = next((name, told, sql) for name, told, sql in statements() if len(told) > 2 and self.given(sql) == told)
        for wrong, words in [([*told, 'more'], f'gives {len(told)} columns'), (told[1:], f'gives {len(told)} columns'),
                             ([told[1], told[0], *told[2:]], f'gives {told[0]}, but is told to give {told[1]}'),
                             (['no_such', *told[1:]], f'gives {told[0]}, but is told to give no_such')]:
            with self.subTest(wrong):
                found = self.wrong_columns(name, wrong, sql)
                self.assertTrue(found and found[0].startswith(f'{name} {words}'), found)


class LeftBehindTest(ContractTest):
    QUICK = True

    def test_only_an_older_session_of_the_same_program_is_ended(self):
        """The number of one that was left behind may be another process's by now."""
        sql, = (sql for name, _, sql in statements() if name == 'end_backend')
        with contextlib.ExitStack() as open_sessions:
            sessions, pids = [], []
            for _ in range(3):
                sessions.append(open_sessions.enter_context(SqlSession(self.stack)))
                pids += sessions[-1].execute('SELECT pg_backend_pid();')  # it has begun before the next one does
            older, other, newer = sessions
            other.execute("SET application_name = 'another';")
            for session in (older, newer):
                session.execute(f'PREPARE end_backend AS {sql};')
            self.assertEqual(older.execute(f'EXECUTE end_backend({pids[2]});'), [])
            self.assertEqual(newer.execute(f'EXECUTE end_backend({pids[1]});'), [])
            self.assertEqual(newer.execute(f'EXECUTE end_backend({pids[0]});'), ['t'])


# What the role was granted, as GRANT and REVOKE have it, and the name of what it is on.
GRANTS = f"""
    WITH given AS (
        SELECT privilege_type AS what, CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END AS kind, c.oid::regclass::text AS name
        FROM pg_class AS c, aclexplode(relacl) WHERE grantee = '{ROLE}'::regrole
        UNION ALL SELECT format('%s (%I)', privilege_type, attname), '', attrelid::regclass::text
        FROM pg_attribute, aclexplode(attacl) WHERE grantee = '{ROLE}'::regrole
        UNION ALL SELECT privilege_type, 'FUNCTION ', oid::regproc::text FROM pg_proc, aclexplode(proacl) WHERE grantee = '{ROLE}'::regrole)
    SELECT what || ' ON ' || kind || name, name FROM given ORDER BY 1"""


class GrantsTest(ContractTest):
    """What the app asks at its start, asked here of each grant, in transactions that come to nothing."""

    def questions(self):
        """Prepares all statements, and has each explained as the app does; an error says what the role may not."""
        prepared = ''.join(f'PREPARE {name} AS\n{sql};\n' for name, _, sql in statements())
        for name, _, sql in statements():
            nulls = ', '.join(['NULL'] * max([0, *map(int, re.findall(r'\$(\d+)', sql))]))
            prepared += f'EXPLAIN EXECUTE {name}{nulls and f"({nulls})"};\n'
        return prepared

    def said(self, revoked):
        """What is said of a role from which that is taken; all of it lies in the first line, or in check_sequences' answer."""
        try:
            return str(self.stack.sql(f'SET plan_cache_mode = force_generic_plan; BEGIN; {revoked}; SET ROLE {ROLE};\n{self.questions()}'
                                      "SELECT 'all was asked'; EXECUTE check_sequences")[-2:])
        except RuntimeError as error:
            return str(error).splitlines()[0]

    def test_each_grant_that_is_taken_is_named_by_what_the_app_asks_at_its_start(self):
        self.assertEqual(self.said('SELECT'), "[('all was asked',), (None,)]")
        grants = self.stack.sql(GRANTS)
        self.assertGreater(len(grants), 4)
        for grant, name in grants:
            with self.subTest(grant):
                said = self.said(f'REVOKE {grant} FROM {ROLE}, PUBLIC')
                self.assertRegex(said, rf'(permission denied for \w+|may not use) {re.escape(name)}\b')


if __name__ == '__main__':
    unittest.main()
