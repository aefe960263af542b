"""One line of `mdapp doctor`: what was looked at, how it stands, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Verdict:
    """A checked item.

    Attributes
    ----------
    item
        What was looked at; a stable name that scripts may look for.
    status
        `bad` means that runs will fail or be wrong, `warn` that they will be slow or that
        something optional will not work.
    text
        What was found.
    fix
        What to do, empty if nothing is to be done.
    """

    item: str
    status: Status
    text: str
    fix: str = ""
