"""What there is: every style with its keys, as data and as the table of the project's README.

Nothing is written down twice: keys come from the signatures of the styles' functions, lists and
precisions from the classes, titles and sources from the heads of the modules that implement them.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from potentials.registry import STYLES, Factory


@dataclass(frozen=True)
class Entry:
    """A style.

    Attributes
    ----------
    style, title : its name, and what it is
    keys : that a deck may give, in the order in which a shorthand's values fill them
    lists : neighbours it wants: clusters, full; empty where that depends on its parts
    precisions : it can do
    sources : DOIs of its equations
    """

    style: str
    title: str
    keys: tuple[str, ...]
    lists: str
    precisions: tuple[str, ...]
    sources: tuple[str, ...]


def catalogue() -> list[Entry]:
    """All styles that are built in."""
    return [entry_of(style, factory) for style, factory in STYLES.items()]


def entry_of(style: str, factory: Factory) -> Entry:
    """What can be said of a style without making it."""
    keys = [p.name for p in inspect.signature(factory).parameters.values()
            if p.kind is p.KEYWORD_ONLY]
    made = maker_of(factory)
    text = inspect.getdoc(inspect.getmodule(made)) or ""
    return Entry(style, re.split(r"[:.]\s", text.replace("\n", " ") + ". ")[0], tuple(keys),
                 default_of(made, "lists", ""), default_of(made, "precisions", ()),
                 tuple(re.findall(r"\bdoi\s+(10\.[^\s,;]*[^\s,;.)])", text)))


def maker_of(factory: Factory) -> Any:
    """The class whose method a factory is, or that its attribute `makes` names, or itself."""
    return getattr(factory, "makes", None) or getattr(factory, "__self__", None) or factory


def default_of(made: Any, name: str, otherwise: Any) -> Any:
    """A class attribute, which is a field's default; not where it is computed."""
    value = getattr(made, name, otherwise)
    return otherwise if isinstance(value, property) else value


def markdown(entries: list[Entry]) -> str:
    """The table of the project's README."""
    rows = ["| style | what | keys | lists | source |", "|---|---|---|---|---|"]
    for e in entries:
        keys = ", ".join(e.keys)
        sources = ", ".join(f"[{doi}](https://doi.org/{doi})" for doi in e.sources)
        rows.append(f"| `{e.style}` | {e.title} | {keys} | {e.lists} | {sources} |")
    return "\n".join(rows)


def plain(entries: list[Entry]) -> str:
    """A table for a terminal."""
    width = max(len(e.style) for e in entries)
    return "\n".join(f"{e.style:{width}}  {e.title}\n{'':{width}}  keys: {', '.join(e.keys)}"
                     for e in entries)
