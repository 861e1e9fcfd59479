"""GET /api/stats. Its ETag is tested with that of pages, in test_api_pages.py."""
import datetime
import unittest

from contract import STRONG_ETAG
from visitor_contract import VisitorTest


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


class StatsTest(VisitorTest):
    QUICK = True

    def stats(self, path='/api/stats'):
        answer = self.stack.get(path)
        stats = self.assert_json(answer)
        self.assertEqual(set(stats), {'total', 'today', 'days'})
        self.assertRegex(answer.headers['ETag'], STRONG_ETAG)
        self.assertEqual(answer.headers['Cache-Control'], 'no-cache')
        return stats

    def test_days_is_1_to_366_and_30_if_left_out(self):
        for path, days in [('/api/stats', 30), ('/api/stats?days=1', 1), ('/api/stats?days=2', 2),
                           ('/api/stats?days=30', 30), ('/api/stats?days=366', 366), ('/api/stats?', 30)]:
            with self.subTest(path):
                self.assertEqual(len(self.stats(path)['days']), days)

    def test_days_that_are_not_what_they_must_be_get_400(self):
        for text in ('days=0', 'days=367', 'days=-1', 'days=x', 'days=', 'days', 'days=1.5', 'days=+1', 'days=1e1',
                     'days=99999999999999999999', 'days=1%00', 'days=1&days=1', 'days=1&x=1', 'limit=1', 'Days=1',
                     'days=%', 'days=%zz', 'days=%FF'):
            with self.subTest(text):
                self.assert_problem(self.stack.get(f'/api/stats?{text}'), 400, path='/api/stats')

    def test_the_days_are_consecutive_newest_first_and_end_with_today(self):
        before = today()
        days = [day['day'] for day in self.stats('/api/stats?days=366')['days']]
        self.assertIn(days[0], (str(before), str(today())))  # midnight may pass meanwhile
        first = datetime.date.fromisoformat(days[0])
        self.assertEqual(days, [str(first - datetime.timedelta(n)) for n in range(366)])

    def test_days_without_visitors_are_included_as_0(self):
        rows = dict(self.stack.sql("SELECT (created_at AT TIME ZONE 'UTC')::date, count(*) FROM visitors GROUP BY 1"))
        days = self.stats('/api/stats?days=366')['days']
        empty = [day for day in days if day['day'] not in rows]
        self.assertTrue(empty)
        for day in days:
            self.assertEqual(set(day), {'day', 'count'})
            self.assertEqual(day['count'], int(rows.get(day['day'], 0)))

    def test_today_and_total_count_an_addition_and_a_deletion_at_once(self):
        first = self.stats()
        visitor = self.add('counted')
        second = self.stats()
        self.assertEqual(second['total'], first['total'] + 1)
        if second['days'][0]['day'] == first['days'][0]['day']:
            self.assertEqual(second['today'], first['today'] + 1)
        self.stack.as_admin('DELETE', f'/api/visitors/{visitor["id"]}')
        self.assertEqual(self.stats()['total'], first['total'])

    def test_today_is_the_first_day_and_total_is_every_visitor(self):
        stats = self.stats()
        self.assertEqual(stats['today'], stats['days'][0]['count'])
        self.assertEqual(stats['total'], self.table_count())

    def test_a_day_is_a_day_in_utc_from_its_first_to_its_last_microsecond(self):
        yesterday = today() - datetime.timedelta(1)

        def counts():
            return {day['day']: day['count'] for day in self.stats('/api/stats?days=5')['days']}

        before = counts()
        times = [f'{yesterday} 00:00:00+00', f'{yesterday} 23:59:59.999999+00', f'{yesterday} 12:00:00+00',
                 f'{yesterday - datetime.timedelta(1)} 23:59:59.999999+00', f'{yesterday} 00:30:00+13']
        values = ','.join(f"('a day', '{time}')" for time in times)
        self.stack.sql(f'INSERT INTO visitors (name, created_at) VALUES {values}')
        after = counts()
        added = [after[day] - before.get(day, 0) for day in sorted(after)][-4:]
        self.assertEqual(added[1:3] if str(today()) in before else added[0:2], [2, 3])
        self.stack.sql("DELETE FROM visitors WHERE name = 'a day'")
        self.assertEqual(counts(), before)

    def test_a_visitor_older_than_the_days_counts_in_the_total_alone(self):
        before = self.stats('/api/stats?days=366')
        id_, = self.stack.sql("INSERT INTO visitors (name, created_at) "
                              "VALUES ('old', clock_timestamp() - interval '3 years') RETURNING id")[0]
        after = self.stats('/api/stats?days=366')
        self.assertEqual(after['total'], before['total'] + 1)
        self.assertEqual(after['days'], before['days'])
        self.stack.sql(f'DELETE FROM visitors WHERE id = {id_}')

    def test_nobody_moves_a_visitor_to_another_day(self):
        id_ = self.add('of today')['id']
        before = self.stats()
        with self.assertRaisesRegex(RuntimeError, 'created_at never changes'):
            self.stack.sql("BEGIN; UPDATE visitors SET created_at = created_at - interval '1 day' "
                           f'WHERE id = {id_}; ROLLBACK')
        self.stack.sql(f"UPDATE visitors SET name = 'mended', created_at = created_at WHERE id = {id_}")
        self.assertEqual(self.stats(), before)


if __name__ == '__main__':
    unittest.main()
