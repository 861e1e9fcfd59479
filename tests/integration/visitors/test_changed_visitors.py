"""Visitors' own tables as they were not left. What holds of every service: test_changed_database.py."""
import unittest

from contract import DATABASE_AWAY
from test_changed_database import DatabaseTest


class ChangedVisitorsTest(DatabaseTest):
    def test_a_lock_is_no_broad_search(self):
        with self.stack.locked('visitors'):
            self.assert_problem(self.stack.get('/api/visitors?q=zz'), 503, DATABASE_AWAY)

    def test_counters_that_are_gone_are_no_empty_pages(self):
        with self.changed('CREATE TABLE total_away AS TABLE visitor_total; DELETE FROM visitor_total',
                          'INSERT INTO visitor_total SELECT only_row, (SELECT count(*) FROM visitors) FROM total_away; '
                          'DROP TABLE total_away', anew=False):
            for path in ('/api/visitors', '/api/visitors?before=5', '/api/stats'):
                with self.subTest(path):
                    self.assert_problem(self.stack.get(path), 503, DATABASE_AWAY)


if __name__ == '__main__':
    unittest.main()
