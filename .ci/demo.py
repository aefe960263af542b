"""What `make demo` shows: the LJ melt on one rank and on two, and that both are the same physics.

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
DECK = "examples/lj_melt/deck.toml"
SECONDS = 600


def run(ranks: int, folder: Path) -> dict[str, Any]:
    """Run the melt and return what the run says of itself."""
    answer = folder / f"{ranks}.json"
    command = [
        str(BIN / "mpirun"), "-n", str(ranks), str(BIN / "mdapp"), "run", DECK,
        "--out", str(folder / f"{ranks}.run"), "--json", str(answer),
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
        one, two = (run(ranks, Path(folder)) for ranks in (1, 2))
    print(f"\n{'ranks':>5} {'atoms':>8} {'steps':>6} {'million atom-steps/s':>21} {'E_total':>16}")
    for answer in (one, two):
        rate, energy = answer["atom_steps_per_s"] / 1e6, answer["thermo"][-1]["etotal"]
        print(
            f"{answer['ranks']:>5} {answer['atoms']:>8} {answer['steps']:>6} "
            f"{rate:>21.2f} {energy:>16.10f}"
        )
    first = [answer["thermo"][0]["etotal"] for answer in (one, two)]
    same = abs(first[0] - first[1]) <= 1e-12 * abs(first[0])
    speedup = one["loop_s"] / two["loop_s"]
    print(f"two ranks are {speedup:.2f} times as fast as one; same initial energy: {same}")
    print("next: mdapp run --help, mdapp doctor, make test")
    return 0 if same else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        sys.exit(f"demo failed: {error}")
