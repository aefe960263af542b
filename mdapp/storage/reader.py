"""Values out of parsed JSON: each read names what it expects, and what is odd is a named error."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any, TypeGuard

from mdapp.storage.errors import DamagedError

# Offsets and counts must fit the signed 64 bits of the file format.
MOST = (1 << 63) - 1
_HEX = frozenset("0123456789abcdef")


class Reader:
    """A view of one JSON object that knows where it stands.

    Parameters
    ----------
    value : what was parsed
    where : file and path of keys, for messages
    """

    def __init__(self, value: Any, where: str):
        self.where = where
        if not isinstance(value, dict):
            raise DamagedError(f"{where}: {_show(value)} is no object")
        self.value: dict[str, Any] = value

    def wrong(self, key: str, expected: str) -> DamagedError:
        """Make the error of a value that is missing or odd."""
        if key not in self.value:
            return DamagedError(f"{self.where}.{key}: missing")
        return DamagedError(f"{self.where}.{key} = {_show(self.value[key])}: must be {expected}")

    def integer(self, key: str, least: int = 0, most: int = MOST) -> int:
        """Read an integer within bounds."""
        found = self.value.get(key)
        if not _is_integer(found) or not least <= found <= most:
            raise self.wrong(key, f"an integer from {least} to {most}")
        return found

    def number(self, key: str) -> float:
        """Read a finite number."""
        found = self.value.get(key)
        if not _is_number(found):
            raise self.wrong(key, "a finite number")
        return float(found)

    def text(self, key: str, allowed: Collection[str] | None = None) -> str:
        """Read a text, one of `allowed` if given."""
        found = self.value.get(key)
        if not isinstance(found, str) or (allowed is not None and found not in allowed):
            expected = "a text" if allowed is None else f"one of {', '.join(sorted(allowed))}"
            raise self.wrong(key, expected)
        return found

    def hexadecimal(self, key: str, digits: int) -> str:
        """Read exactly this many lower-case hexadecimal digits."""
        found = self.value.get(key)
        if not isinstance(found, str) or len(found) != digits or set(found) - _HEX:
            raise self.wrong(key, f"{digits} hexadecimal digits")
        return found

    def table(self, key: str) -> dict[str, Any]:
        """Read an object as it is."""
        found = self.value.get(key)
        if not isinstance(found, dict):
            raise self.wrong(key, "an object")
        return found

    def inner(self, key: str) -> Reader:
        """Read an object value by value."""
        return Reader(self.table(key), f"{self.where}.{key}")

    def array(self, key: str, length: int | None = None) -> list[Any]:
        """Read a list, of a given length if one is given."""
        found = self.value.get(key)
        if not isinstance(found, list) or (length is not None and len(found) != length):
            raise self.wrong(key, "a list" + (f" of {length}" if length is not None else ""))
        return found

    def each(self, key: str) -> Iterator[Reader]:
        """Read a list of objects."""
        for k, item in enumerate(self.array(key)):
            yield Reader(item, f"{self.where}.{key}[{k}]")

    def integers(self, key: str, length: int | None = None, least: int = 0) -> list[int]:
        """Read a list of integers."""
        found = self.array(key, length)
        if not all(_is_integer(v) and least <= v <= MOST for v in found):
            raise self.wrong(key, f"integers from {least} on")
        return found

    def numbers(self, key: str, length: int | None = None) -> list[float]:
        """Read a list of finite numbers."""
        found = self.array(key, length)
        if not all(_is_number(v) for v in found):
            raise self.wrong(key, "finite numbers")
        return [float(v) for v in found]

    def texts(self, key: str) -> list[str]:
        """Read a list of texts."""
        found = self.array(key)
        if not all(isinstance(v, str) for v in found):
            raise self.wrong(key, "texts")
        return found

    def truths(self, key: str, length: int) -> list[bool]:
        """Read a list of true and false."""
        found = self.array(key, length)
        if not all(isinstance(v, bool) for v in found):
            raise self.wrong(key, "true or false")
        return found


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[float]:
    try:
        return (_is_integer(value) or isinstance(value, float)) and math.isfinite(value)
    except OverflowError:
        return False


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
