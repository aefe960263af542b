"""Every example runs as its README says and prints the digits that its `expected.json` holds."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/expected.json"))
CASES = [
    (folder, name)
    for folder in EXAMPLES
    for name in json.loads((folder / "expected.json").read_text())
    if name != "source"
]


def test_every_example_has_a_readme_and_expected_numbers() -> None:
    folders = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
    assert folders == EXAMPLES and folders
    assert all((folder / "README.md").exists() for folder in folders)


@pytest.mark.parametrize(("folder", "name"), CASES, ids=lambda part: getattr(part, "name", part))
@pytest.mark.parametrize("ranks", [1, 2])
def test_example(mpirun, tmp_path: Path, folder: Path, name: str, ranks: int) -> None:
    answer = tmp_path / "answer.json"
    command = ["-m", "mdapp", "run", str(folder / name), "--out", str(tmp_path / "run")]
    end = mpirun(ranks, [*command, "--json", str(answer)], timeout=200)
    assert end.code == 0, end.stderr
    rows = {str(row["step"]): row for row in json.loads(answer.read_text())["thermo"]}
    expected = json.loads((folder / "expected.json").read_text())[name]
    for step, columns in expected.items():
        printed = {column: f"{rows[step][column]:.8g}" for column in columns}
        assert printed == columns, f"step {step}"
