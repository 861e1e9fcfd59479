"""Compares what a command printed with what a guide shows. `…` stands for any text in a line, and alone for any lines; times,
references and figures are compared by their form, and where the guide shows one of them twice it must be the same again."""
import re

# Each time and reference is one thing, wherever it is shown; a figure is another each time.
NAMED = {
    'time': r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z',
    'log_time': r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00',
    'stamp': r'\d{8}[Tt]\d{6}[Zz]',
    'reference': r'\b[0-9a-f]{32}\b',
}
FIGURES = {
    'seconds': r'\b\d+\.\d{3}\b',
    'size': r'(?<=\()\d+(?= bytes\))|(?<="bytes":)\d+',
    'version': r'(?<=curl/)\d+\.\d+\.\d+',
}
OMITTED = {'lines': r'^…\n', 'text': '…'}
VARIABLE = re.compile('|'.join(f'(?P<{kind}>{form})' for kind, form in {**OMITTED, **NAMED, **FIGURES}.items()), re.M)


class Comparison:
    """Knows what stands for what: `said` has, for each time and reference that the guide shows, the one that was printed."""

    def __init__(self):
        self.said = {}

    def pattern(self, shown):
        parts, groups, end = [], {}, 0
        for match in VARIABLE.finditer(shown):
            kind, text = match.lastgroup, match[0]
            parts.append(re.escape(shown[end:match.start()]))
            end = match.end()
            if kind == 'lines':
                parts.append('(?:.*\n)*?')
            elif kind == 'text':
                parts.append('.*?')
            elif kind in FIGURES:
                parts.append(f'(?:{FIGURES[kind]})')
            elif text in self.said:
                parts.append(re.escape(self.said[text]))
            elif text in groups:
                parts.append(f'(?P={groups[text]})')
            else:
                groups[text] = f'g{len(groups)}'
                parts.append(f'(?P<{groups[text]}>{NAMED[kind]})')
        return re.compile(''.join(parts) + re.escape(shown[end:])), groups

    def difference(self, shown, printed, goes_on=False):
        """None if `printed` is as shown, up to its end unless it goes on; else a sentence. What is shown as nothing may be anything."""
        if not shown:
            return None
        # A body that ends without a newline, HTTP's ends of lines.
        printed = printed.replace('\r\n', '\n').rstrip('\n') + '\n'
        pattern, groups = self.pattern(shown)
        match = pattern.match(printed) if goes_on else pattern.fullmatch(printed)
        if match:
            self.said.update((text, match[group]) for text, group in groups.items())
            return None
        lines = shown.splitlines(keepends=True)
        fitting = next((count for count in range(len(lines), 0, -1) if self.pattern(''.join(lines[:count]))[0].match(printed)), 0)
        wrong = f'the line "{lines[fitting].strip()}" is shown' if fitting < len(lines) else 'nothing more is shown'
        return f'{wrong}, but this was printed:\n{printed[-4000:]}'

    def command(self, text):
        """With what was printed in the place of what is shown."""
        for shown, printed in self.said.items():
            text = text.replace(shown, printed)
        return text
