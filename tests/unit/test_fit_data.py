"""Training sets: text in, vectors in a file out, and what is said of bad input."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.fit.frames import read_frames
from mdapp.fit.neighbors import pairs_of
from mdapp.fit.settings import table
from mdapp.fit.sources import open_data
from mdapp.fit.stream import Batcher, Stream, of_step
from mdapp.fit.training_set import TrainingSet
from mdapp.model.box import Box
from tests.twins import labelled

CUTOFF = 4.5
GOOD = """2
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5
Ar 0 0 0 0.1 0.2 0.3
Ar 2 2 2.1 -0.1 -0.2 -0.3
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "frames.extxyz"
    path.write_text(text)
    return path


def opened(tmp_path: Path, path: Path, **more) -> TrainingSet:
    folder = tmp_path / "fit"
    folder.mkdir(exist_ok=True)
    options = {"test": None, "held_out": 0.0, "species": [], "cutoff": CUTOFF, "seed": 1} | more
    return open_data(folder, path, **options)


@pytest.mark.parametrize(("n", "edge", "periodic"), [
    (1, 1.9, (1, 1, 1)), (4, 3.4, (1, 1, 1)), (4, 3.4, (1, 0, 1)), (3, 5.0, (0, 0, 0))])
def test_pairs_are_those_of_all_images_and_each_finds_its_way_back(n, edge, periodic) -> None:
    edges, x = labelled.frame(np.random.default_rng(n), n, edge)
    pairs = pairs_of(Box.from_vectors(edges, np.array(periodic, bool)), x, CUTOFF)
    i = np.repeat(np.arange(n), np.diff(pairs.start))
    open_ = 1e3 * np.diag(1.0 - np.array(periodic)) @ edges     # open edges: images far away
    known = [(a, b, *r) for a, b, r in labelled.vectors(x, edges + open_, CUTOFF)]
    found = np.column_stack([i, pairs.j, pairs.r])
    assert np.allclose(sorted(found.round(9).tolist()), sorted(np.round(known, 9).tolist()))
    assert np.array_equal(pairs.back[pairs.back], np.arange(len(i)))
    assert np.array_equal(i[pairs.back], pairs.j)
    assert abs(pairs.r[pairs.back] + pairs.r).max() < 1e-12


def test_pairs_at_the_cutoff_itself_are_taken_from_both_ends_or_from_none() -> None:
    a = 3.615
    sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    x = np.concatenate([sites + np.array((p, 0, 0)) for p in range(3)]) * a
    pairs = pairs_of(Box.from_vectors(a * np.diag([3.0, 1, 1])), x, a * np.sqrt(2.5))
    assert np.array_equal(pairs.back[pairs.back], np.arange(len(pairs.r)))


def test_frames_hold_what_the_text_says(tmp_path: Path) -> None:
    edges, x = labelled.frame(np.random.default_rng(3))
    path = written(tmp_path, 2 * labelled.text(["Cu", "Ni", "Cu", "Cu"], x, edges) + "\n")
    first, second = read_frames(path)
    energy, forces, virial = labelled.label(x, edges)
    assert second.where.endswith(":7") and second.symbols == ["Cu", "Ni", "Cu", "Cu"]
    assert np.array_equal(first.x, x) and np.array_equal(first.forces, forces)
    assert first.energy == energy
    assert np.array_equal(first.virial, virial.ravel()[[0, 4, 8, 5, 2, 1]])


@pytest.mark.parametrize("name", ["nine", "six"])
def test_stress_is_minus_the_virial_over_the_volume(tmp_path: Path, name: str) -> None:
    stress = {"nine": "1 2 3 2 4 5 3 5 6", "six": "1 4 6 5 3 2"}[name]
    frame, = read_frames(written(tmp_path, GOOD.replace("energy", f'stress="{stress}" energy')))
    assert np.allclose(frame.virial, -64 * np.array([1.0, 4, 6, 5, 3, 2]), rtol=1e-14)


def test_names_of_other_programs_are_understood(tmp_path: Path) -> None:
    text = GOOD.replace("forces", "force").replace("energy", "Energy")
    frame, = read_frames(written(tmp_path, text))
    assert frame.energy == -1.5 and frame.virial is None and frame.forces[1, 2] == -0.3


@pytest.mark.parametrize(("old", "new", "said"), [
    (":forces:R:3", ":speed:R:3", "no column forces"),
    (" energy=-1.5", "", "no energy"),
    ("energy=-1.5", "energy=nan", "energy='nan': must be 1 finite number"),
    ("0.1 0.2 0.3", "0.1 NaN 0.3", ":3: forces '0.1 NaN 0.3'"),
    ("2 2 2.1", "2 inf 2.1", ":4: pos '2 inf 2.1'"),
    ("2 2 2.1", "2 2,1 2.1", ":4: pos '2 2,1 2.1'"),
    ("Ar 2", "Aa 2", ":4: 'Aa' is no element"),
    ("Ar 2 2 2.1 -0.1 -0.2 -0.3\n", "", "truncated"),
    (" -0.3", "", ":4: 6 columns; Properties has 7"),
    ("2\nLattice", "two\nLattice", "not a number of atoms"),
    ("2 2 2.1", "0 0 0", "two atoms are at one place"),
    (GOOD, "\n\n", "has no frame"),
    ("energy=-1.5", 'energy=-1.5 virial="1 2 3"', "must be 9 finite numbers"),
])
def test_a_bad_frame_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError) as told:
        opened(tmp_path, path)
    assert said in str(told.value) and str(path) in str(told.value)
    assert list((tmp_path / "fit").iterdir()) == []


def test_species_are_those_that_were_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("Ar 2", "Kr 2"))
    assert opened(tmp_path, path).species == ["Ar", "Kr"]
    assert opened(tmp_path, path, species=["Kr", "Ar"]).species == ["Kr", "Ar"]
    with pytest.raises(InputError, match=r"frames\.extxyz:5: Kr is none of the species Ar"):
        opened(tmp_path, path, species=["Ar"])
    with pytest.raises(InputError, match="Xe is in no frame that is fitted"):
        opened(tmp_path, path, species=["Ar", "Kr", "Xe"])


def test_a_tenth_is_held_out_or_the_frames_of_another_file(tmp_path: Path) -> None:
    path = labelled.write_set(tmp_path / "many.extxyz", 25)
    data = opened(tmp_path, path, held_out=None)
    assert [int(data.held_out[k:k + 10].sum()) for k in (0, 10)] == [1, 1]
    test = labelled.write_set(tmp_path / "test.extxyz", 3, seed=2)
    data = opened(tmp_path, path, test=test, held_out=None)
    assert data.held_out.tolist() == [False] * 25 + [True] * 3


def test_a_set_is_made_once_and_again_when_its_source_changes(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    opened(tmp_path, path).close()
    made = tmp_path / "fit" / "training.h5"
    before = made.stat().st_mtime_ns
    opened(tmp_path, path).close()
    assert made.stat().st_mtime_ns == before
    written(tmp_path, GOOD.replace("-1.5", "-1.6"))
    assert opened(tmp_path, path).energy.tolist() == [-1.6]


def test_a_training_set_is_read_as_data(tmp_path: Path) -> None:
    opened(tmp_path, labelled.write_set(tmp_path / "a.extxyz", 3), held_out=0.5).close()
    made = tmp_path / "fit" / "training.h5"
    data = open_data(tmp_path, made, None, None, [], CUTOFF, 1)
    assert len(data) == 3
    with pytest.raises(InputError, match=r"neighbours within 4\.5, the model wants 5"):
        open_data(tmp_path, made, None, None, [], 5.0, 1)
    with pytest.raises(InputError, match="says itself what is held out"):
        open_data(tmp_path, made, None, 0.1, [], CUTOFF, 1)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_training_set_is_refused(tmp_path: Path, share: float) -> None:
    opened(tmp_path, labelled.write_set(tmp_path / "a.extxyz", 3)).close()
    made = tmp_path / "fit" / "training.h5"
    raw = made.read_bytes()
    made.write_bytes(raw[:int(share * len(raw))])
    with pytest.raises(InputError, match="no whole HDF5 file"):
        TrainingSet(made)


def test_flipped_bits_of_a_training_set_are_found(tmp_path: Path) -> None:
    opened(tmp_path, labelled.write_set(tmp_path / "a.extxyz", 3)).close()
    made = tmp_path / "fit" / "training.h5"
    with h5py.File(made) as file:
        place = file["pairs/r"].id.get_chunk_info(0).byte_offset
    raw = bytearray(made.read_bytes())
    raw[place + 5] ^= 1
    made.write_bytes(raw)
    data = TrainingSet(made)
    with pytest.raises(InputError, match="is damaged"):
        data.frame(0)


def test_batches_say_what_frames_say(tmp_path: Path) -> None:
    data = opened(tmp_path, labelled.write_set(tmp_path / "a.extxyz", 5, "Ar,Kr"))
    batcher = Batcher(data, 2, np.array([0.25, 0.5]), np.float64)
    batch = batcher.batch([3, 1])
    for k, number in enumerate((3, 1)):
        frame = data.frame(number)
        rows = np.flatnonzero(batch.frame == k)
        assert np.array_equal(batch.r[rows][batch.mask[rows]], frame.r)
        assert np.array_equal(batch.type_j[rows][batch.mask[rows]], frame.type[frame.j])
        assert np.array_equal(batch.forces[rows], frame.forces)
        assert batch.energy[k] == frame.energy - 2 * 0.25 - 2 * 0.5
    turned = batch.r.reshape(-1, 3)[batch.back]
    assert abs(turned + batch.r)[batch.mask].max() < 1e-12
    assert batcher.read_bytes == data.frame(3).nbytes + data.frame(1).nbytes


def test_an_epoch_takes_every_frame_once_and_the_stream_keeps_the_order(tmp_path: Path) -> None:
    data = opened(tmp_path, labelled.write_set(tmp_path / "a.extxyz", 6))
    frames = data.fitted()
    epochs = [np.concatenate([of_step(frames, 2, 7, 3 * e + k) for k in range(3)])
              for e in (0, 1)]
    assert all(sorted(e) == list(range(6)) for e in epochs) and epochs[0].tolist() != \
        epochs[1].tolist()
    batcher = Batcher(data, 2, np.zeros(1), np.float64)
    stream = Stream(batcher, frames, 7, 2, 5)
    try:
        for step in (2, 3, 4):
            assert np.array_equal(stream.next().energy, data.energy[of_step(frames, 2, 7, step)])
    finally:
        stream.close()


def test_the_settings_in_the_readme_are_those_there_are() -> None:
    text = (Path(__file__).parents[2] / "mdapp/fit/README.md").read_text()
    rows = text.split("<!-- settings -->")[1].split("<!-- /settings -->")[0].strip().splitlines()
    assert rows[2:] == table()
