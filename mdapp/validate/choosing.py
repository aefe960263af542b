"""Which checks are run: those of a level, or those that were named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mdapp.errors import InputError
from mdapp.model.elements import nearest
from mdapp.validate.registry import CHECKS, LEVELS, CheckSpec, of_level


def chosen_checks(level: str, named: Sequence[str], skipped: Sequence[str], references: bool
                  ) -> list[CheckSpec]:
    """The checks to run, in the order of the table.

    That on labelled data is left out of a level where there are none; those that are not there
    yet are named all the same.

    Raises
    ------
    InputError : no such level or check
    """
    if level not in LEVELS:
        raise InputError(f"--level {level}: must be one of {', '.join(LEVELS)}"
                         f"{nearest(level, LEVELS)}")
    chosen = numbers_of(named, "--check") if named else {
        c.number for c in of_level(level)
        if references or c.key != "parity_data"}
    if not named and references:
        chosen |= {c.number for c in CHECKS if c.key in ("parity_impl", "parity_data")}
    chosen -= numbers_of(skipped, "--skip")
    if not chosen:
        raise InputError("--skip: leaves no check")
    return [c for c in CHECKS if c.number in chosen]


def numbers_of(texts: Sequence[str], option: str) -> set[int]:
    """Numbers of checks given as 2,14-17 or by their keys."""
    keys = {c.key: c.number for c in CHECKS}
    found: set[int] = set()
    for word in (w.strip() for text in texts for w in text.split(",")):
        first, dash, last = word.partition("-")
        if word in keys:
            found.add(keys[word])
        elif first.isdigit() and (last.isdigit() if dash else True):
            span = range(int(first), int(last or first) + 1)
            if not span or not set(span) <= set(keys.values()):
                raise InputError(f"{option} {word}: checks are numbered 1 to {len(CHECKS)}")
            found |= set(span)
        else:
            raise InputError(f"{option} {word}: no such check{nearest(word, list(keys))}; give "
                             "numbers such as 2,14-17, or keys; --list shows them")
    return found


def listed() -> Iterator[str]:
    """Lines of --list."""
    for c in CHECKS:
        missing = "" if c.function else "  (not there yet)"
        yield f"{c.number:3} {c.key:14} {c.category:14} {c.level:9} {c.title}{missing}"
