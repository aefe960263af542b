"""O1: a file that grew is cut back, one that is shorter or another is left alone."""

from pathlib import Path

import pytest

from mdapp.storage.errors import DamagedError
from mdapp.storage.files import REAL
from mdapp.storage.outputs import TAIL_BYTES, note_output, resume_output

TEXT = bytes(range(256)) * 400


@pytest.mark.parametrize("size", [0, 1, TAIL_BYTES, TAIL_BYTES + 1, len(TEXT)])
def test_what_grew_is_cut(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.dump").write_bytes(TEXT[:size])
    entry = note_output(REAL, tmp_path, "a.dump")
    assert entry["size"] == size
    with (tmp_path / "a.dump").open("ab") as file:
        file.write(b"half a fra")
    assert resume_output(REAL, tmp_path, entry) == ""
    assert (tmp_path / "a.dump").read_bytes() == TEXT[:size]


def test_what_is_shorter_or_another_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.dump"
    path.write_bytes(TEXT)
    entry = note_output(REAL, tmp_path, "a.dump")
    for content, why in (
        (TEXT[:-1], "has 102399 bytes"),
        (TEXT[:-9] + b"x" + TEXT[-8:] + b"more", "not what it was"),
    ):
        path.write_bytes(content)
        assert why in resume_output(REAL, tmp_path, entry)
        assert path.read_bytes() == content
    path.unlink()
    assert "no longer there" in resume_output(REAL, tmp_path, entry)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.dump", ""])
def test_never_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    entry = {"path": name, "size": 0, "tail_crc": "00000000"}
    if name:
        with pytest.raises(DamagedError, match="outside"):
            resume_output(REAL, tmp_path, entry)
    with pytest.raises(DamagedError, match="size"):
        resume_output(REAL, tmp_path, {**entry, "size": -1})
