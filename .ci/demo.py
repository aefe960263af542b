"""What `make demo` shows: the LJ melt on one rank and on two, and a LAMMPS script run unchanged.

The decks must agree with each other, the script with the digits that LAMMPS prints for it.

Each run is the command that a user would type; it is printed before it starts.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.prefix, "bin")
MELT = Path("examples/lj_melt")
SECONDS = 600


def run(name: str, ranks: int, folder: Path) -> dict[str, Any]:
    """Run an input of the melt and return what the run says of itself."""
    answer = folder / f"{name}-{ranks}.json"
    command = [
        str(BIN / "mpirun"), "-n", str(ranks), str(BIN / "mdapp"), "run", str(MELT / name),
        "--out", str(folder / f"{name}-{ranks}.run"), "--json", str(answer),
    ]  # fmt: skip
    shown = " ".join(word.replace(f"{ROOT}/", "") for word in command)
    print(f"\n$ {shown}", flush=True)
    subprocess.run(command, cwd=ROOT, check=True, timeout=SECONDS)
    document: dict[str, Any] = json.loads(answer.read_text())
    return document


def main() -> int:
    """Run on one and on two ranks and compare."""
    subprocess.run([str(BIN / "mdapp"), "--version"], check=True)
    with tempfile.TemporaryDirectory(prefix="mdapp-demo-") as folder:
        one, two = (run("deck.toml", ranks, Path(folder)) for ranks in (1, 2))
        script = run("in.lj", 2, Path(folder))
    print(f"\n{'ranks':>5} {'atoms':>8} {'steps':>6} {'million atom-steps/s':>21} {'E_total':>16}")
    for answer in (one, two, script):
        rate, energy = answer["atom_steps_per_s"] / 1e6, answer["thermo"][-1]["etotal"]
        print(
            f"{answer['ranks']:>5} {answer['atoms']:>8} {answer['steps']:>6} "
            f"{rate:>21.2f} {energy:>16.10f}"
        )
    first = [answer["thermo"][0]["etotal"] for answer in (one, two)]
    same = abs(first[0] - first[1]) <= 1e-12 * abs(first[0])
    speedup = one["loop_s"] / two["loop_s"]
    print(f"two ranks are {speedup:.2f} times as fast as one; same initial energy: {same}")
    as_lammps = prints_as_lammps(script)
    print(f"in.lj prints the digits of LAMMPS at its first and last step: {as_lammps}")
    print("next: mdapp run --help, mdapp doctor, make test")
    return 0 if same and as_lammps else 1


def prints_as_lammps(answer: dict[str, Any]) -> bool:
    """Whether the thermo rows of in.lj round to what LAMMPS prints, see expected.json."""
    expected = json.loads((ROOT / MELT / "expected.json").read_text())["in.lj"]
    rows = {str(row["step"]): row for row in answer["thermo"]}
    return all(
        f"{rows[step][name]:.8g}" == digits
        for step, columns in expected.items()
        for name, digits in columns.items()
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        sys.exit(f"demo failed: {error}")
