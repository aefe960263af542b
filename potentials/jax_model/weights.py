"""Weights of a model in one file: named arrays and a JSON header, as npz or HDF5.

    save_weights("cu.npz", params, model="ace_layer", cutoff=5.5, species=["Cu"], units="metal")
    weights = load_weights("cu.npz")        # weights.params is the same tree

The header says what the arrays are for (cutoff, species, units, perhaps the model that they belong
to) and how they hang together: dictionaries and lists whose leaves are the names of arrays. It also
has their hash, so that a damaged file is never taken for a model. Exports of compiled functions,
which JAX offers too, are no archive: a later JAX refuses them. Weights and the function's source
last; compiled code is made of them again.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from potentials.apart.read import read_hdf5
from potentials.files import FileError, digest_of

FORMAT, VERSION = "mdapp model weights", 1
HDF5_ENDINGS = (".h5", ".hdf5")
UNITS = (None, "lj", "metal")


@dataclass(frozen=True)
class Weights:
    """What a file of weights holds.

    Attributes
    ----------
    params : nested dictionaries and lists of arrays
    cutoff : range of an atom's energy, in length units
    species : names of the types that the model knows, in its order; empty: it knows no names
    units : of the numbers: "lj", "metal", or None
    model : of potentials.jax_models that they belong to; None: a function of the user's
    about : where they come from, for people
    """

    params: Any
    cutoff: float
    species: tuple[str, ...] = ()
    units: str | None = None
    model: str | None = None
    about: str = ""


def save_weights(path: str | Path, params: Any, *, cutoff: float, species: Sequence[str] = (),
                 units: str | None = None, model: str | None = None, about: str = "") -> None:
    """Write weights to a file whose ending says what it is: .npz, or .h5 or .hdf5.

    Parameters
    ----------
    params : nested dictionaries, lists and tuples of arrays and numbers
    cutoff, species, units, model, about : see Weights

    Raises
    ------
    FileError : a name, the ending or a value cannot be written
    """
    path = Path(path)
    arrays: dict[str, NDArray[Any]] = {}
    tree = _named(params, "", arrays, path)
    header = {"format": FORMAT, "version": VERSION, "cutoff": float(cutoff),
              "species": list(species), "units": units, "model": model, "about": about,
              "tree": tree, "sha256": digest_of(arrays)}
    _checked(path, header, arrays)
    text = json.dumps(header, indent=1)
    if path.suffix == ".npz":
        np.savez_compressed(path, header=np.array(text), **arrays)  # type: ignore[arg-type]
    elif path.suffix in HDF5_ENDINGS:
        with h5py.File(path, "w") as file:
            file.attrs["header"] = text
            for name, array in arrays.items():
                file[name] = array
    else:
        raise FileError(f"{path}: the ending must be .npz, .h5 or .hdf5")


def load_weights(path: str | Path) -> Weights:
    """Read weights.

    Raises
    ------
    FileError : the file cannot be read, is not whole, or says what cannot be
    """
    path = Path(path)
    text: str | None
    try:
        if path.suffix in HDF5_ENDINGS:
            texts, arrays = read_hdf5(path)
            text = texts.get("header")
        else:
            text, arrays = _read_npz(path)
    except FileError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error,
            NotImplementedError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"{path}: is no whole file of weights: {reason}") from None
    if text is None:
        raise FileError(f"{path}: has no header; write it with potentials.jax_model.save_weights")
    try:
        header = json.loads(text)
    except ValueError as error:
        raise FileError(f"{path}: the header is no JSON: {error}") from None
    _checked(path, header, arrays)
    return Weights(_tree(header["tree"], arrays), header["cutoff"], tuple(header["species"]),
                   header.get("units"), header["model"], header["about"])


def _read_npz(path: Path) -> tuple[str | None, dict[str, NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array and no header")
        arrays = {name: file[name] for name in file.files}
    header = arrays.pop("header", None)
    return None if header is None else str(header), arrays


def _named(value: Any, name: str, arrays: dict[str, NDArray[Any]], path: Path) -> Any:
    """The tree with names for its arrays, which are put into `arrays`."""
    def child(key: object) -> str:
        return f"{name}/{key}" if name else str(key)

    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not key or "/" in key or key in (".", "header"):
                raise FileError(f"{path}: {key!r} cannot be the name of weights: must be a text "
                                "without a slash, and not 'header'")
        return {key: _named(part, child(key), arrays, path) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(part, child(k), arrays, path) for k, part in enumerate(value)]
    name = name or "all"
    arrays[name] = np.asarray(value)
    return name


def _tree(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The tree with its arrays."""
    if isinstance(value, dict):
        return {key: _tree(part, arrays) for key, part in value.items()}
    if isinstance(value, list):
        return [_tree(part, arrays) for part in value]
    return arrays[value]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    else:
        yield value


def _checked(path: Path, header: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise FileError for a header that cannot be, or that is not of these arrays."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileError(f"{path}: the header's format must be {FORMAT!r}")
    if header.get("version") != VERSION:
        raise FileError(f"{path}: is of version {header.get('version')!r}, this program reads "
                        f"{VERSION}")
    cutoff, species = header.get("cutoff"), header.get("species")
    if not isinstance(cutoff, (int, float)) or not (math.isfinite(cutoff) and cutoff > 0):
        raise FileError(f"{path}: cutoff = {cutoff!r}: must be a number greater than 0")
    if (not isinstance(species, list) or not all(isinstance(s, str) and s for s in species)
            or len(set(species)) != len(species)):
        raise FileError(f"{path}: species = {species!r}: must be different names")
    if header.get("units") not in UNITS:
        raise FileError(f'{path}: units = {header["units"]!r}: must be "lj" or "metal"')
    for key, kinds in (("model", (str, type(None))), ("about", (str,))):
        if not isinstance(header.get(key, 0), kinds):
            raise FileError(f"{path}: {key} = {header.get(key)!r}: must be a text")
    named = list(_leaves(header.get("tree")))
    if sorted(map(str, named)) != sorted(arrays):
        raise FileError(f"{path}: the header names the arrays {', '.join(map(str, named))}; the "
                        f"file has {', '.join(sorted(arrays)) or 'none'}")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise FileError(f"{path}: {name}: must be finite numbers")
    if header.get("sha256") != digest_of(arrays):
        raise FileError(f"{path}: the arrays are not those that were written: the file is damaged")
