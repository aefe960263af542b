"""JSON that carries its own checksum: one object, one line, any JSON tool can read it.

    {"format":"mdapp-checkpoint","crc":"crc32:1a2b3c4d","body":{ ... }}

The CRC covers exactly the bytes of `body`. It is taken over what was written, not over what a
parser makes of it, and everything around it has one allowed spelling, lower case included: so each
changed bit of the file is found. Writing is canonical (sorted keys, no spaces, no NaN), which makes
equal bodies equal files.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mdapp.errors import InputError
from mdapp.storage.crc import crc32
from mdapp.storage.errors import DamagedError, FormatVersionError

ALGORITHM = "crc32"
FORMAT = "mdapp-checkpoint"
_HEAD = re.compile(rb'\{"format":"([^"]*)","crc":"([a-z0-9_]+):([0-9a-f]+)","body":')
_TAIL = b"}\n"


def seal(body: dict[str, Any]) -> bytes:
    """Bytes of the file that holds `body`.

    Raises
    ------
    InputError
        A value that JSON cannot hold exactly, such as NaN.
    """
    try:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"checkpoint: the state's values do not fit JSON: {error}") from None
    inner = text.encode("ascii")
    head = f'{{"format":"{FORMAT}","crc":"{ALGORITHM}:{crc32(inner):08x}","body":'
    return head.encode("ascii") + inner + _TAIL


def unseal(data: bytes, name: str) -> dict[str, Any]:
    """Return the body of a sealed file.

    Raises
    ------
    DamagedError
        The bytes are not what was written.
    FormatVersionError
        Sealed with an algorithm that this version does not know.
    """
    head = _HEAD.match(data)
    if head is None or not data.endswith(_TAIL):
        what = "is empty" if not data else "is cut off or is no manifest"
        raise DamagedError(f"{name}: {what} ({len(data)} bytes)")
    inner = memoryview(data)[head.end() : len(data) - len(_TAIL)]
    algorithm, digits = head[2].decode(), head[3].decode()
    intact = digits == f"{crc32(inner):08x}"
    if algorithm != ALGORITHM and not intact:
        raise FormatVersionError(
            f"{name}: sealed with {algorithm!r}, which this version of mdapp does not know "
            f"(it knows {ALGORITHM}); use a newer mdapp"
        )
    if head[1] != FORMAT.encode() or algorithm != ALGORITHM or not intact:
        raise DamagedError(f"{name}: its checksum does not fit its content")
    return _parse(bytes(inner), name)


def _parse(inner: bytes, name: str) -> dict[str, Any]:
    try:
        body = json.loads(
            inner.decode("ascii"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{name}: is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise DamagedError(f"{name}: body is {type(body).__name__}, not an object")
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")
