"""Checks values against the part of JSON Schema (2020-12) that html/openapi.json uses. A keyword that it does not know
is an error of its own: a promise that nobody checks would be worse than none. Knows nothing of this service."""
import datetime
import re

ANNOTATIONS = {'description', 'title', 'default', 'example', 'examples'}
TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'null': type(None), 'integer': int}


class UnknownKeyword(Exception):
    pass


def resolve(document, node):
    """What `node` refers to, within the document."""
    while isinstance(node, dict) and '$ref' in node:
        if set(node) != {'$ref'} or not node['$ref'].startswith('#/'):
            raise UnknownKeyword(f'a reference beside other keywords, or to elsewhere: {node}')
        target = document
        for part in node['$ref'][2:].split('/'):
            target = target[part.replace('~1', '/').replace('~0', '~')]
        node = target
    return node


def of_type(value, name):
    if name == 'integer' and isinstance(value, bool):
        return False  # Python's booleans are integers, JSON's are not
    return isinstance(value, TYPES[name])


def of_format(value, name):
    try:
        if name == 'date-time':
            datetime.datetime.fromisoformat(value.replace('Z', '+00:00'))
        elif name == 'date':
            datetime.date.fromisoformat(value)
        elif name == 'int64':
            return -2 ** 63 <= value < 2 ** 63
        else:
            raise UnknownKeyword(f'format {name}')
        return True
    except ValueError:
        return False


def errors(document, schema, value, where='$'):
    """Everything in which `value` is not as `schema` says."""
    found = []

    def check(holds, text):
        if not holds:
            found.append(f'{where}: {text}: {value!r:.200}')

    schema = resolve(document, schema)
    for keyword, wanted in schema.items():
        if keyword in ANNOTATIONS:
            continue
        if keyword == 'type':
            names = wanted if isinstance(wanted, list) else [wanted]
            check(any(of_type(value, name) for name in names), f'must be {" or ".join(names)}')
        elif keyword == 'const':
            check(value == wanted and type(value) is type(wanted), f'must be {wanted!r}')
        elif keyword == 'enum':
            check(value in wanted, f'must be one of {wanted}')
        # Each of the others says something of one type, and nothing of any other.
        elif keyword == 'properties':
            for name in (value if isinstance(value, dict) else {}):
                if name in wanted:
                    found += errors(document, wanted[name], value[name], f'{where}.{name}')
        elif keyword == 'required':
            check(not isinstance(value, dict) or set(wanted) <= set(value), f'must have {wanted}')
        elif keyword == 'additionalProperties' and wanted is False:
            check(not isinstance(value, dict) or set(value) <= set(schema['properties']), 'has an unknown member')
        elif keyword == 'items':
            for index, item in enumerate(value if isinstance(value, list) else []):
                found += errors(document, wanted, item, f'{where}[{index}]')
        elif keyword in ('minItems', 'maxItems', 'minLength', 'maxLength'):
            # Python counts a string's code points, as JSON Schema does.
            kind = list if keyword.endswith('Items') else str
            check(not isinstance(value, kind) or (len(value) >= wanted if keyword.startswith('min') else
                                                  len(value) <= wanted), f'{keyword} is {wanted}')
        elif keyword in ('minimum', 'maximum'):
            check(not of_type(value, 'integer') or (value >= wanted if keyword == 'minimum' else value <= wanted),
                  f'{keyword} is {wanted}')
        elif keyword == 'pattern':
            check(not isinstance(value, str) or re.search(wanted, value), f'must match {wanted}')
        elif keyword == 'format':
            check(value is None or of_format(value, wanted), f'must be a {wanted}')
        else:
            raise UnknownKeyword(f'{where}: {keyword}')
    return found
