"""From a [potential] table to a potential, and the messages on the way."""

import pytest

from potentials.base import Potential
from potentials.registry import PotentialError, find_style, make_potential


def test_the_built_in_style() -> None:
    potential: Potential = make_potential("lj/cut", {"epsilon": 1.0, "sigma": 1.0, "rc": 2.5}, 2)
    assert (potential.style, potential.cutoff, potential.lists) == ("lj/cut", 2.5, "clusters")
    assert set(potential.precisions) == {"double", "mixed", "single"}


@pytest.mark.parametrize(
    ("style", "parameters", "words"),
    [
        ("lj/cutt", {}, "potential.style = 'lj/cutt': unknown; did you mean lj/cut?"),
        ("xyzzy", {}, "potential.style = 'xyzzy': unknown; there is lj/cut"),
        (
            "lj/cut",
            {"epslion": 1.0},
            "potential.epslion: unknown key of style lj/cut; did you mean epsilon?",
        ),
        ("lj/cut", {"ntypes": 3}, "potential.ntypes: unknown key"),
        (
            "lj/cut",
            {"epsilon": 1.0, "sigma": 1.0},
            "potential (lj/cut): rc of types 1 1 is missing",
        ),
        (
            "lj/cut",
            {"epsilon": [[1.0]], "sigma": 1.0, "rc": 1.0},
            "potential (lj/cut): epsilon = [1.0]",
        ),
        (
            "lj/cut",
            {"epsilon": {"a": 1}, "sigma": 1.0, "rc": 1.0},
            "potential (lj/cut): epsilon = {'a': 1}",
        ),
        (
            "lj/cut",
            {"epsilon": [], "sigma": 1.0, "rc": 1.0},
            "potential (lj/cut): epsilon: 0 values for 1 atom types",
        ),
        (
            "lj/cut",
            {"epsilon": 1.0, "sigma": 1.0, "rc": 1.0, "mix": ["a"]},
            "potential (lj/cut): mix = ['a']",
        ),
        ("sw", {"species": ["Si"]}, "potential.file: missing: style sw needs it"),
        ("hybrid", {}, "potential.part: missing: style hybrid needs it"),
        ("eam", {"file": 3}, "potential (eam): file = 3: must be the name of a file, or a list"),
        ("snap", {"file": ["a", 3]}, "potential (snap): file = ['a', 3]: must be the name of"),
        ("sw", {"file": "a", "species": 3}, "potential (sw): species = 3: must be the name of an"),
        ("table", {}, "potential (table): file is missing: give file"),
    ],
)
def test_messages(style: str, parameters: dict, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential(style, parameters, 1)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_installed_style(monkeypatch) -> None:
    """An entry point of the group mdapp.potentials."""

    class Entry:
        name = "mine/first"

        def load(self):
            def factory(ntypes: int, *, depth: float):
                return (ntypes, depth)

            return factory

    monkeypatch.setattr(
        "potentials.registry.entry_points",
        lambda group: [Entry()] if group == "mdapp.potentials" else [],
    )
    assert make_potential("mine/first", {"depth": 2.0}, 3) == (3, 2.0)
    with pytest.raises(
        PotentialError, match=r"potential\.deph: unknown key .* did you mean depth\?"
    ):
        make_potential("mine/first", {"deph": 2.0}, 3)
    with pytest.raises(PotentialError, match=r"did you mean mine/first\?"):
        find_style("mine/frist")
