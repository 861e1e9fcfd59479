"""What the index links to, and paths that look like those of visitors and are none. The paths that there are: test_api_index.py."""
import unittest

from visitor_contract import VisitorTest


class PathsTest(VisitorTest):
    QUICK = True

    def test_any_other_path_under_api_gets_404(self):
        for path in ('/api/visitor', '/api/visitors/1/name', '/api/visitors.csv/', '/api/stats/', '/api/stats/30', '/api/Visitors'):
            for method in ('GET', 'POST', 'DELETE', 'OPTIONS'):
                with self.subTest(f'{method} {path}'):
                    self.assert_problem(self.stack.request(method, path), 404)

    def test_the_index_links_to_visitors_and_statistics(self):
        self.assertEqual(self.stack.get('/api').json()['links'], {
            'visitors': '/api/visitors', 'stats': '/api/stats', 'health': '/health', 'openapi': '/openapi.json'})


if __name__ == '__main__':
    unittest.main()
