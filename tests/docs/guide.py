"""What the pages of the guide consist of: links, headings, code blocks, commands."""
import re
import shlex
from pathlib import Path
from typing import List, NamedTuple, Tuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'CHANGELOG.md',
                *(ROOT / 'docs').rglob('*.md'), ROOT / 'data/README.md'])
FENCE = re.compile(r'^( *)```(\w*)\n(.*?)^ *```$', re.M | re.S)


class Block(NamedTuple):
    """A fenced code block, without the indentation that a list gives it."""
    page: Path
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f'{name_of(self.page)}:{self.line}'


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> List[Block]:
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        indent, language, code = match.groups()
        code = re.sub(f'^{indent}', '', code, flags=re.M)
        found.append(Block(page, text.count('\n', 0, match.start()) + 1, language, code))
    return found


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub('', page.read_text())


def anchors(page: Path) -> List[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.*)$', prose(page), re.M)
    return [re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings]


def links(page: Path) -> List[Tuple[str, str]]:
    """Relative links and pictures: path and anchor, either of which may be empty."""
    text = re.sub(r'`[^`\n]*`', '', prose(page))
    targets = re.findall(r'\]\(([^)\s]+)\)', text)
    return [tuple(target.partition('#')[::2]) for target in targets if '://' not in target]


class Command(NamedTuple):
    """A call of one of the tools, as a page shows it."""
    page: Path
    tool: str
    args: List[str]

    @property
    def id(self) -> str:
        return f'{name_of(self.page)}: {" ".join([self.tool, *self.args])}'[:90]

    @property
    def is_whole(self) -> bool:
        """Whether it can be typed as it stands: no brackets, no CONFIG, no ..., no loop."""
        return not any(re.search(r'[][|]|\.\.\.|\$\{|^[A-Z_]+(\.\w+)?$', arg) for arg in self.args)


def commands(page: Path) -> List[Command]:
    """The calls of tools in a page, with the variables that its blocks set filled in."""
    found = []
    variables = {}
    for line in [*_shell_lines(page), *re.findall('`([^`]*python tools/[^`]*)`', prose(page))]:
        assigned = re.fullmatch(r'(\w+)=("[^"]*"|\S+)', line)
        if assigned:
            variables[assigned[1]] = assigned[2].strip('"')
            continue
        for name, value in variables.items():
            line = re.sub(rf'\${name}\b', value, line)
        # Two commands may stand side by side, and a command may be redirected.
        for call in re.findall(r'(?:python |(?<=\s)|^)(tools/[\w/]+\.(?:py|sh)[^;&>]*?)'
                               r'(?=\s+python |[;&>]|$)', line):
            tool, *args = shlex.split(call)
            found.append(Command(page, tool, args))
    return found


def make_targets(page: Path) -> List[str]:
    """The targets that a page tells to make, in blocks and between backticks."""
    lines = [*_shell_lines(page), *re.findall('`(make [^`]*)`', prose(page))]
    words = [re.sub('<[^>]*>', '', line).split() for line in lines]
    return [word for first, *rest in filter(None, words) if first == 'make' for word in rest
            if re.fullmatch(r'[a-z]\w*', word)]


def _shell_lines(page: Path) -> List[str]:
    """The lines of a page's blocks of commands and outputs, without comments.

    One that ends in a backslash, or is followed by a deeper one with options, goes on there.
    """
    lines = []
    for block in blocks(page):
        if block.language in ('', 'bash', 'sh'):
            text = re.sub(r'\\\n\s*|\n +(?=[-[])', ' ', block.text)
            lines += [re.sub(r'\s#\s.*', '', line).strip() for line in text.splitlines()
                      if not line.lstrip().startswith('#')]
    return lines
