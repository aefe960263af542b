"""Empty HDF5 files: all metadata before the first dataset, offsets as announced, nothing else."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from mdapp.storage.blocks import row_dtype
from mdapp.storage.container import create_container, plan_container
from mdapp.storage.files import REAL, raw
from mdapp.storage.state import STANDARD, Field

SIZES = (0, 1, 2, 3, 7, 64, 500, 1000, 2730, 5461, 5462, 8192, 20000, 65535, 65536, 65537, 100000)


@pytest.mark.parametrize("natoms", SIZES)
def test_bytes_come_back_through_h5py(tmp_path: Path, natoms: int) -> None:
    rows = -(-natoms // 65536)
    container = plan_container(natoms, rows, STANDARD, {"uuid": "u", "shard_index": 3, "step": 9})
    path, rng = tmp_path / "a.h5", np.random.default_rng(natoms)
    data = [rng.integers(0, 256, (natoms * f.atom_bytes), np.uint8) for f in STANDARD]
    with create_container(REAL, path, container) as file:
        assert file.size() == container.size
        for array, offset in zip(data, container.offsets, strict=True):
            assert not natoms or offset >= len(container.head)
            file.pwrite(raw(array), offset)
    assert path.read_bytes()[: len(container.head)] == container.head
    with h5py.File(path) as opened:
        assert dict(opened.attrs, mdapp_format=0) == {
            "mdapp_format": 0, "uuid": "u", "shard_index": 3, "step": 9,
        }  # fmt: skip
        assert opened.attrs["mdapp_format"].tolist() == [1, 0]
        assert opened["blocks"].dtype == row_dtype(5) and opened["blocks"].shape == (rows,)
        for field, array in zip(STANDARD, data, strict=True):
            dataset = opened[f"atoms/{field.name}"]
            assert dataset.shape == (natoms, *field.shape_tail) and dataset.chunks is None
            assert dataset.dtype.str == field.dtype
            assert dataset[:].tobytes() == array.tobytes()


@pytest.mark.parametrize("natoms", [10, 5000, 100000])
def test_all_metadata_is_in_the_head(tmp_path: Path, natoms: int) -> None:
    """Random bytes over everything behind the head leave the file readable."""
    container = plan_container(natoms, 1, STANDARD, {"uuid": "u"})
    path = tmp_path / "a.h5"
    create_container(REAL, path, container).close()
    with path.open("r+b") as file:
        file.seek(len(container.head))
        file.write(os.urandom(container.size - len(container.head)))
    with h5py.File(path) as opened:
        assert [opened[f"atoms/{f.name}"].shape[0] for f in STANDARD] == [natoms] * 5


def test_equal_input_makes_equal_bytes() -> None:
    a, b = (plan_container(777, 1, STANDARD, {"uuid": "u", "step": 1}) for _ in range(2))
    assert a == b
    assert plan_container(777, 1, STANDARD, {"uuid": "v", "step": 1}).head_crc != a.head_crc


def test_large_datasets_are_aligned_and_files_sparse(tmp_path: Path) -> None:
    """A file of 3.6 TB takes no time, no memory and no space."""
    natoms = 50_000_000_000
    container = plan_container(natoms, 762940, STANDARD, {}, alignment=1 << 22)
    assert all(o % (1 << 22) == 0 for o in (*container.offsets, container.table))
    assert container.size > 72 * natoms
    try:
        create_container(REAL, tmp_path / "a.h5", container).close()
    except OSError as error:
        pytest.skip(f"this file system has no files of that size: {error}")
    assert (tmp_path / "a.h5").stat().st_blocks < 100


def test_further_fields() -> None:
    spin = Field("spin", "|i1", (3,), "1", "spin")
    container = plan_container(100, 1, (*STANDARD, spin), {})
    assert container.size - len(container.head) == 100 * 75 + 80 + 12 * 6


def test_never_over_an_existing_file(tmp_path: Path) -> None:
    container = plan_container(1, 1, STANDARD, {})
    create_container(REAL, tmp_path / "a.h5", container).close()
    with pytest.raises(FileExistsError):
        create_container(REAL, tmp_path / "a.h5", container)
