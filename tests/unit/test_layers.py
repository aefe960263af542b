"""The arrows between the rooms: who may import whom, and who may print."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Room: what nothing in it may import, at any depth of the tree.
FORBIDDEN = {
    "potentials": ("mdapp", "mpi4py", "scaling"),
    "mdapp/parallel": ("potentials", "mdapp.integrate", "mdapp.analysis", "mdapp.cli"),
    "mdapp/neighbors": ("potentials", "mdapp.integrate", "mdapp.analysis", "mdapp.cli"),
    "mdapp/storage": ("potentials", "mdapp.integrate", "mdapp.analysis", "mdapp.cli"),
    "mdapp/integrate": ("mpi4py", "mdapp.cli"),
    "mdapp/analysis": ("mpi4py", "mdapp.cli"),
    "mdapp/model": ("mdapp.cli", "mdapp.integrate", "mdapp.analysis"),
    "mdapp/perf": ("scaling", "mdapp.cli"),
    "mdapp/report": ("scaling", "potentials", "mpi4py", "mdapp.cli", "mdapp.simulation"),
    "mdapp/plot": ("scaling", "potentials", "mdapp.cli", "mdapp.simulation", "mdapp.integrate"),
    "mdapp": ("scaling",),
}

# Commands join the engine and the studies of it, which are a package of their own.
COMMANDS_OF_STUDIES = ("mdapp/cli/scale.py", "mdapp/cli/plan.py")

# The seam's types and the vector instructions lie with the kernels, and hold no physics.
SHARED = ("potentials.base", "potentials.simd")

# Read before numpy, numba, jax or mpi4py may be imported: only the standard library and each other.
STDLIB_ONLY = {
    "mdapp/__init__.py": ("mdapp.simulation",),
    "mdapp/startup.py": (),
    "mdapp/kernel_cache.py": (),
    "mdapp/parallel/__init__.py": (),
    "mdapp/parallel/launcher.py": (),
}
HEAVY = ("numpy", "numba", "scipy", "jax", "mpi4py", "h5py", "typer", "rich", "pydantic")


def imported(tree: ast.AST) -> Iterator[str]:
    """Names that a module imports; what stands under TYPE_CHECKING never runs and is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room they reach into"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported(node)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_only_what_they_may_know(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        if str(path.relative_to(ROOT)) not in COMMANDS_OF_STUDIES
        for name in imported(parsed(path))
        if any(within(name, package) for package in FORBIDDEN[room])
        and not any(within(name, module) for module in SHARED)
    ]
    assert not wrong


@pytest.mark.parametrize("file", STDLIB_ONLY)
def test_what_runs_first_imports_nothing_heavy(file: str) -> None:
    names = set(imported(parsed(ROOT / file)))
    allowed = tuple(Path(f).with_suffix("").as_posix().replace("/", ".") for f in STDLIB_ONLY)
    for name in names:
        assert not any(within(name, heavy) for heavy in HEAVY), name
        if within(name, "mdapp"):
            known = (*allowed, *STDLIB_ONLY[file], "mdapp.startup")
            assert any(within(name, module) for module in known), name


def test_only_the_command_line_prints() -> None:
    wrong = []
    for path in modules("mdapp") + modules("potentials"):
        if path.is_relative_to(ROOT / "mdapp" / "cli"):
            continue
        tree = parsed(path)
        calls = (n.func for n in ast.walk(tree) if isinstance(n, ast.Call))
        if any(isinstance(f, ast.Name) and f.id == "print" for f in calls):
            wrong.append(f"{path.relative_to(ROOT)} prints")
        if any(within(n, "rich") or within(n, "typer") for n in imported(tree)):
            wrong.append(f"{path.relative_to(ROOT)} imports rich or typer")
    assert not wrong


def test_the_test_sees_a_forbidden_import() -> None:
    source = "def f():\n    if x:\n        from mdapp.cli import main\n    import mpi4py.MPI\n"
    tree = ast.parse(source)
    names = list(imported(tree))
    assert names == ["mdapp.cli.main", "mpi4py.MPI"]
    assert within("mpi4py.MPI", "mpi4py") and not within("mpi4pyx", "mpi4py")
