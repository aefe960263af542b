"""The deck: what is accepted, and what each kind of mistake is told."""

import copy
import json
import pickle
import random
import tomllib

import pytest

from mdapp.deck import Deck, apply_overrides, build_deck, deck_schema, load_deck
from mdapp.deck.toml import dumps_toml
from mdapp.errors import InputError

pytestmark = pytest.mark.unit

MELT = """\
units = "lj"

[system]
lattice = "fcc"
density = 0.8442
cells = [4, 5, 6]
temperature = 1.44

[potential]
style = "lj/cut"
epsilon = 1
sigma = 1.0
rc = 2.5

[[potential.pair]]
types = [1, 2]
rc = 3.0

[run]
steps = 100
"""

MIXTURE = """\
units = "metal"
potential = {style = "lj/cut", epsilon = [0.01, 0.014], sigma = [3.4, 3.6], rc = 8.5}
run = {steps = 10, grid = [1, 2, 1]}
output = [{kind = "custom", every = 5, file = "a.dump", columns = ["id", "x"]}]

[system]
lattice = "custom"
constant = 4.0
vectors = [[1, 0, 0], [0, 2, 0], [0, 0, 1]]
basis = [[0, 0, 0], [0.5, 0.25, 0.5]]
region = [0, 4, -1, 3, 0, 5]
species = ["Ar", "Kr"]
boundary = "p f p"
fill = [{type = 2}, {type = 1, region = [0, 2, 0, 2, 0, 2], basis_types = [1, 2]}]
"""


@pytest.fixture
def deck_file(tmp_path):
    def write(text):
        path = tmp_path / "deck.toml"
        path.write_text(text, encoding="utf-8")
        return path
    return write


def message(path, *overrides):
    with pytest.raises(InputError) as error:
        load_deck(path, overrides)
    return str(error.value)


def test_values_and_defaults(deck_file):
    deck = load_deck(deck_file(MELT))
    assert deck.source.name == "deck.toml"
    assert deck.system.cells == (4, 5, 6) and deck.system.periodic == (True, True, True)
    assert deck.system.basis_count == 4 and deck.system.type_count == 1
    assert deck.potential.parameters == {
        "epsilon": 1, "sigma": 1.0, "rc": 2.5, "pair": [{"types": [1, 2], "rc": 3.0}]}
    assert (deck.run.timestep, deck.neighbors.skin) == (0.005, 0.3)
    assert (deck.neighbors.every, deck.neighbors.delay, deck.neighbors.check) == (1, 0, True)
    assert deck.thermo.every == 100
    assert deck.thermo.columns == ("step", "temp", "epair", "emol", "etotal", "press")


def test_defaults_that_depend_on_the_units(deck_file):
    metal = load_deck(deck_file(MIXTURE))
    assert (metal.run.timestep, metal.neighbors.skin) == (0.001, 1.0)
    assert metal.system.periodic == (True, False, True) and metal.system.type_count == 2
    given = load_deck(metal.source, ["run.timestep=0.5", "neighbors.skin=0"])
    assert (given.run.timestep, given.neighbors.skin) == (0.5, 0.0)


@pytest.mark.parametrize("text", [MELT, MIXTURE])
def test_canonical_text_reads_back_to_an_equal_deck(deck_file, text):
    deck = load_deck(deck_file(text))
    again = load_deck(deck_file(deck.to_toml()))
    assert again == deck and again.to_json() == deck.to_json()
    assert json.loads(deck.to_json()) == deck.to_dict()


def test_toml_writer_keeps_every_kind_of_value():
    table = {"a": 1, "b": 0.1, "c": True, "d": 'quote " \\ \n \x7f é', "odd key": -1e300,
             "list": [[1, 2], [3.5]], "empty": [], "t": {"x": {"y": "z"}, "u": 1},
             "rows": [{"a": 1, "in": {"b": 2}}, {"a": 2}], "mixed": [{"a": 1}, 2]}
    assert tomllib.loads(dumps_toml(table)) == table


def test_a_deck_travels_and_does_not_change(deck_file):
    deck = load_deck(deck_file(MELT))
    copied = pickle.loads(pickle.dumps(deck))
    assert copied == deck and copied.source == deck.source
    with pytest.raises(ValueError, match="frozen"):
        deck.run.steps = 3


@pytest.mark.parametrize("override, line", [
    ("run.timestep=-1", "--set: run.timestep = -1: must be greater than 0"),
    ("run.timestep=nan", "--set: run.timestep = NaN: must be a finite number"),
    ("run.timestep=inf", "--set: run.timestep = Infinity: must be a finite number"),
    ("run.timestep=true", "--set: run.timestep = true: must be a number"),
    ('run.timestep="1"', '--set: run.timestep = "1": must be a number'),
    ("run.steps=1.5", "--set: run.steps = 1.5: must be a whole number"),
    ("run.steps=-3", "--set: run.steps = -3: must be at least 0"),
    ("run.steps=true", "--set: run.steps = true: must be a whole number"),
    ("run.steps=2023-01-01", "must not be a date"),
    ("run.threads=0", "--set: run.threads = 0: must be at least 1"),
    ("run.deterministic=1", "--set: run.deterministic = 1: must be true or false"),
    ("run.grid=[1, 2]", "--set: run.grid = [1, 2]: must have at least 3 entries, not 2"),
    ("run.grid=[1, 2, 0]", "--set: run.grid.2 = 0: must be at least 1"),
    ("run.precision=doubel", "must be one of double, mixed, single, bf16; did you mean double?"),
    ("run.ensemble=npt", '--set: run.ensemble = "npt": must be nve'),
    ("run.stpes=3", "--set: run.stpes: unknown key; did you mean run.steps?"),
    ("runn.steps=3", "--set: runn: unknown key; did you mean run?"),
    ("run=3", "--set: run = 3: must be a table"),
    ("run.steps=", "--set: run.steps: missing: give the number of steps"),
    ("units=real", '--set: units = "real": must be one of lj, metal'),
    ("system.lattice=", "lattice: missing: give lattice = sc|bcc|fcc|diamond|custom or file"),
    ("system.lattice=hcp", "must be one of sc, bcc, fcc, diamond, custom"),
    ("system.lattice=custom", "system.basis: missing: lattice = custom needs"),
    ("system.constant=1.5", "system.density = 0.8442: give either constant or density, not both"),
    ("system.density=", "system.constant: missing: a lattice needs constant or density"),
    ("system.density=0", "system.density = 0: must be greater than 0"),
    ("system.region=[0,1,0,1,0,1]", "give either cells or region, not both"),
    ("system.cells=", "system.cells: missing: a lattice needs cells or region"),
    ("system.vectors=[[1,0,0],[0,1,0],[0,0,1]]", "only with lattice = custom; fcc has its own"),
    ("system.basis_types=[1,2]", "must have one type for each of the 4 basis atoms, not 2"),
    ("system.orient=[[1,1,0],[0,1,0],[0,0,1]]", "must be orthogonal and right-handed"),
    ("system.orient=[[0,1,0],[1,0,0],[0,0,1]]", "must be orthogonal and right-handed"),
    ("system.masses=[1.0, -2.0]", "system.masses.1 = -2.0: must be greater than 0"),
    ("system.species=[]", "system.species = []: must have at least 1 entry, not 0"),
    ("system.boundary=p p s", 'must be three letters p (periodic) or f (open), such as "p p f"'),
    ('system.boundary=""', 'must be three letters p'),
    ("system.temperature=-1", "system.temperature = -1: must be at least 0"),
    ("system.origin=[0, 0, 1]", "system.origin.2 = 1: must be less than 1"),
    ("system.fill=[{type=1, region=[1,0,0,1,0,1]}]", "xlo must be less than xhi, not 1 and 0"),
    ("system.velocities=lammps-all", None),
    ("potential.style=", 'potential.style: missing: give the name of a potential'),
    ("potential.pair.1.rc=2", "potential.pair has the entries 0 to 0, there is no 1"),
    ("potential.rc.x=2", "potential.rc = 2.5 has no keys of its own"),
    ("neighbors.skin=-0.1", "neighbors.skin = -0.1: must be at least 0"),
    ("thermo.columns=[\"tmp\"]", 'thermo.columns.0 = "tmp": must be one of step, elapsed'),
    ('output=[{kind="custom",every=1,file="x"}]', "output.0.columns: missing: kind = custom"),
    ('output=[{kind="atom",every=1,file="x",columns=["id"]}]', "only with kind = custom"),
    ('output=[{kind="atom",every=0,file=""}]', "output.0.every = 0: must be at least 1"),
    ("checkpoint.layout=shred", "did you mean shared?"),
    ("steps", "--set steps: must be of the form section.key=value"),
    ("=3", "--set =3: must be of the form section.key=value"),
    ("run..steps=3", "must be of the form section.key=value"),
])
def test_overrides_are_held_to_the_rules(deck_file, override, line):
    path = deck_file(MELT)
    if line is None:
        load_deck(path, [override])
    else:
        assert line in message(path, override)


def test_the_message_names_file_key_value_range_and_lists_every_problem(deck_file):
    wrong = MELT.replace("steps = 100", "stpes = 100\ntimestep = -1").replace("1.44", '"hot"')
    path = deck_file(wrong)
    assert message(path).splitlines() == [
        f'{path}: system.temperature = "hot": must be a number',
        f"{path}: run.steps: missing: give the number of steps",
        f"{path}: run.timestep = -1: must be greater than 0",
        f"{path}: run.stpes: unknown key; did you mean run.steps?",
    ]


def test_checks_across_sections(deck_file):
    path = deck_file(MELT)
    assert "system.density = 0.8442: only in lj units" in message(path, "units=metal")
    assert "need elements" in message(path, "units=metal", "system.density=", "system.constant=3.6")
    lengths = ["system.masses=[1, 2, 3]", 'system.species=["A", "B"]']
    assert "one mass for each of the 2 species, not 3" in message(path, *lengths)
    fill = ["system.fill=[{type = 3}]", "system.masses=[1, 2]"]
    assert "an entry for each of the 3 types, not 2" in message(path, *fill)
    assert "multiple of every = 3" in message(path, "neighbors.every=3", "neighbors.delay=4")
    seed = ["system.velocities=lammps-geom", "system.seed=0"]
    assert "needs a seed from 1 to 2147483647" in message(path, *seed)


def test_a_file_excludes_lattice_keys_and_must_exist(deck_file, tmp_path):
    path = deck_file('units = "lj"\nsystem = {file = "a.data", cells = [1, 1, 1]}\n'
                     'potential = {style = "lj/cut"}\nrun = {steps = 1}\n')
    assert "system.cells = [1, 1, 1]: not together with file" in message(path)
    (tmp_path / "b.data").write_text("")
    text = message(path, "system.cells=")
    assert 'system.file = "a.data": no such file' in text and "b.data" in text
    deck = load_deck(path, ["system.cells=", "system.file=b.data"])
    assert deck.system.periodic is None and deck.system.type_count is None
    assert deck.path(deck.system.file) == tmp_path / "b.data"


def test_overrides_are_toml_values_or_text():
    tables = {"a": {"list": [{"x": 1}, {"x": 2}], "old": 1}}
    result = apply_overrides(tables, ["a.list.1.x=3", "a.text=p p f", "a.b.c=[1, 2.5]", "a.old=",
                                      "a.quoted='x'", "a.two=1\ny = 2", "a.none="])
    assert result == {"a": {"list": [{"x": 1}, {"x": 3}], "text": "p p f", "b": {"c": [1, 2.5]},
                            "quoted": "x", "two": "1\ny = 2"}}
    assert tables == {"a": {"list": [{"x": 1}, {"x": 2}], "old": 1}}, "the input stays as it was"


@pytest.mark.parametrize("text, words", [
    ("units = \n", ["deck.toml:1:", "not valid TOML"]),
    ("a = 1\na = 2\n", ["deck.toml:2:", "not valid TOML"]),
    ('units = "lj', ["deck.toml:1:", "not valid TOML"]),
    ("a = " + "[" * 5000, ["nested too deeply"]),
    ("a = " + "9" * 5000, ["not valid TOML"]),
    ("a = 99999999999999999999999", ["a = 99999999999999999999999: must fit into 64 bits"]),
    ("", ["units: missing", "system: missing", "potential: missing", "run: missing"]),
])
def test_text_that_is_no_deck(deck_file, text, words):
    shown = message(deck_file(text))
    assert all(word in shown for word in words), shown


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "deck.toml").write_bytes(b"units = \xff")
    assert "byte 8 is not UTF-8" in message(tmp_path / "deck.toml")
    assert "did you mean" in message(tmp_path / "dek.toml")
    assert "is a folder, not a deck" in message(tmp_path)
    assert "there is no folder" in message(tmp_path / "none" / "deck.toml")
    assert "cannot read the deck" in message(tmp_path / ("x" * 300))
    assert "cannot read the deck" in message("a\0b")


def test_schema_describes_every_key_and_is_json():
    schema = deck_schema()
    json.dumps(schema, allow_nan=False)
    assert schema["additionalProperties"] is False
    for name, table in [("Deck", schema), *schema["$defs"].items()]:
        for key, entry in table["properties"].items():
            assert entry.get("description") or "$ref" in entry, f"{name}.{key} has no description"
    assert schema["$defs"]["Run"]["properties"]["timestep"]["exclusiveMinimum"] == 0


# Values that sit badly everywhere: each takes the place of a random leaf or key.
ODD = [None, True, -1, 0, 2**70, 1.5, float("nan"), float("inf"), 1e308, "", "x", [], {}, [1],
       [[1]], [1, 2, 3], [[1, 2, 3]], [{}], {"a": 1}, "p p f", "custom", [["a"]], b"x"]


def test_mutated_decks_are_decks_or_input_errors():
    rng = random.Random(20260)
    accepted = 0
    for _ in range(1500):
        tables = tomllib.loads(rng.choice([MELT, MIXTURE]))
        for _ in range(rng.randint(1, 2)):
            place, key = rng.choice(list(_places(tables)))
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = copy.deepcopy(rng.choice(ODD))
        try:
            accepted += isinstance(build_deck(tables), Deck)
        except InputError as error:
            assert str(error)
    assert 0 < accepted < 1500


def test_mutated_text_is_a_deck_or_an_input_error(deck_file):
    rng = random.Random(20261)
    for _ in range(600):
        text = list(rng.choice([MELT, MIXTURE]))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            text[at:at + rng.randint(0, 3)] = rng.choice(["[", "]", "{", '"', "=", "\n", "1", "#"])
        path = deck_file("".join(text))
        try:
            load_deck(path)
        except InputError as error:
            assert str(path) in str(error)


def _places(tables):
    for key, value in (tables.items() if isinstance(tables, dict) else enumerate(tables)):
        yield tables, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
