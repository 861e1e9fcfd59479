"""What the README and its companions say about this checkout is so, and what is not so is found: checks.py knows how."""
import unittest

import checks
import document

# the check, a file, what stands there, what somebody makes of it, what the check must say
BREAKAGES = [
    (checks.check_languages, 'docs/operating.pt-BR.md', '\n## Problemas\n', '\n### Problemas\n', 'have different levels'),
    (checks.check_languages, 'README.pt-BR.md', '--- |\n| pessoas | assinar', '--- |\n| x | x | `make lint` |\n| pessoas | assinar', 'have different rows or columns'),
    (checks.check_languages, 'docs/operating.pt-BR.md', '| `HTTP_PORT` | 8080 | a porta', '| `HTTP_PORT` | 8081 | a porta', 'have different figures'),
    (checks.check_languages, 'docs/operating.pt-BR.md', '`make report`', 'Ele', '`make report` stands in docs/operating.md, but not in'),
    (checks.check_languages, 'README.md', '"Ada"', '"Eva"', 'the blocks of README.md, line'),
    (checks.check_targets, 'docs/operating.md', '`make backup`', '`make backups`', 'docs/operating.md names make backups, which the Makefile has not'),
    (checks.check_targets, 'CONTRIBUTING.md', '`make lint`', '`make tidy`', 'CONTRIBUTING.md names make tidy, which the Makefile has not'),
    (checks.check_targets, 'docs/engineering.md', '`make fuzz`', 'fuzzing', 'make help lists fuzz, which no guide names'),
    (checks.check_targets, 'Makefile', '\nlint:', '\nlints:', f'{checks.WORKFLOW} names make lint, which the Makefile has not'),
    (checks.check_settings, 'docs/operating.md', '| `HTTP_PORT` | 8080 |', '| `HTTP_PORT` | 8081 |', 'HTTP_PORT is 8080 in .env.example, but 8081 in the table'),
    (checks.check_settings, '.env.example', '\nRATE_LIMIT=on', '\nRATE_LIMIT=off', 'RATE_LIMIT is off in .env.example, but on in the programs'),
    (checks.check_settings, '.env.example', '# APP_DRAIN_MS=', '# APP_NEW=1\n# APP_DRAIN_MS=', 'APP_NEW is in .env.example, but not in the table'),
    (checks.check_files, 'README.md', '`tests/faults/test_database.py`', '`tests/faults/test_databases.py`', 'names the file tests/faults/test_databases.py'),
    (checks.check_files, 'SECURITY.md', '`gate.cpp`', '`gates.cpp`', 'names the file gates.cpp'),
    (checks.check_files, 'docs/engineering.md', '· `http/router.hpp` ·', '· `http/routes.hpp` ·', 'names the file http/routes.hpp'),
    (checks.check_links, 'docs/measured.md', '](../tests/bench/README.md)', '](../tests/bench/READ.md)', 'leads to ../tests/bench/READ.md, which is not there'),
    (checks.check_links, 'docs/operating.md', '\n## A database elsewhere', '\n## Another database', 'leads to #a-database-elsewhere, but docs/operating.md has no such heading'),
    (checks.check_features, 'README.md', '| `make lint` |', '| a look |', 'is not proved by files or targets, but by "a look"'),
    (checks.check_names, 'CONTRIBUTING.md', '`ask_then_act`', '`ask_and_act`', 'names ask_and_act, which no program knows'),
]


class TextTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = checks.Project()

    def assert_nothing_wrong(self, check):
        problems = list(check(self.project))
        if problems:
            self.fail('\n'.join(problems))

    def test_the_languages_say_the_same(self):
        self.assert_nothing_wrong(checks.check_languages)

    def test_targets(self):
        self.assert_nothing_wrong(checks.check_targets)

    def test_settings(self):
        self.assert_nothing_wrong(checks.check_settings)

    def test_files(self):
        self.assert_nothing_wrong(checks.check_files)

    def test_links(self):
        self.assert_nothing_wrong(checks.check_links)

    def test_features(self):
        self.assert_nothing_wrong(checks.check_features)

    def test_names(self):
        self.assert_nothing_wrong(checks.check_names)

    def test_what_is_wrong_is_found(self):
        for check, name, old, new, message in BREAKAGES:
            with self.subTest(f'{name}: {new}'):
                text = self.project.read(name)
                self.assertTrue(old in text, f'{name} has no {old!r}')
                broken = checks.Project(changed={name: text.replace(old, new, 1)})
                problems = list(check(broken))
                self.assertTrue(any(message in problem for problem in problems), problems)

    def test_anchors_are_as_github_makes_them(self):
        text = '# A b-c: d_e (f)!\n## Até já\n## Até já\n## `x` & [y](z)\n'
        self.assertEqual(document.Document(text).anchors(), {'a-b-c-d_e-f', 'até-já', 'até-já-1', 'x--y'})
