"""What the README, docs/ and their companions say about this checkout, held against it: targets, settings, files, links, names, and
the two languages against each other. Each check yields a sentence for each thing that is wrong. Runs nothing but `make help`."""
import os
import re
import subprocess

from document import Document

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The same in two languages.
PAIRS = (('README.md', 'README.pt-BR.md'), ('docs/operating.md', 'docs/operating.pt-BR.md'))
ENGLISH = ('README.md', 'docs/operating.md', 'docs/engineering.md', 'docs/design.md', 'docs/measured.md', 'docs/learned.md', 'CONTRIBUTING.md',
           'SECURITY.md')
GUIDES = ENGLISH + tuple(translated for _, translated in PAIRS)
DOCUMENTS = GUIDES + ('CHANGELOG.md', 'tests/bench/README.md')
WORKFLOW = '.github/workflows/ci.yml'
# Not written by people, or not ours to name.
NOT_SEARCHED = {'.git', 'build', 'var', 'backups', 'secrets', 'node_modules', '__pycache__'}

# A word between backquotes or in a command that names a file, by a slash or by an ending. A leading slash makes it a URL's.
PATH = re.compile(r'(?=.*/|.*\.(?:cpp|hpp|mjs|py|js|json|html|css|svg|sql|conf|md|yaml|yml|c|lua|example)$)[\w.-][\w.…-]*(?:/[\w.…-]*)*')
# What looks like one and is none of the repository's.
NO_PATH = re.compile(r'''
    (?:var|build|backups|STATE_DIR)/.*|compile_commands\.json     # written by make and by the service
    | \.cpp | \.env                        # an ending; a file that a person makes
    | (?:application|text)/[\w+]+          # a media type
    | sql/NNN_verb_noun\.sql               # how a name is made
    | [\d.]+/\d+                          # a network
''', re.X)
# A name that a program gave: it has an underscore, and may be called.
NAME = re.compile(r'(?<![\w/.…-])(?!NNN)[A-Za-z]\w*_\w*(?![\w/.…-])')
# A setting's default in the table; here for what .env.example leaves empty.
NOTHING = {'none', 'nenhum'}


class Project:
    """The checkout; `changed` are texts that take the place of files, so that a test can break one."""

    def __init__(self, root=PROJECT, changed=None):
        self.root, self.changed = root, changed or {}
        self.files = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - NOT_SEARCHED)
            self.files += [os.path.relpath(os.path.join(folder, name), root) for name in sorted(names)]

    def read(self, name):
        if name in self.changed:
            return self.changed[name]
        with open(os.path.join(self.root, name), encoding='utf-8') as file:
            return file.read()

    def has(self, path):
        """A file or folder; one without a folder may lie anywhere; `…` stands for the rest of a name."""
        whole = re.escape(path.rstrip('/')).replace('…', '[^/]*') + '(?:/.*)?'
        begin = '' if '/' in path else '(?:.*/)?'
        return any(re.fullmatch(begin + whole, name) for name in self.files)

    def help(self):
        """The targets that `make help` lists."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith('MAKE') and name != 'MFLAGS'}
        result = subprocess.run(['make', '--no-print-directory', '-C', self.root, 'help'], env=environment,
                                capture_output=True, text=True, check=True)
        return re.findall(r'^  make (\S+)', result.stdout, re.M)


def code_of(document):
    """What is meant letter by letter: between backquotes, and commands (what they print is the commands' test's)."""
    return document.spans + [command.words() for command in document.commands()]


def check_languages(project):
    """A translation has what the original has: headings, blocks, tables, code, links."""
    for name, other_name in PAIRS:
        yield from differences(name, Document(project.read(name)), other_name, Document(project.read(other_name)))


def differences(name, english, other_name, portuguese):
    levels = [[level for level, _ in half.headings] for half in (english, portuguese)]
    if levels[0] != levels[1]:
        yield f'the headings of {name} and {other_name} have different levels: {levels[0]} and {levels[1]}'
    if len(english.blocks) != len(portuguese.blocks):
        yield f'{name} and {other_name} have {len(english.blocks)} and {len(portuguese.blocks)} blocks'
    for here, there in zip(english.blocks, portuguese.blocks):
        if (here.language, here.text) != (there.language, there.text):
            yield f'the blocks of {name}, line {here.line}, and {other_name}, line {there.line}, differ'
    if len(english.tables) != len(portuguese.tables):
        yield f'{name} and {other_name} have {len(english.tables)} and {len(portuguese.tables)} tables'
    for here, there in zip(english.tables, portuguese.tables):
        if [len(row) for row in here] != [len(row) for row in there]:
            yield f'the tables of "{here[0][0]} | {here[0][1]}" and "{there[0][0]} | {there[0][1]}" have different rows or columns'
            continue
        for row, other in zip(here, there):
            # In Portuguese a comma parts the fraction.
            if re.findall(r'\d+(?:\.\d+)?', ' '.join(row)) != re.findall(r'\d+(?:\.\d+)?', re.sub(r'(\d),(\d)', r'\1.\2', ' '.join(other))):
                yield f'the rows "{row[0]}" and "{other[0]}" have different figures'
    for span in sorted(set(english.spans) - set(portuguese.spans)):
        yield f'`{span}` stands in {name}, but not in {other_name}'
    here, there = ([link for link in half.links if not link.startswith('#')] for half in (english, portuguese))
    # The first leads to the other language; what has been translated is linked so.
    others = [os.path.basename(path) for path in (other_name, name)]
    if [here[0], there[0]] != others:
        yield f'the first links of {name} and {other_name} lead to {here[0]} and {there[0]}'
    if here[1:] != [link.replace('.pt-BR.md', '.md') for link in there[1:]]:
        yield f'{name} and {other_name} lead to different places: {here} and {there}'


def check_targets(project):
    """Each target that is named is there, and each that `make help` lists is named in a guide."""
    rules = re.findall(r'^([a-z][a-z -]*):(?!=)', project.read('Makefile'), re.M)
    targets = {name for rule in rules for name in rule.split()}
    named = re.compile(r'\bmake ([a-z][a-z-]*)')
    for name in DOCUMENTS:
        for target in sorted({target for code in code_of(Document(project.read(name))) for target in named.findall(code)} - targets):
            yield f'{name} names make {target}, which the Makefile has not'
    steps = re.sub(r'#.*', '', project.read(WORKFLOW))
    for target in sorted(set(named.findall(steps)) - targets):
        yield f'{WORKFLOW} names make {target}, which the Makefile has not'
    said = {target for name in ENGLISH for code in code_of(Document(project.read(name))) for target in named.findall(code)}
    for target in project.help():
        if target not in said:
            yield f'make help lists {target}, which no guide names'


def check_settings(project):
    """.env.example, the tables of docs/operating and the programs agree on the settings and their defaults."""
    defaults = dict(re.findall(r'^(?:# )?([A-Z_]+)=(\S*)', project.read('.env.example'), re.M))
    for guide in PAIRS[1]:
        tables = [table for table in Document(project.read(guide)).tables if table[1][0] == '`HTTP_PORT`']
        rows = {row[0].strip('`'): row[1].strip('`') for table in tables for row in table[1:]}
        for name in sorted(defaults.keys() | rows.keys()):
            shown = '' if rows.get(name) in NOTHING else rows.get(name)
            if name not in rows:
                yield f'{name} is in .env.example, but not in the table of {guide}'
            elif name not in defaults:
                yield f'{name} is in the table of {guide}, but not in .env.example'
            elif shown != defaults[name]:
                yield f'{name} is {defaults[name] or "empty"} in .env.example, but {rows[name]} in the table of {guide}'
    programs = dict(re.findall(r'^([A-Z_]+)=\$\{\1:-(.*)\}$', project.read('local/common') + project.read('local/secrets'), re.M))
    programs.update(re.findall(r'^STATE_DIR=.*\$\{(STATE_DIR):-(\w+)\}', project.read('local/common'), re.M))
    members = {}
    for prefix, file in (('', 'config'), ('server.', 'fastcgi/server'), ('lane.', 'lanes/lane')):
        found = re.findall(r'^ +\S+ (\w+)(?: = |\{)(\d+|false)\}?;', project.read(f'fcgi-app/src/{file}.hpp'), re.M)
        members.update({prefix + name: 'off' if default == 'false' else default for name, default in found})
    reads = re.findall(r'"(APP_\w+)", config\.([\w.]+)[,)]', project.read('fcgi-app/src/config.cpp'))
    app = {name: members[member] for name, member in reads if member in members}
    for name in sorted(defaults):
        places = [place[name] for place in (programs, app) if name in place]
        if not places or set(places) != {defaults[name]}:
            yield f'{name} is {defaults[name] or "empty"} in .env.example, but {" and ".join(map(str, places)) or "unknown"} in the programs'


# What a guide names is there, seen from the checkout, from the sources or from a service's folder.
FOLDERS = ('', 'fcgi-app/src/', 'examples/tickets/')


def check_files(project):
    """Each file that is named is there."""
    for name in GUIDES:
        document = Document(project.read(name))
        for word in sorted({word.strip('\'"()') for code in code_of(document) for word in code.split()}):
            if PATH.fullmatch(word) and not NO_PATH.fullmatch(word) and not any(project.has(folder + word) for folder in FOLDERS):
                yield f'{name} names the file {word}, which is not there'


def check_links(project):
    """Each relative link leads to a file, and its #anchor to a heading."""
    for name in DOCUMENTS:
        for link in Document(project.read(name)).links:
            if re.match(r'https?:', link):
                continue
            path, _, anchor = link.partition('#')
            target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if path and not os.path.exists(os.path.join(project.root, target)):
                yield f'{name} leads to {link}, which is not there'
            elif anchor and anchor not in Document(project.read(target)).anchors():
                yield f'{name} leads to {link}, but {target} has no such heading'


def check_features(project):
    """Each feature in the README's table is proved by something that is named; check_files and check_targets look for it."""
    for name in PAIRS[0]:
        for row in Document(project.read(name)).tables[0][1:]:
            proofs = re.findall(r'`([^`]+)`', row[2])
            if not proofs or not all(PATH.fullmatch(proof) or proof.startswith('make ') for proof in proofs):
                yield f'the feature "{row[1]}" is not proved by files or targets, but by "{row[2]}"'


def check_names(project):
    """Each name of a setting, function or field that is said stands somewhere in the programs."""
    sources = [name for name in project.files if not name.endswith(('.md', '.png')) and not name.startswith('tests/readme/')]
    known = {os.path.basename(name).split('.')[0] for name in sources}
    for name in sources:
        known.update(re.findall(r'\w+', project.read(name)))
    for name in GUIDES:
        document = Document(project.read(name))
        for word in sorted({word for code in code_of(document) for word in NAME.findall(code)}):
            if word not in known and not (word.endswith('_') and any(other.startswith(word) for other in known)):
                yield f'{name} names {word}, which no program knows'
