"""What every command prints alike: the JSON for machines, the text for people.

`--json -` puts the JSON on standard output, so that the text moves to standard error and the two
can be told apart by a pipe.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from mdapp.parallel.launcher import read_launch
from mdapp.report.plain import finite


def text_stream(json_target: str | None) -> TextIO:
    """Return where text for people goes, given the value of `--json`."""
    return sys.stderr if json_target == "-" else sys.stdout


def watched(stream: TextIO, launched: bool | None = None, launcher: int | None = None) -> bool:
    """Whether somebody watches a stream on a terminal, so that a progress bar makes sense.

    Open MPI puts a pseudo-terminal between each rank and itself even when its own output goes to a
    file or a pipe. A process that was launched therefore asks where its launcher's output goes.

    Parameters
    ----------
    launched, launcher
        Whether a launcher started this process, and the launcher's process id; by default what the
        environment says, and the parent.
    """
    if not stream.isatty():
        return False
    if not (read_launch().launcher != "none" if launched is None else launched):
        return True
    try:
        parent = os.getppid() if launcher is None else launcher
        output = str(Path(f"/proc/{parent}/fd/1").readlink())
    except OSError:                          # no such process, another user's, or no /proc at all
        return False
    return output.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))


def write_json(target: str, schema: str, version: int, body: Mapping[str, Any]) -> None:
    """Write a command's answer for machines.

    Parameters
    ----------
    target
        A file, or `-` for standard output.
    schema, version
        Name and version of the layout of `body`; they come first in the file.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    document = {"schema": schema, "version": version, **body}
    text = json.dumps(finite(document), indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(target).write_text(text, encoding="utf-8")


def check_json_target(target: str | None) -> None:
    """Find out before a long run whether its answer can be written at the end.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    if target not in (None, "-"):
        with Path(str(target)).open("a", encoding="utf-8"):
            pass
