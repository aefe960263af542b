"""From the text of a script to commands: lines, comments, quotes, variables, words.

The order is LAMMPS's, and it matters: a trailing `&` joins lines before anything else is looked
at, so a comment that ends in & swallows the next line; then the comment goes; then variables are
replaced, except within quotes; then the rest is split at blanks, quotes keeping words together.
Triple quotes may hold line breaks.  What replaced a variable is not searched for variables again,
but is split into words.
"""

from __future__ import annotations

from collections.abc import Iterator

from mdapp.lammps.formula import FormulaError
from mdapp.lammps.variables import Variables

TRIPLE = '"""'


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Join physical lines: number of the first one, and the text of a command with its comment."""
    start, joined = 0, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not joined:
            start = number
        joined += line
        if joined.rstrip().endswith("&"):
            joined = joined.rstrip()[:-1]
            # An & on a line of its own still waits for the next one.
            joined = joined or " "
        elif joined.count(TRIPLE) % 2:
            joined += "\n"
        else:
            yield start, joined
            joined = ""
    if joined.strip():
        yield start, joined


def words(line: str, variables: Variables) -> list[str]:
    """Split a joined line into words, variables replaced and quotes removed.

    Raises
    ------
    FormulaError : a quote without its partner, or a variable without a value
    """
    return split(substitute(strip_comment(line), variables))


def strip_comment(line: str) -> str:
    """Cut a line at the first # outside quotes."""
    at = 0
    while at < len(line):
        if line[at] == "#":
            return line[:at]
        at = _after_quote(line, at) if line[at] in "'\"" else at + 1
    return line


def substitute(line: str, variables: Variables) -> str:
    """Replace $x, ${name} and $(formula) outside quotes."""
    parts, at = [], 0
    while at < len(line):
        if line[at] in "'\"":
            end = _after_quote(line, at)
            parts.append(line[at:end])
        elif line[at] == "$":
            text, end = _value(line, at, variables)
            parts.append(text)
        else:
            end = at + 1
            parts.append(line[at])
        at = end
    return "".join(parts)


def split(line: str) -> list[str]:
    """Split at blanks; a word that begins with a quote reaches to the end of the quote."""
    found, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
        elif line[at] in "'\"":
            end = _after_quote(line, at)
            width = 3 if line.startswith(TRIPLE, at) else 1
            if end < len(line) and not line[end].isspace():
                raise FormulaError("a closing quote must be followed by a blank")
            found.append(line[at + width:end - width])
            at = end
        else:
            end = at
            while end < len(line) and not line[end].isspace():
                end += 1
            found.append(line[at:end])
            at = end
    return found


def _after_quote(line: str, at: int) -> int:
    """Return the index behind the quoted text that begins at `at`."""
    mark = TRIPLE if line.startswith(TRIPLE, at) else line[at]
    end = line.find(mark, at + len(mark))
    if end < 0:
        raise FormulaError(f"a {mark} without its closing partner")
    return end + len(mark)


def _value(line: str, at: int, variables: Variables) -> tuple[str, int]:
    """Return the value of the variable whose $ is at `at`, and the index behind it."""
    after = line[at + 1:at + 2]
    if after == "{":
        end = line.find("}", at)
        if end < 0:
            raise FormulaError("a ${ without its closing }")
        return variables.text(line[at + 2:end]), end + 1
    if after == "(":
        end = _closing_parenthesis(line, at + 1)
        return variables.immediate(line[at + 2:end]), end + 1
    if not after or after.isspace():
        raise FormulaError("a $ must be followed by a letter, {name} or (formula)")
    return variables.text(after), at + 2


def _closing_parenthesis(line: str, at: int) -> int:
    depth = 0
    for end in range(at, len(line)):
        depth += {"(": 1, ")": -1}.get(line[end], 0)
        if depth == 0:
            return end
    raise FormulaError("a $( without its closing )")
