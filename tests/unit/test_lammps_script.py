"""The subset of LAMMPS scripts: how it is read, what it becomes, and what the rest is told.

Numbers and rules marked "LAMMPS" were found by running the same lines through LAMMPS 22Jul2025.
"""

import random
from pathlib import Path

import pytest

from mdapp.errors import InputError
from mdapp.lammps.formula import FormulaError, evaluate
from mdapp.lammps.lexer import logical_lines, words
from mdapp.lammps.table import COMMANDS, INSTEAD
from mdapp.lammps.variables import Variables
from mdapp.lammps_script import load_script, supported_commands
from tests.conformance.threebody_by_lammps import SILICON_SW, SILICON_TERSOFF

pytestmark = pytest.mark.unit

INPUTS = Path(__file__).parents[1] / "conformance" / "inputs"
SETUP = """\
units lj
lattice fcc 0.8442
region b block 0 4 0 4 0 4
create_box 2 b
create_atoms 1 box
mass * 1.0
pair_style lj/cut 2.5
pair_coeff * * 1.0 1.0
fix 1 all nve
"""


@pytest.fixture
def load(tmp_path):
    def read(text, variables=None, overrides=()):
        path = tmp_path / "in.test"
        path.write_text(text, encoding="utf-8")
        return load_script(path, variables, overrides)
    return read


@pytest.fixture
def refuse(load):
    def read(text, *args):
        with pytest.raises(InputError) as error:
            load(text, *args)
        return str(error.value)
    return read


def no_variables(name):
    raise FormulaError(name)


# --- formulas and words --------------------------------------------------------------------------

@pytest.mark.parametrize("formula, value", [    # LAMMPS prints the same
    ("-2^2", 4), ("2^3^2", 64), ("2*3^2", 18), ("7%4*2", 6), ("!0+1", 2), ("1<2==1", 1),
    ("2--3", 5), ("1||0&&0", 1), ("10/4", 2.5), ("log(100)", 2), ("round(2.5)", 3),
    ("round(-2.5)", -3), ("1e3", 1000), ("2^-1", 0.5), ("1|^1", 0), ("-2^-2", 0.25),
    ("1 + 2 * 3", 7), ("1e+3+1", 1001), ("4^0.5^2", 4), ("6-3-2", 1),
    ("floor(-1.5)", -2), ("ceil(-1.5)", -1), ("(1 != 2) && (3 >= 3)", 1), ("ln(exp(2))", 2),
    ("sqrt(2)^2", 2.0000000000000004), ("atan2(0, -1) == PI", 1), (".5*4.", 2),
    ("round(0.49999999999999994)", 0),
])
def test_formulas(formula, value):
    assert evaluate(formula, no_variables) == value


@pytest.mark.parametrize("formula, reason", [
    ("", "ends where a number is expected"), ("1+", "ends where"), ("1 2", "unexpected '2'"),
    ("(1", "')' is missing"), ("1/0", "division by zero"), ("5%0", "not defined"),
    ("sqrt(-1)", "not defined for -1"), ("(-8)^(1/3)", "not defined for -8"),
    ("10^400", "too large"), ("1e308*10", "not a finite number"), ("exp(1000)", "too large"),
    ("step", "'step' is not supported"), ("sqrt(1,2)", "wrong number of arguments"),
    ("random(1,2,3)", "not supported"), ("1 @ 2", "cannot read it at '@ 2'"), (")", "unexpected"),
    ("__import__(1)", "not supported"), ("(" * 100000, "nested too deeply"),
])
def test_formulas_without_a_value(formula, reason):
    with pytest.raises(FormulaError) as error:
        evaluate(formula, no_variables)
    assert reason in str(error.value)


def test_words_as_lammps_reads_them():
    variables = Variables.from_command_line({"y": "3", "two": "a b"})
    variables.define("third", "equal", ["1/v_y"])

    def read(text):
        return [(line, words(raw, variables)) for line, raw in logical_lines(text)]

    assert read("a&\nb c # d") == [(1, ["ab", "c"])]
    assert read("x 'a # b' # c") == [(1, ["x", "a # b"])]
    assert read("x # c &\nswallowed\nz") == [(1, ["x"]), (3, ["z"])]
    assert read('x """two\nlines $y""" y') == [(1, ["x", "two\nlines $y", "y"])]
    assert read('x "$y" $y ${y}b $(v_y*2)c') == [(1, ["x", "$y", "3", "3b", "6c"])]
    assert read("x ${two}") == [(1, ["x", "a", "b"])]
    assert read("x # $nosuch") == [(1, ["x"])]
    assert read("${third} $(1/3) $(v_third:%.3f)") == [      # LAMMPS: %.15g and %.20g
        (1, ["0.333333333333333", "0.33333333333333331483", "0.333"])]
    assert read("x &\r\n  y\r\n") == [(1, ["x", "y"]), (3, [])]


@pytest.mark.parametrize("text, reason", [
    ("x 'a", "without its closing partner"), ('x "a"b', "must be followed by a blank"),
    ("x ${a", "without its closing }"), ("x $(1", "without its closing )"),
    ("x $", "must be followed by"), ("x $a", "variable 'a' is not defined"),
    ("x ${lenght}", "did you mean length?"), ("x $(2:%d)", "format '%d'"),
    ("x $(2:%99999999f)", "format"), ("x $(v_word)", "which is not a number"),
])
def test_words_that_cannot_be_read(text, reason):
    variables = Variables.from_command_line({"length": "2", "word": "b"})
    with pytest.raises(FormulaError) as error:
        words(text, variables)
    assert reason in str(error.value)


def test_who_wins_among_variables():    # LAMMPS
    variables = Variables.from_command_line({"x": "7"})
    variables.define("x", "index", ["1", "2"])
    variables.define("y", "index", ["1"])
    variables.define("y", "index", ["2"])
    variables.define("s", "string", ["a"])
    variables.define("s", "string", ["b"])
    variables.define("s", "index", ["c"])
    variables.define("e", "equal", ["1"])
    variables.define("e", "equal", ["2"])
    assert [variables.text(n) for n in "xyse"] == ["7", "1", "b", "2"]
    with pytest.raises(FormulaError, match="style index already"):
        variables.define("x", "equal", ["3"])


# --- whole scripts -------------------------------------------------------------------------------

def test_the_melt():
    deck = load_script(INPUTS / "in.lj")
    system = deck.system
    assert deck.units == "lj" and system.density == 0.8442 and system.lattice == "fcc"
    assert system.region == (0, 20, 0, 20, 0, 20) and system.fill is None
    assert (system.temperature, system.seed, system.velocities) == (1.44, 87287, "lammps-geom")
    assert system.distribution == "uniform"
    assert system.zero_momentum and not system.zero_rotation
    assert deck.potential.style == "lj/cut"
    assert deck.potential.parameters == {
        "epsilon": 1.0, "sigma": 1.0, "rc": 2.5, "mix": "geometric", "shift": False}
    assert deck.neighbors.model_dump() == {"skin": 0.3, "every": 20, "delay": 0, "check": False}
    assert (deck.run.steps, deck.run.timestep, deck.thermo.every) == (100, 0.005, 0)
    larger = load_script(INPUTS / "in.lj", {"x": "2", "z": "3"}, ["run.steps=7"])
    assert larger.system.region == (0, 40, 0, 20, 0, 60) and larger.run.steps == 7


def test_two_types_in_regions():
    deck = load_script(INPUTS / "in.mixture")
    lower, upper = deck.system.fill
    assert deck.system.boundary == "p p f" and deck.system.origin == (0.25, 0.25, 0.25)
    assert lower.region == (0, 4, 0, 4, 0, 2) and lower.type == 1
    assert upper.region == (0, 4, 0, 4, 2.125, 4) and upper.basis_types == (2, 1)
    assert deck.system.masses == (1.0, 2.0) and deck.system.zero_rotation
    assert deck.potential.parameters == {
        "epsilon": [1.0, 0.5], "sigma": [1.0, 1.2], "rc": [2.5, 2.8], "mix": "arithmetic",
        "shift": True}
    assert deck.run.steps == 50 and deck.run.timestep == 0.002
    assert deck.output[0].file == "mixture.dump" and deck.output[0].every == 50
    assert deck.thermo.columns[-1] == "vol"


def test_metal_units_have_lammps_defaults():
    deck = load_script(INPUTS / "in.argon")
    assert (deck.neighbors.skin, deck.run.timestep) == (2.0, 0.001)
    assert deck.neighbors.check and (deck.neighbors.every, deck.neighbors.delay) == (1, 0)
    assert deck.system.constant == 5.3 and deck.system.region == (0, 5, 0, 5, 0, 5)
    assert deck.system.velocities == "lammps-all"


def test_a_data_file():
    deck = load_script(INPUTS / "in.data")
    assert deck.system.format == "lammps-data" and deck.system.masses is None
    assert deck.path(deck.system.file) == INPUTS / "data.pair"
    assert deck.system.temperature is None and deck.system.periodic == (True, True, True)
    assert deck.potential.parameters["epsilon"] == [1.5, 1.0]
    assert deck.potential.parameters["pair"] == [
        {"types": [1, 2], "epsilon": 1.0, "sigma": 1.0, "rc": 3.0}]


@pytest.mark.parametrize("lines, unmixed", [    # LAMMPS reports the same pairs as set
    (["* * 1 1"], [(1, 2)]),
    (["1 1 1 1", "2 2 1 1"], []),
    (["2 1 1 1", "1 1 1 1", "2 2 1 1"], [(1, 2)]),
    (["* 1 1 1", "2* 1* 1 1"], []),
])
def test_which_pairs_are_mixed(load, lines, unmixed):
    coefficients = "".join(f"pair_coeff {line}\n" for line in lines)
    deck = load(SETUP.replace("pair_coeff * * 1.0 1.0\n", coefficients) + "run 0\n")
    pairs = deck.potential.parameters.get("pair", [])
    assert [tuple(pair["types"]) for pair in pairs] == unmixed


def of_pairs(text):
    """The script SETUP with other forces."""
    lines = [line for line in SETUP.splitlines() if not line.startswith("pair")]
    return "\n".join([*lines, text, "run 0", ""]).replace("units lj", "units metal")


def test_numbers_of_pair_formulas(load):
    deck = load(of_pairs("pair_style born 6.0\npair_coeff * * 0.2 0.3 2.0 1.0 -0.5\n"
                         "pair_coeff 1 2 0.3 0.3 2.0 1.0 -0.5 5.0"))
    assert deck.potential.parameters == {
        "a": 0.2, "rho": 0.3, "sigma": 2.0, "c": 1.0, "d": -0.5, "rc": 6.0, "shift": False,
        "pair": [{"types": [1, 2], "a": 0.3, "rho": 0.3, "sigma": 2.0, "c": 1.0, "d": -0.5,
                  "rc": 5.0}]}
    deck = load(of_pairs("pair_style zbl 1 2\npair_coeff 1 1 29 29\npair_coeff 2 2 28 28"))
    assert deck.potential.parameters == {"z": [29.0, 28.0], "inner": 1.0, "outer": 2.0}


def test_hybrid_styles(load):
    deck = load(of_pairs(
        "pair_style hybrid gauss 2.0 gauss 3.0 zbl 1 2\npair_coeff * * gauss 2 1 1\n"
        "pair_coeff 1 2 zbl 29 28\npair_coeff 2 2 gauss 1 4 1 2.5"))
    assert deck.potential.style == "hybrid"
    assert deck.potential.parameters["part"] == [
        {"style": "gauss", "shift": False, "only": [[2, 2]],
         "pair": [{"types": [2, 2], "a": 4.0, "b": 1.0, "rc": 2.5}]},
        {"style": "gauss", "shift": False, "only": [[1, 1]],
         "pair": [{"types": [1, 1], "a": 1.0, "b": 1.0, "rc": 3.0}]},
        {"style": "zbl", "z": [29.0, 28.0], "inner": 1.0, "outer": 2.0, "only": [[1, 2]]}]


FILES = {"one.sw": SILICON_SW, "one.tersoff": SILICON_TERSOFF}
SUM = "pair_style hybrid sw tersoff lj/cut 5\n"


def test_types_that_a_part_does_not_see(load, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    deck = load(of_pairs(
        f"{SUM}pair_coeff * * sw one.sw Si NULL\npair_coeff * * tersoff one.tersoff NULL Si\n"
        "pair_coeff 1 2 lj/cut 1 2"))
    assert deck.potential.style == "hybrid"
    assert [part.get("species") for part in deck.potential.parameters["part"]] == [
        ["Si", "NULL"], ["NULL", "Si"], None]
    again = load(of_pairs(            # later commands take pairs away, or give elements anew
        f"{SUM}pair_coeff * * sw one.sw NULL Si\npair_coeff * * sw one.sw Si Si\n"
        "pair_coeff * * tersoff one.tersoff NULL Si\npair_coeff 1 2 lj/cut 1 2"))
    assert again.potential == deck.potential


def test_pairs_that_do_not_interact(load):
    deck = load(of_pairs("pair_style hybrid soft 2 gauss 2\npair_coeff * * soft 1\n"
                         "pair_coeff 1 2 none\npair_coeff 2 2 gauss 1 1"))
    assert deck.potential.style == "hybrid/overlay"
    assert [part["only"] for part in deck.potential.parameters["part"]] == [[[1, 1]], [[2, 2]]]


@pytest.mark.parametrize("text, words", [
    ("pair_style morse", ["wrong number of arguments", "pair_style morse RC"]),
    ("pair_style yukawa -1 2", ["kappa is -1", "at least 0"]),
    ("pair_style zbl 2 1", ["0 < INNER < OUTER"]),
    ("pair_style morse 2\npair_coeff * * 1 1", ["D0 ALPHA R0 [RC]"]),
    ("pair_style morse 2\npair_coeff 1 1 1 1 1\npair_coeff 2 2 1 1 1",
     ["no coefficients for types 1 2", "pair_coeff 1 2 D0 ALPHA R0"]),
    ("pair_style soft 2\npair_coeff * * 1\npair_modify shift yes", ["soft", "mix geometric"]),
    ("pair_style morse 2\npair_modify mix geometric", ["of morse mdapp has shift yes|no"]),
    ("pair_style zbl 1 2\npair_coeff 1 2 1 1\npair_coeff 2 2 3 3", ["atomic number 1 already"]),
    ("pair_style zbl 1 2\npair_coeff 1 1 1 1", ["no atomic number for type 2"]),
    ("pair_style table bitmap 12", ["interpolation 'bitmap'"]),
    ("pair_style table linear 9\npair_coeff 1 1 a A", ["no section for types 1 2"]),
    ("pair_style table linear 9\npair_coeff 1 1 a A\npair_coeff 1 2 b A", ["a second file b"]),
    ("pair_style hybrid lj/cu 2", ["did you mean lj/cut?"]),
    ("pair_style hybrid", ["an argument is missing"]),
    ("pair_style hybrid soft 2\npair_coeff 1 1 lj/cut 1 1", ["style 'lj/cut'"]),
    ("pair_style hybrid soft 2 soft 3\npair_coeff 1 1 soft 3 1", ["there are 2 of soft"]),
    ("pair_style hybrid soft 2 gauss 2\npair_coeff * * soft 1", ["no coefficients for gauss"]),
    ("pair_style hybrid soft 2\npair_coeff 1 1 soft 1", ["no coefficients for types 1 2"]),
    ("pair_style hybrid soft 2\npair_coeff 1 1 none 1", ["'1' is too much behind none"]),
    ("pair_style sw maxdelcs 0.1 0.2", ["pair_style sw maxdelcs 0.1 0.2", "no options of sw"]),
    ("pair_style sw\npair_coeff * * one.sw Si NULL", ["in.test:9", "for pair_style hybrid"]),
    (f"{SUM}pair_coeff * * sw one.sw NULL NULL", ["all elements are NULL"]),
    (f"{SUM}pair_coeff * * sw one.sw Si", ["1 elements for 2 atom types"]),
    (f"{SUM}pair_coeff 2 2 sw one.sw Si Si", ["must be 'pair_coeff * * FILE ELEMENT...'"]),
    ("pair_style hybrid sw lj/cut 5\npair_coeff * * sw one.sw Si Si\npair_coeff 1 2 lj/cut 1 1",
     ["sw without types 1 2", "write NULL for the element of type 1 or 2"]),
])
def test_what_is_refused_of_pair_styles(refuse, text, words, tmp_path):
    for name, file in FILES.items():
        (tmp_path / name).write_text(file)
    shown = refuse(of_pairs(text))
    assert all(word in shown for word in words), shown


def test_zbl_has_its_own_units(refuse):
    shown = refuse(of_pairs("pair_style hybrid/overlay zbl 1 2").replace("metal", "lj"))
    assert "zbl knows eV and Angstrom" in shown and "units metal" in shown


def test_a_custom_lattice(load):
    deck = load(SETUP.replace("lattice fcc 0.8442", "lattice custom 1.0 a2 0 2 0 basis 0 0 0 &\n"
                              "basis 0.5 0.25 0.5 orient x 0 1 0 orient y -1 0 0")
                + "run 1\n")
    assert deck.system.vectors == ((1, 0, 0), (0, 2, 0), (0, 0, 1))
    assert deck.system.basis == ((0, 0, 0), (0.5, 0.25, 0.5))
    assert deck.system.orient == ((0, 1, 0), (-1, 0, 0), (0, 0, 1))


def test_runs_add_up_and_what_has_no_effect_is_noted(load):
    deck = load("newton off\n" + SETUP + "atom_modify sort 0 0.0\nrun 10\nvariable n index 5\n"
                "run $n\nrun $(2*v_n)\n")
    assert deck.run.steps == 25
    assert len(deck.notes) == 2 and "in.test:1: newton: no effect" in deck.notes[0]


@pytest.mark.parametrize("line, words", [
    ("fix 2 all npt temp 1 1 1", ["command 'fix npt' is not supported", "fix 1 all nve"]),
    ("fix 2 all nve", ["line 9 integrates all atoms already"]),
    ("fix 2 left nve", ["group 'left'"]),
    ("group left type 1", ["command 'group' is not supported"]),
    ("neighbr 0.3 bin", ["did you mean neighbor?"]),
    ("suffix omp", ["remove it"]),
    ("minimize 0 0 1 1", ["integrates in time only"]),
    ("neighbor -1 bin", ["neighbors.skin = -1.0: must be at least 0"]),
    ("neighbor 0.3 nsq", ["write bin"]),
    ("neigh_modify every 3 delay 10", ["must be 0 or a multiple of every = 3"]),
    ("neigh_modify one 2000", ["lists grow"]),
    ("neigh_modify check maybe", ["'maybe'"]),
    ("timestep -1", ["run.timestep = -1.0: must be greater than 0"]),
    ("timestep 1e999", ["'1e999' must be a number"]),
    ("timestep nan", ["'nan' must be a number"]),
    ("thermo 1e2", ["'1e2' must be a whole number"]),
    ("thermo_style multi", ["one, custom"]),
    ("thermo_style custom step tmp", ["did you mean temp?"]),
    ("thermo_style custom c_x", ["computes"]),
    ("thermo_modify norm no", ["per atom"]),
    ("thermo_modify lost ignore", ["lost error"]),
    ("dump 1 all custom 1 f", ["an argument is missing"]),
    ("dump 1 all custom 1 f id typ", ["did you mean type?"]),
    ("dump 1 all atom 0 f", ["output.0.every = 0: must be at least 1"]),
    ("dump 1 all atom 1 f.*.gz", ["one file"]),
    ("dump_modify 1 sort id", ["command 'dump_modify' is not supported"]),
    ("pair_style eam", ["there is a pair style already"]),
    ("pair_coeff 3 3 1 1", ["outside the types 1 to 2"]),
    ("pair_coeff 1 1 1", ["wrong number of arguments", "EPSILON SIGMA [RC]"]),
    ("pair_coeff 1 1 1 0", ["sigma is 0"]),
    ("pair_coeff 1 1 1 1 -1", ["cutoff is -1"]),
    ("pair_coeff 2* *1 1 1", ["selects no pair"]),
    ("pair_modify tail yes", ["pair_modify tail"]),
    ("velocity all create 1 0", ["needs a seed from 1"]),
    ("velocity all create 1 1 loop local", ["loop 'local'"]),
    ("velocity all set 0 0 0", ["velocity all set"]),
    ("velocity all create 1 1\nmass 1 2", ["must come before velocity"]),
    ("mass 1 -1", ["must be greater than 0"]),
    ("mass 3 1", ["outside the types 1 to 2"]),
    ("create_atoms 3 box", ["outside the types 1 to 2"]),
    ("create_atoms 1 region c", ["no region 'c'; defined so far: b"]),
    ("create_atoms 1 box basis 5 1", ["the basis atoms 1 to 4"]),
    ("create_atoms 1 single 0 0 0", ["style 'single'"]),
    ("region b block 0 1 0 1 0 1", ["a region 'b' already"]),
    ("region c sphere 0 0 0 1", ["style block"]),
    ("region c block 0 1 0 1 1 0", ["zlo must be less than zhi"]),
    ("lattice bcc 1", ["a lattice already"]),
    ("units metal", ["must come before the box"]),
    ("boundary p p f", ["must come before the box"]),
    ("run 1 upto", ["number of steps alone"]),
    ("run 5\nthermo 1", ["comes after a run", "split the script"]),
    ("variable a equal v_a\ntimestep ${a}", ["depends on itself"]),
    ("variable a loop 10", ["style 'loop' is not supported"]),
    ("variable a index", ["a value is missing"]),
])
def test_what_is_refused_and_what_it_is_told(refuse, line, words):
    shown = refuse(SETUP + line + "\nrun 1\n")
    where = 10 + line.count("\n")
    assert f"in.test:{where}: " in shown
    assert all(word in shown for word in words), shown


@pytest.mark.parametrize("line, words", [
    ("boundary p p s", ["boundary s", "write f"]),
    ("boundary pp p p", ["boundary pp"]),
    ("boundary p p", ["wrong number of arguments", "boundary p|f p|f p|f"]),
    ("units real", ["lj, metal"]),
    ("atom_style full", ["atom_style atomic"]),
    ("dimension 2", ["three dimensions"]),
    ("processors 2 * 1", ["three numbers or three *"]),
    ("pair_style lj/cut/opt 2.5", ["write lj/cut"]),
    ("pair_style meam", ["mdapp has lj/cut"]),
    ("pair_style lj/cut 0", ["cutoff is 0"]),
    ("pair_coeff 1 1 1 1", ["after the box is made"]),
    ("pair_modify shift yes", ["needs a pair_style"]),
    ("mass 1 1", ["after the box is made"]),
    ("velocity all create 1 1", ["after the atoms are made"]),
    ("region c block 0 1 0 1 0 1", ["needs a lattice"]),
    ("lattice fcc 0", ["0", "positive"]),
    ("lattice fcc 1 a1 1 0 0", ["lattice fcc a1"]),
    ("lattice fcc 1 spacing 1 1 1", ["regions instead"]),
    ("lattice fcc 1\nregion c block 0 EDGE 0 1 0 1", ["needs a box"]),
    ("read_data none.data", ["none.data: No such file"]),
    ("read_data in.test", ["not a LAMMPS data file"]),
    ("read_data a extra/atom/types 1", ["read_data ... extra/atom/types"]),
])
def test_what_is_refused_before_the_box(refuse, line, words):
    shown = refuse(line + "\n" + SETUP + "run 1\n")
    assert f"in.test:{1 + line.count(chr(10))}: " in shown
    assert all(word in shown for word in words), shown


@pytest.mark.parametrize("without, words", [
    ("run", ["no run", "run N"]), ("mass", ["mass of type 1"]), ("fix", ["fix 1 all nve"]),
    ("pair_coeff", ["no coefficients for type 1"]), ("create_atoms", ["after the atoms are made"]),
    ("pair_style", ["needs a pair_style"]), ("create_box", ["after the box is made"]),
])
def test_what_a_script_must_have(refuse, without, words):
    kept = [line for line in (SETUP + "run 1").splitlines() if not line.startswith(without + " ")]
    shown = refuse("\n".join(kept))
    assert all(word in shown for word in words), shown


def test_the_command_line_is_checked_too(refuse):
    script = "variable n index 1\n" + SETUP + "run $n\n"
    assert "-var m: " in refuse(script, {"m": "1"})
    assert "'a' must be a whole number" in refuse(script, {"n": "a"})
    assert "did you mean run.steps?" in refuse(script, {}, ["run.step=1"])
    assert "-var n m: a name" in refuse(script, {"n m": "1"})


def test_the_table_is_consistent():
    assert list(supported_commands()) == list(COMMANDS)
    assert all(usage.split()[0] == name for name, usage in supported_commands().items())
    assert not set(INSTEAD) & set(COMMANDS)


def test_mutated_scripts_are_decks_or_input_errors(tmp_path):
    rng = random.Random(20262)
    (tmp_path / "data.pair").write_bytes((INPUTS / "data.pair").read_bytes())
    scripts = [(INPUTS / f"in.{name}").read_text() for name in ("lj", "mixture", "argon", "data")]
    vocabulary = sorted({word for script in scripts for word in script.split()})
    vocabulary += ["-1", "0", "nan", "1e400", "1e308", "9" * 30, "$", "${", "$(1/0)", "'", '"""',
                   "&", "#", "*", "1*", "EDGE", "\0", "é", "$(10^400)", "orient", "a1", "basis"]
    accepted = 0
    for _ in range(1500):
        lines = rng.choice(scripts).split("\n")
        for _ in range(rng.randint(1, 2)):
            k = rng.randrange(len(lines))
            parts = lines[k].split(" ")
            kind = rng.randrange(4)
            if kind == 0:
                parts[rng.randrange(len(parts))] = rng.choice(vocabulary)
            elif kind == 1:
                parts.insert(rng.randrange(len(parts) + 1), rng.choice(vocabulary))
            elif kind == 2:
                del parts[rng.randrange(len(parts))]
            else:
                lines.insert(rng.randrange(len(lines)), lines[k])
            lines[k] = " ".join(parts)
        (tmp_path / "in.fuzz").write_text("\n".join(lines), encoding="utf-8")
        try:
            accepted += load_script(tmp_path / "in.fuzz").run.steps >= 0
        except InputError as error:
            assert "in.fuzz" in str(error)
    assert 0 < accepted < 1500
