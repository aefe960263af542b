"""Other codes in a study: which decks they can run, and what their scripts become."""

from pathlib import Path
from typing import Any

import pytest

from mdapp.errors import InputError
from scaling.peers.base import Measured, Variant
from scaling.peers.codes.lammps import Lammps
from scaling.studies import peers
from scaling.studies.peers import in_two_windows, peer_points
from scaling.studies.point import Point
from scaling.studies.points import Case, points_of

ROOT = Path(__file__).resolve().parents[2]
MELT = ROOT / "examples" / "lj_melt"
ENVIRONMENT: Any = type("Environment", (), {"cpu": "made up"})


class Fake(Lammps):
    """LAMMPS that nobody installed: `sh` in its place, whose log is written beforehand."""

    def versions(self) -> dict[str, str]:
        return {"release": "none"}

    def command(self, variant: Variant, job: Any) -> list[str]:
        return ["sh", "-c", f"test -s {job.script.name} && grep -q 'run 7' {job.script.name}"]

    def read(self, job: Any) -> Measured:
        start = {"step": 3.0, "temp": 1.4, "epair": -6.0, "etotal": -4.6, "press": 0.1}
        return Measured(0.7, {"Pair": 0.5}, 0.1, 2, 0, (start, start), 200.0)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "_installed", lambda code, folder: Fake(tmp_path))


def points(case: Case, **more: Any) -> list[Point]:
    made = points_of("strong", case, [1, 2], [], [], 99)
    return [p.model_copy(update={"steps": 7, "warmup": 3, **more}) for p in made]


def made(input_: Path, words: str = "lammps", **case: Any) -> list[peers.PeerPoint]:
    asked = Case(input_, **case)
    return peer_points(words, asked, points(asked), ENVIRONMENT)


def test_the_melt_is_known_and_gets_the_decks_rules_for_lists() -> None:
    one, two = made(MELT / "deck.toml")
    assert (one.code, two.like.ranks) == ("lammps-opt", 2)
    assert one.problem.name == "lj_melt" and one.key != two.key
    assert "neigh_modify delay 0 every 1 check yes" in one.problem.script
    changed = made(MELT / "deck.toml", overrides=("neighbors.skin=0.4", "neighbors.delay=5"))
    assert "neighbor 0.4 bin" in changed[0].problem.script
    assert "delay 5 every 1" in changed[0].problem.script


@pytest.mark.parametrize("change", ["system.temperature=1.0", "run.timestep=0.004",
                                    "potential.rc=3", "system.density=0.8",
                                    "system.cells=[20,20,21]"])
def test_another_case_is_none_of_its_problems(change: str) -> None:
    with pytest.raises(InputError, match=r"deck\.toml is none of the problems"):
        made(MELT / "deck.toml", overrides=(change,))


def test_a_script_goes_there_as_it_is_but_for_its_last_run() -> None:
    one, _ = made(MELT / "in.lj", variables=("x=1",))
    assert dict(one.problem.variables(1, 1)) == {"x": "1"}
    text = in_two_windows(one.problem.script, one.like)
    assert text.endswith("run 3\nrun 7\n") and "neigh_modify    delay 0 every 20 check no" in text
    with pytest.raises(InputError, match="goes to the peer as it is"):
        made(MELT / "in.lj", overrides=("neighbors.skin=0.4",))


def test_its_row_has_what_the_tables_need() -> None:
    one, _ = made(MELT / "deck.toml", "lammps-plain")
    answer = one.run((1, 0), 30.0)
    assert answer["code"] == "lammps-plain"
    row = answer["row"]
    assert row["s_per_step"] == pytest.approx(0.1) and row["start_etotal"] == -4.6
    assert row["atoms"] == 32_000 and row["ranks"] == 1


def test_what_peers_cannot_do_is_said() -> None:
    asked = Case(MELT / "deck.toml")
    with pytest.raises(InputError, match="of strong studies"):
        peer_points("lammps", asked, points(asked, study="weak"), ENVIRONMENT)
    with pytest.raises(InputError, match="did you mean lammps-o"):
        made(MELT / "deck.toml", "lammps-opm")
