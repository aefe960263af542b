"""The canary lives where bytes stay, and dies where one of them does not. (G1)"""

import errno
from pathlib import Path

import h5py
import pytest
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.canary import RECORD_BYTES, RECORDS, check_engine
from mdapp.storage.errors import StorageAccessError
from mdapp.storage.layout import TAMED_OMPIO, resolved_engine
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Fault, FaultyFileSystem
from tests.restart.stored import make_state

ENGINES = ["pwrite", "mpio-independent", "mpio-collective"]


def skip_without_mpio(engine: str) -> None:
    if engine.startswith("mpio") and not h5py.get_config().mpi:
        pytest.skip("this h5py is built without MPI")


@pytest.mark.parametrize("engine", ENGINES)
def test_it_lives(tmp_path: Path, engine: str) -> None:
    skip_without_mpio(engine)
    check_engine(MPI.COMM_SELF, FaultyFileSystem(), tmp_path, engine, 60.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [2, 7, RECORDS, 2 * RECORDS + 4])
def test_a_lost_record_kills_it(tmp_path: Path, n: int) -> None:
    fs = FaultyFileSystem()
    fs.arm(Fault("pwrite", n, "lose"))
    with pytest.raises(StorageAccessError, match=f"1 of {RECORDS * len(RECORD_BYTES)} test rec"):
        check_engine(MPI.COMM_SELF, fs, tmp_path, "pwrite", 60.0)


def test_nothing_shared_is_written_after_it_died(tmp_path: Path) -> None:
    fs = FaultyFileSystem()
    options = CheckpointOptions(layout="shared", engine="pwrite")
    with CheckpointStore(MPI.COMM_SELF, tmp_path / "c", options, fs) as store:
        fs.arm(Fault("pwrite", 5, "lose"))
        with pytest.raises(StorageAccessError, match="cannot be trusted"):
            store.write(make_state())
        fs.arm(Fault("pwrite", 5, errno.EIO))
        with pytest.raises(StorageAccessError, match="canary"):
            store.write(make_state())
        fs.disarm()
        assert store.write(make_state()).result == "committed"


def test_ompio_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open MPI's own MPI-IO before 5 has the defect that the canary may miss."""
    skip_without_mpio("mpio-collective")
    if "Open MPI" not in MPI.Get_library_version():
        pytest.skip("needs Open MPI")
    options = CheckpointOptions(layout="shared")
    monkeypatch.setenv("OMPI_MCA_io", "^ompio")
    assert resolved_engine(options) == "mpio-independent"
    for chosen in ("ompio", ""):
        monkeypatch.setenv("OMPI_MCA_io", chosen)
        with pytest.raises(InputError, match="OMPIO"):
            resolved_engine(options)
    allowed = CheckpointOptions(layout="shared", allow_ompio=True)
    for name in TAMED_OMPIO:
        monkeypatch.delenv(name, raising=False)
    for name, value in TAMED_OMPIO.items():
        with pytest.raises(InputError, match=f"also set .*{name}="):
            resolved_engine(allowed)
        monkeypatch.setenv(name, value)
    assert resolved_engine(allowed) == "mpio-independent"
    with pytest.raises(InputError, match="OMPIO"):
        resolved_engine(options)


def test_async_needs_an_engine_without_mpi() -> None:
    skip_without_mpio("mpio-collective")
    with pytest.raises(InputError, match="async"):
        resolved_engine(CheckpointOptions(layout="shared", mode="async"))
