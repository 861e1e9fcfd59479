"""The running service does what its openapi.json says: the document is sound in itself, names what there is, and says the
truth of parameters. That every operation answers as described is for the service's own tests, which know how to bring it about."""
import json
import os
import re
import subprocess
import unittest
import urllib.parse

import schema
import stack as stacks
from contract import TYPES, ContractTest
from stack import sample

FILE = os.path.join(stacks.PROJECT, sample.OPENAPI)
METHODS = ('get', 'head', 'post', 'delete', 'options', 'put', 'patch', 'trace')


def load():
    with open(FILE, encoding='utf-8') as file:
        return json.load(file)


class DocumentTest(unittest.TestCase):
    EVERY_SERVICE = True
    QUICK = True

    @classmethod
    def setUpClass(cls):
        cls.document = load()

    def resolve(self, node):
        return schema.resolve(self.document, node)

    def nodes(self, node=None, path=''):
        """Every object and array of the document, with its place."""
        node = self.document if node is None else node
        yield path, node
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(child, (dict, list)):
                yield from self.nodes(child, f'{path}/{key}')

    def test_it_has_the_paths_and_methods_of_the_service(self):
        paths = {path: {method.upper() for method in item if method in METHODS} for path, item in self.document['paths'].items()}
        for path in sample.FILES:
            self.assertEqual(paths.pop(path), {'GET'})
        described = {path: template for path in sample.ROUTES for template in paths
                     if template == path or '{' in template and re.fullmatch(re.sub(r'{\w+}', '[^/]+', template), path)}
        self.assertEqual({path: paths[template] for path, template in described.items()},
                         {path: set(methods.split()) - sample.UNDESCRIBED for path, methods in sample.ROUTES.items()})
        self.assertEqual(set(described.values()), set(paths))

    def test_it_has_the_types_of_problems(self):
        self.assertEqual(set(self.document['components']['schemas']['Problem']['properties']['type']['enum']), TYPES)

    def test_every_reference_leads_somewhere_and_every_component_is_used(self):
        used = set()
        for path, node in self.nodes():
            if isinstance(node, dict) and '$ref' in node:
                self.resolve(node)
                used.add(node['$ref'])
            if path.endswith('/security'):
                used |= {f'#/components/securitySchemes/{name}' for wanted in node for name in wanted}
        there = {f'#/components/{kind}/{name}' for kind, group in self.document['components'].items() for name in group}
        self.assertEqual(used, there)

    def test_every_operation_is_named_once_and_told_in_a_line(self):
        operations = [operation for item in self.document['paths'].values() for method, operation in item.items()
                      if method in METHODS]
        names = [operation['operationId'] for operation in operations]
        self.assertEqual(len(names), len(set(names)))
        tags = {tag['name'] for tag in self.document['tags']}
        for operation in operations:
            with self.subTest(operation['operationId']):
                self.assertTrue(operation['summary'])
                self.assertTrue(set(operation['tags']) <= tags)
                self.assertTrue(all(self.resolve(answer)['description'] for answer in operation['responses'].values()))

    def test_every_example_is_as_its_schema_says(self):
        examples = 0
        for path, node in self.nodes():
            if isinstance(node, dict) and 'schema' in node:
                values = [node['example']] if 'example' in node else []
                values += [self.resolve(example)['value'] for example in node.get('examples', {}).values()]
                for value in values:
                    examples += 1
                    with self.subTest(path):
                        self.assertEqual(schema.errors(self.document, node['schema'], value), [])
        operations = [method for item in self.document['paths'].values() for method in item if method in METHODS]
        self.assertGreaterEqual(examples, len(operations))

    def test_every_problem_shown_is_of_its_status(self):
        for item in self.document['paths'].values():
            for operation in (item[method] for method in item if method in METHODS):
                for status, answer in operation['responses'].items():
                    media = self.resolve(answer).get('content', {}).get('application/problem+json')
                    if media and 'example' in media and status != 'default':
                        self.assertEqual(media['example']['status'], int(status))


class DescribedTest(ContractTest):
    """What its tests get is held against the document."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = load()

    def resolve(self, node):
        return schema.resolve(self.document, node)

    def assert_described(self, template, method, answer):
        """The answer is one that the document describes for this operation; returns the response's key there."""
        item = self.document['paths'][template]
        responses = item[method.lower() if method.lower() in item else 'get']['responses']
        key = str(answer.status) if str(answer.status) in responses else 'default'
        described = self.resolve(responses[key])
        if key == 'default':
            self.assertGreaterEqual(answer.status, 400)
        for name, header in described.get('headers', {}).items():
            header, values = self.resolve(header), answer.headers.get_all(name, [])
            self.assertLessEqual(len(values), 1, name)
            self.assertTrue(values or not header.get('required'), f'{name} is missing')
            for value in values:
                self.assertEqual(schema.errors(self.document, header['schema'], value, name), [])
        if method == 'HEAD' or 'content' not in described:
            self.assertEqual(answer.body, b'')
            return key
        media_type = answer.headers['Content-Type']
        self.assertIn(media_type, described['content'])
        text = answer.body.decode('utf-8')
        value = json.loads(text) if 'json' in media_type else text
        self.assertEqual(schema.errors(self.document, described['content'][media_type]['schema'], value), [])
        return key


class ServiceTest(DescribedTest):
    EVERY_SERVICE = True
    QUICK = True

    def test_the_document_is_served_as_it_stands_in_the_file(self):
        with open(FILE, 'rb') as file:
            self.assertEqual(self.stack.get('/openapi.json').body, file.read())

    def test_the_program_has_the_routes_that_are_described(self):
        """tests/lint reads them in the sources; HEAD and OPTIONS go without a route."""
        listed = subprocess.run([os.path.join(self.stack.state_dir, 'release', 'fcgi-app'), '--routes'], capture_output=True, text=True,
                                check=True, timeout=10).stdout.splitlines()
        self.assertEqual(sorted(listed), sorted(
            f'{method.upper()} {path}' for path, item in self.document['paths'].items() if re.match(r'/api\b', path)
            for method in item if method in METHODS and method not in ('head', 'options')))

    def test_the_service_has_the_version_of_the_document(self):
        self.assertEqual(self.stack.get('/api').json()['version'], self.document['info']['version'])

    def test_parameters_have_the_bounds_that_are_described(self):
        for template, item in self.document['paths'].items():
            for parameter in (self.resolve(node) for node in item.get('get', {}).get('parameters', [])):
                if parameter['in'] != 'query':
                    continue
                bounds, name = self.resolve(parameter['schema']), parameter['name']
                if 'enum' in bounds or 'pattern' in bounds:
                    cases = [(value, 200) for value in bounds.get('enum', [])] + [('', 400), ('no such', 400)]
                elif bounds['type'] == 'integer':
                    cases = [(bounds['minimum'], 200), (bounds['minimum'] - 1, 400), (bounds['maximum'], 200),
                             (bounds['maximum'] + 1, 400)]
                    if 'default' in bounds:
                        said = self.stack.get(f'{template}?{name}={bounds["default"]}')
                        self.assertEqual(self.stack.get(template).body, said.body)
                else:
                    cases = [('x' * bounds['minLength'], 200), ('x' * (bounds['minLength'] - 1), 400),
                             ('é' * bounds['maxLength'], 200), ('é' * (bounds['maxLength'] + 1), 400)]
                cases.append((parameter['example'], 200))
                for value, status in cases:
                    with self.subTest(template, parameter=name, value=value):
                        answer = self.stack.get(f'{template}?{name}={urllib.parse.quote(str(value))}')
                        self.assertEqual(answer.status, status)
                        self.assert_described(template, 'GET', answer)



class SchemaTest(unittest.TestCase):
    """The checker itself: what it must find wrong."""

    QUICK = True

    def test_what_is_wrong_is_found(self):
        for wanted, right, wrong in [
                ({'type': 'integer'}, [0, -1], [True, 1.0, '1', None]), ({'type': ['string', 'null']}, ['', None], [0]),
                ({'const': 1}, [1], [True, 2]), ({'enum': ['a']}, ['a'], ['b']),
                ({'minLength': 2}, ['ab', 1], ['😀']), ({'maxLength': 1}, ['😀'], ['ab']),
                ({'minimum': 1}, [1, 'x'], [0]), ({'maximum': 1}, [1], [2]),
                ({'minItems': 1}, [[1]], [[]]), ({'maxItems': 1}, [[1]], [[1, 2]]),
                ({'items': {'type': 'null'}}, [[None], []], [[1]]), ({'required': ['a']}, [{'a': 1}], [{}]),
                ({'properties': {'a': {'type': 'null'}}, 'additionalProperties': False}, [{}], [{'b': 1}, {'a': 1}]),
                ({'pattern': '^a$'}, ['a'], ['ab']), ({'format': 'date'}, ['2024-02-29'], ['2023-02-29']),
                ({'format': 'date-time'}, ['2024-02-29T00:00:00.000000Z'], ['2024-02-29T24:00:01Z']),
                ({'format': 'int64'}, [2 ** 63 - 1], [2 ** 63])]:
            for value in right:
                self.assertEqual(schema.errors({}, wanted, value), [])
            for value in wrong:
                with self.subTest(wanted, value=value):
                    self.assertNotEqual(schema.errors({}, wanted, value), [])

    def test_an_unknown_keyword_is_an_error(self):
        for unknown in ({'oneOf': []}, {'format': 'uuid'}, {'additionalProperties': {}}, {'$ref': 'elsewhere.json'}):
            with self.subTest(unknown), self.assertRaises(schema.UnknownKeyword):
                schema.errors({}, unknown, 'x')


if __name__ == '__main__':
    unittest.main()
