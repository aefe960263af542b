"""Storage knows no physics: what it may import of mdapp is short, and its door is one file."""

import ast

import pytest

from tests.unit.test_layers import ROOT, imported, parsed, within

STORAGE = "mdapp/storage"
MAY_KNOW = (
    "mdapp.errors", "mdapp.storage", "mdapp.parallel", "mdapp.model.box", "mdapp.model.state_hash",
)  # fmt: skip
# What belongs to checkpoints; trajectories have readers and rooms of their own.
CHECKPOINTS = (
    "admission", "attempt", "background", "blocks", "canary", "cargo", "committing", "consensus",
    "container", "copying", "crc", "engines",
    "envelope", "errors", "files", "layout", "lock", "look", "manifest", "metrics", "names",
    "options", "order", "outputs", "provenance", "publish", "reader", "reading", "redistribute",
    "restore", "retention", "state", "store", "survey", "watchdog",
    "levels/choosing", "levels/drain", "levels/lineage", "levels/local", "levels/merging",
    "levels/nodes", "levels/options", "levels/partner", "levels/reading", "levels/records",
    "levels/sets", "levels/store",
)  # fmt: skip
# Calls that touch files; `files.py` makes them, everybody else asks it to.
SYSTEM_CALLS = {
    "open", "write", "pwrite", "read", "pread", "preadv", "fsync", "fdatasync", "close", "mkdir",
    "makedirs", "rename", "replace", "unlink", "remove", "rmdir", "listdir", "scandir", "statvfs",
    "ftruncate", "truncate",
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_storage_knows_no_physics(name: str) -> None:
    path = ROOT / STORAGE / f"{name}.py"
    for module in imported(parsed(path)):
        if within(module, "mdapp"):
            assert any(within(module, allowed) for allowed in MAY_KNOW), f"{path}: {module}"


def system_calls(tree: ast.AST) -> list[str]:
    """Uses of os.pwrite and the like, and of the built-in open."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in SYSTEM_CALLS:
                found.append(f"os.{name}")
            case ast.Call(func=ast.Name(id="open")):
                found.append("open")
    return found


@pytest.mark.parametrize("name", [n for n in CHECKPOINTS if n != "files"])
def test_one_door_to_the_operating_system(name: str) -> None:
    path = ROOT / STORAGE / f"{name}.py"
    assert system_calls(parsed(path)) == []


def test_the_test_sees_a_back_door() -> None:
    source = "import os\ndef f(fd):\n    os.fsync(fd)\n    open('x')\n"
    assert sorted(system_calls(ast.parse(source))) == ["open", "os.fsync"]
    assert "os.pwrite" in system_calls(parsed(ROOT / STORAGE / "files.py"))
