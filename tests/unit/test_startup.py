"""What is decided before numpy: shares of cpus, MPI-IO, the folder of compiled kernels."""

import os
import shutil
import time
from pathlib import Path

import pytest

from mdapp import kernel_cache, startup
from mdapp.errors import InputError
from mdapp.parallel import libraries
from mdapp.parallel.elf import read_shared_object
from mdapp.parallel.launcher import Launch, mpirun_environment, read_launch

OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "8",
    "OMPI_COMM_WORLD_RANK": "5",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
HYDRA = {"PMI_SIZE": "6", "PMI_RANK": "2", "MPI_LOCALNRANKS": "3", "MPI_LOCALRANKID": "2"}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "11",
    "SLURM_PROCID": "9",
    "SLURM_NODEID": "2",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2),3",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Launch("none", 1, 0, 1, 0)),
        (OPEN_MPI, Launch("Open MPI", 8, 5, 4, 1)),
        (HYDRA, Launch("MPICH", 6, 2, 3, 2)),
        (SLURM, Launch("Slurm", 11, 9, 3, 1)),
        # mpirun inside a Slurm step: mpirun started the process
        (SLURM | OPEN_MPI, Launch("Open MPI", 8, 5, 4, 1)),
        # a batch script is one process, whatever the size of its allocation
        ({"SLURM_NTASKS": "64", "SLURM_PROCID": "0", "PBS_NP": "64"}, Launch("none", 1, 0, 1, 0)),
        ({"PMI_SIZE": "x", "PMI_RANK": "0"}, Launch("none", 1, 0, 1, 0)),
    ],
)
def test_launchers(environ: dict[str, str], expected: Launch) -> None:
    assert read_launch(environ) == expected


@pytest.mark.parametrize(
    ("local_size", "mask", "parent", "bound", "per_rank", "oversubscribed"),
    [
        (1, 8, 8, False, 8, False),
        (4, 8, 8, False, 2, False),  # shared: divide
        (4, 2, 8, True, 2, False),  # bound by the launcher: all its own
        (4, 2, 2, False, 1, True),
        (1, 2, 8, False, 2, False),  # `taskset` around a single process
    ],
)
def test_share_of_a_node(
    local_size: int, mask: int, parent: int, bound: bool, per_rank: int, oversubscribed: bool
) -> None:
    launch = Launch("Open MPI", local_size, 0, local_size, 0)
    cpus = startup.share_of(launch, tuple(range(mask)), tuple(range(parent)))
    assert (cpus.bound, cpus.per_rank, cpus.oversubscribed) == (bound, per_rank, oversubscribed)


def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    chosen = {
        "HOME": str(tmp_path),
        "OPENBLAS_NUM_THREADS": "7",
        "OMP_NUM_THREADS": "3",
        "OMPI_MCA_io": "ompio",
        "NUMBA_CACHE_DIR": "/nowhere",
        "NUMBA_NUM_THREADS": "5",
        "JAX_PLATFORMS": "cuda",
        "JAX_COMPILATION_CACHE_DIR": "",
    }
    environ = dict(chosen)
    startup.prepare_numba(environ)
    startup.prepare_mpi_io(environ)
    startup.prepare_threads(environ, startup.Cpus((0, 1), False, 2, False))
    startup.prepare_jax(environ)
    assert {name: environ[name] for name in chosen} == chosen
    assert environ["MKL_NUM_THREADS"] == "1"
    assert environ["PJRT_NPROC"] == "2"
    assert environ["JAX_CPU_ENABLE_ASYNC_DISPATCH"] == "false"


def test_what_jax_compiles_lies_beside_the_other_kernels() -> None:
    environ = {"NUMBA_CACHE_DIR": "/cache/numba-1"}
    startup.prepare_jax(environ)
    assert environ["JAX_COMPILATION_CACHE_DIR"] == "/cache/numba-1/xla"
    assert environ["JAX_PLATFORMS"] == "cpu"


def test_mpi_io_of_the_users_parameter_file(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    startup.prepare_mpi_io(environ)
    assert environ["OMPI_MCA_io"] == "^ompio"
    (tmp_path / ".openmpi").mkdir()
    (tmp_path / ".openmpi" / "mca-params.conf").write_text("# mine\nio = ompio\n")
    environ = {"HOME": str(tmp_path)}
    startup.prepare_mpi_io(environ)
    assert "OMPI_MCA_io" not in environ


def test_a_library_import_leaves_blas_alone(python) -> None:
    script = (
        "import os, sys, mdapp\n"
        "print(os.environ.get('OPENBLAS_NUM_THREADS'), os.environ['NUMBA_NUM_THREADS'],"
        " 'numpy' in sys.modules, 'mpi4py' in sys.modules)"
    )
    clean = {"OPENBLAS_NUM_THREADS": "", "NUMBA_NUM_THREADS": "2"}
    end = python(["-c", "import os; os.environ.pop('OPENBLAS_NUM_THREADS')\n" + script], env=clean)
    assert end.stdout.split() == ["None", "2", "False", "False"], end.stderr


# --- the folder of compiled kernels ------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the layout: package `mdapp` with a kernel room, and `potentials` beside it."""
    for name in ("mdapp/neighbors/deep", "mdapp/cli", "potentials/pair"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.py").write_text("x = 1\n")
    return tmp_path / "mdapp"


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("neighbors/deep/a.py", True),
        ("../potentials/pair/a.py", True),
        ("cli/a.py", False),
    ],
)
def test_an_edited_callee_gives_another_folder(tree: Path, file: str, counts: bool) -> None:
    before = kernel_cache.kernel_hash(tree)
    assert kernel_cache.kernel_hash(tree) == before
    (tree / file).write_text("x = 2\n")
    assert (kernel_cache.kernel_hash(tree) != before) == counts


def test_a_moved_function_gives_another_folder(tree: Path) -> None:
    before = kernel_cache.kernel_hash(tree)
    (tree / "neighbors/deep/a.py").rename(tree / "neighbors/deep/b.py")
    assert kernel_cache.kernel_hash(tree) != before


def test_the_hash_takes_milliseconds() -> None:
    """The median of several, since the machine may be busy; the bound is ten times the usual."""
    package = Path(startup.__file__).parent
    took = []
    for _ in range(9):
        start = time.perf_counter()
        kernel_cache.kernel_hash(package)
        took.append(time.perf_counter() - start)
    assert sorted(took)[4] < 0.010


def test_folder_in_the_users_cache(tree: Path, tmp_path: Path) -> None:
    folder = kernel_cache.prepare_folder({"XDG_CACHE_HOME": str(tmp_path / "xdg")}, tree)
    assert folder.parent == tmp_path / "xdg" / "mdapp"
    assert kernel_cache.cache_root({"HOME": "/home/x"}) == Path("/home/x/.cache/mdapp")


def test_folder_where_the_cache_cannot_be_written(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = kernel_cache.prepare_folder({"XDG_CACHE_HOME": str(tmp_path / "file")}, tree)
    private = tmp_path / f"mdapp-{os.getuid()}"
    assert folder.parent == private
    assert private.stat().st_mode & 0o777 == 0o700
    private.chmod(0o777)
    other = kernel_cache.prepare_folder({"XDG_CACHE_HOME": str(tmp_path / "file")}, tree)
    assert other.parent != private
    shutil.rmtree(other)


def test_old_folders_are_removed(tmp_path: Path) -> None:
    names = ("numba-old", "numba-new", "other")
    for name in names:
        (tmp_path / name).mkdir()
    now = time.time()
    for name in ("numba-old", "other"):
        os.utime(tmp_path / name, (now - 31 * 86400,) * 2)
    kernel_cache.prune(tmp_path, now)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["numba-new", "other"]


# --- MPI libraries ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("libmpi.so.40", libraries.OPEN_MPI),
        ("/usr/lib/x86_64-linux-gnu/libmpi.so.40.30.4", libraries.OPEN_MPI),
        ("/env/lib/libmpi.so.12", libraries.MPICH),
        ("libmpich.so.12", libraries.MPICH),
        ("libhdf5_openmpi.so.103", libraries.OPEN_MPI),
        ("libhdf5_mpich.so.103", libraries.MPICH),
        ("Open MPI v4.1.4", libraries.OPEN_MPI),
        ("MPICH 4.0.2", libraries.MPICH),
        ("Intel(R) MPI Library 2021.11", libraries.MPICH),
        ("libhdf5.so.310", None),
    ],
)
def test_families(name: str, family: str | None) -> None:
    assert libraries.family_of(name) == family


def test_a_foreign_launcher_is_refused() -> None:
    open_mpi, hydra = read_launch(OPEN_MPI), read_launch(HYDRA)
    libraries.check_launcher(open_mpi, libraries.OPEN_MPI)
    libraries.check_launcher(open_mpi, None)
    libraries.check_launcher(read_launch(SLURM), libraries.MPICH)
    libraries.check_launcher(Launch("MPICH", 1, 0, 1, 0), libraries.OPEN_MPI)
    for launch, library in ((open_mpi, libraries.MPICH), (hydra, libraries.OPEN_MPI)):
        with pytest.raises(InputError, match="full copy"):
            libraries.check_launcher(launch, library)


def test_copies_of_a_run_are_refused() -> None:
    libraries.check_world(read_launch({}), 1, "Open MPI v4.1.4")
    libraries.check_world(Launch("Open MPI", 1, 0, 1, 0), 1, "Open MPI v4.1.4")
    libraries.check_world(read_launch(OPEN_MPI), 8, "Open MPI v4.1.4")
    with pytest.raises(InputError, match=r"started 8 processes.*1 rank:.*mpirun"):
        libraries.check_world(read_launch(OPEN_MPI), 1, "MPICH 4.2")
    with pytest.raises(InputError, match="srun --mpi"):
        libraries.check_world(read_launch(SLURM), 1, "Open MPI v4.1.4")


def test_an_hdf5_of_another_mpi_is_refused() -> None:
    libraries.check_hdf5(libraries.OPEN_MPI, None)
    libraries.check_hdf5(libraries.OPEN_MPI, (libraries.OPEN_MPI, "libmpi.so.40"))
    with pytest.raises(InputError, match=r"libmpich\.so\.12.*pip install"):
        libraries.check_hdf5(libraries.OPEN_MPI, (libraries.MPICH, "libmpich.so.12"))
    libraries.check_loaded(("/usr/lib/libmpi.so.40",))
    libraries.check_one_hdf5(("/usr/lib/libhdf5_openmpi.so.103",))
    with pytest.raises(InputError, match=r"two HDF5 libraries.*netCDF4"):
        libraries.check_one_hdf5(("/usr/lib/libhdf5_openmpi.so.103", "/e/libhdf5-2d4f.so.310"))
    with pytest.raises(InputError, match="two MPI libraries"):
        libraries.check_loaded(("/usr/lib/libmpi.so.40", "/env/lib/libmpi.so.12"))


def test_elf_reader_against_the_running_process() -> None:
    """What mpi4py's extension needs is what is mapped once it has been imported."""
    import mpi4py.MPI

    needed = read_shared_object(Path(mpi4py.MPI.__file__)).needed
    mapped = {Path(p).name for p in libraries.loaded_libraries()}
    wanted = [name for name in needed if name.startswith("libmpi")]
    assert wanted
    assert all(any(m.startswith(name) for m in mapped) for name in wanted)


def test_elf_reader_on_something_else(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no library")
    (tmp_path / "short").write_bytes(b"\x7fELF\x02\x01")
    for name in ("text", "short", "missing"):
        assert read_shared_object(tmp_path / name).needed == ()


def test_an_inner_mpirun_does_not_see_the_outer_one() -> None:
    env = mpirun_environment(OPEN_MPI | {"PMIX_RANK": "1", "PATH": "/bin"})
    assert env["PATH"] == "/bin"
    assert "OMPI_COMM_WORLD_SIZE" not in env and "PMIX_RANK" not in env
    assert mpirun_environment({"OMPI_MCA_io": "ompio"})["OMPI_MCA_io"] == "ompio"
