"""Reads a Markdown text as far as the tests of the README need it: headings with the anchors that GitHub gives them, fenced
blocks, tables, links, and what stands between backquotes. Knows Markdown, and nothing of this project."""
import dataclasses
import re

SPAN = re.compile(r'`([^`]+)`')
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


@dataclasses.dataclass(frozen=True)
class Command:
    """`command` as one types it, and the lines that it is shown to print; none are shown: `shown` is empty."""
    command: str
    shown: str

    def words(self):
        """Without its comment."""
        return re.sub(r'\s+#\s.*', '', self.command)


@dataclasses.dataclass(frozen=True)
class Block:
    line: int
    language: str
    text: str

    def commands(self):
        """What stands behind `$ `, each with the lines up to the next; none if the block does not begin with one."""
        if not self.text.startswith('$ '):
            return []
        parts = re.split(r'^\$ ', self.text, flags=re.M)[1:]
        return [Command(*(part.split('\n', 1) if '\n' in part else (part, ''))) for part in parts]


class Document:
    def __init__(self, text, first_line=1):
        self.blocks, prose, fence = [], [], None
        for number, line in enumerate(text.splitlines(), first_line):
            if line.startswith('```'):
                if fence is None:
                    fence = (number, line[3:].strip(), [])
                else:
                    self.blocks.append(Block(fence[0], fence[1], ''.join(fence[2])))
                    fence = None
                line = ''
            elif fence is not None:
                fence[2].append(line + '\n')
                line = ''
            prose.append((number, line))
        if fence is not None:
            raise ValueError(f'the block of line {fence[0]} has no end')
        self.prose = prose
        self.headings = [(len(match[1]), match[2]) for _, line in prose if (match := re.match(r'(#+) (.*)', line))]
        joined = '\n'.join(line for _, line in prose)
        self.paragraphs = re.split(r'\n\s*\n', joined)
        # A line may end within a span.
        self.spans = [' '.join(span.split()) for paragraph in self.paragraphs for span in SPAN.findall(paragraph)]
        self.links = LINK.findall(joined)
        self.tables = [table_of(paragraph) for paragraph in self.paragraphs if paragraph.lstrip().startswith('|')]

    def commands(self):
        return [command for block in self.blocks for command in block.commands()]

    def anchors(self):
        """As GitHub makes them: lower case, without punctuation, a hyphen for each space, numbered where one repeats."""
        seen, anchors = {}, set()
        for _, title in self.headings:
            title = re.sub(r'&\w+;', '\u00a0', re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', title))
            anchor = re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')
            count = seen.get(anchor, 0)
            seen[anchor] = count + 1
            anchors.add(f'{anchor}-{count}' if count else anchor)
        return anchors


def table_of(paragraph):
    """The rows as lists of cells, the head first, without the line below it."""
    rows = [re.split(r'(?<!\\)\|', line.strip())[1:-1] for line in paragraph.strip().splitlines()]
    return [[cell.strip() for cell in row] for row in rows[:1] + rows[2:]]

