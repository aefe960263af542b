"""The two containers of DeePMD-kit's native models: a tree of dictionaries with arrays in it.

`.dp` is an HDF5 file. The attribute `json` of its root is the whole tree as JSON text; the values
of dictionaries called `@variables` are arrays, for which the text has the names of datasets.
`.yaml` is the same tree with its arrays written out. Nothing of DeePMD-kit, TensorFlow or PyTorch
is needed for either.

A tree comes from anywhere. Numbers are taken only if they are finite, arrays only if the file is
large enough for them; YAML is read by its safe loader, HDF5 by a process that may die
(potentials/apart). What a consumer then asks of the tree (`Branch`) is checked where it is asked
for, and an error names the file and the path within it.

Sources: DeePMD-kit 3.2, doi 10.1063/5.0155600.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from potentials.apart.read import read_hdf5
from potentials.files import LARGEST, FileError, digest_of

HDF5, YAML = (".dp",), (".yaml", ".yml")
FOREIGN = (".pb", ".pth", ".pt", ".savedmodel", ".hlo", ".jax", ".pte", ".pt2", ".json")
VARIABLES = "@variables"
DEEPEST = 8                 # dimensions of an array
TEXT = "json"               # an attribute; in files that mdapp wrote there are two more:
HASH, WHOLE = "sha256", "sha256_of_all" # of the text, formerly; of text and arrays
Tree = dict[str, Any]


def read_tree(path: Path) -> Tree:
    """Read a `.dp` or `.yaml` file; arrays are float64, or None where the file has none.

    Raises
    ------
    FileError : names the file and what is wrong with it
    """
    if path.suffix in FOREIGN:
        raise FileError(f"{path}: models of one framework cannot be read; convert it to the native "
                        f"format: dp convert-backend {path.name} {path.stem}.dp")
    if path.suffix not in (*HDF5, *YAML):
        raise FileError(f"{path}: the name must end with {', '.join((*HDF5, *YAML))}")
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise FileError(f"{path}: is larger than {LARGEST} bytes: no parameter file")
        tree = _read_hdf5(path, size) if path.suffix in HDF5 else _read_yaml(path, size)
    except RecursionError:
        raise FileError(f"{path}: is nested too deeply") from None
    if not isinstance(tree, dict):
        raise FileError(f"{path}: holds no tree of a model")
    return tree


def _read_hdf5(path: Path, size: int) -> Any:
    """By another process: on a damaged file the HDF5 library may crash, or never return."""
    texts, kept = read_hdf5(path)
    if TEXT not in texts:
        raise FileError(f"{path}: has no text in the attribute {TEXT}: not written by DeePMD-kit")
    text = texts[TEXT]
    for name, arrays in ((HASH, {}), (WHOLE, kept)):
        if name in texts and texts[name] != digest_of(arrays, text):
            raise FileError(f"{path}: is damaged: its checksum {name} is another")
    try:
        tree = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise FileError(f"{path}: cannot be read: {_first_line(error)}") from None
    return _filled(tree, path, size, lambda name: _dataset(name, kept))


def _dataset(name: object, kept: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """An array that was found under a name.

    Raises
    ------
    ValueError : there is none, or it is one of other things than floating-point numbers
    """
    if not isinstance(name, str) or name.lstrip("/") not in kept:
        raise ValueError(f"{str(name)[:40]!r} names no array of the file")
    found = kept[name.lstrip("/")]
    if found.dtype.kind != "f":
        raise ValueError(f"{name} holds no floating-point numbers ({found.dtype})")
    return found


def _read_yaml(path: Path, size: int) -> Any:
    try:
        import yaml
    except ImportError:
        raise FileError(f"{path}: needs the package PyYAML (pip install mdapp[yaml]); or write the "
                        f"model as {path.stem}.dp") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = yaml.load(path.read_bytes(), loader)
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        raise FileError(f"{path}: no YAML: {_first_line(error)}") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from None
    return _filled(tree, path, size, lambda leaf: _listed(leaf, size))


def _listed(leaf: Any, size: int) -> NDArray[Any]:
    """An array as YAML has it. It reads 1e02 as text: numbers are converted by hand."""
    if not isinstance(leaf, dict) or leaf.get("@class") != "np.ndarray" or "value" not in leaf:
        raise ValueError("is no np.ndarray")
    if leaf.get("dtype") not in ("float64", "float32"):
        raise ValueError(f"has the dtype {str(leaf.get('dtype'))[:40]}")
    shape: list[int] = []
    value = leaf["value"]
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    numbers = list(_numbers(leaf["value"], shape, [size]))
    return np.array(numbers, leaf["dtype"]).reshape(shape)


def _numbers(value: Any, shape: Sequence[int], left: list[int]) -> Iterator[float]:
    """The numbers of a nested list; `left` bounds their count: an alias can stand for thousands."""
    if isinstance(value, list):
        if not shape or len(value) != shape[0] or len(shape) > DEEPEST:
            raise ValueError("has rows of different lengths")
        for item in value:
            yield from _numbers(item, shape[1:], left)
        return
    left[0] -= 1
    if shape or left[0] < 0 or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("is no array of numbers")
    yield float(value)


def _filled(tree: Any, path: Path, size: int, array: Any) -> Any:
    """The tree with the leaves of its `@variables` replaced by arrays."""
    left = [size]

    def fill(node: Any, where: str, inside: bool) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise FileError(f"{path}: repeats itself without end")
        if isinstance(node, dict) and not (inside and "@class" in node):
            return {str(k): fill(v, f"{where}.{k}", inside or k == VARIABLES)
                    for k, v in node.items()}
        if isinstance(node, list):
            return [fill(v, f"{where}[{k}]", inside) for k, v in enumerate(node)]
        if not inside or node is None:
            return node
        try:
            found = np.asarray(array(node), np.float64)
        except (KeyError, ValueError, TypeError, OverflowError, OSError, RuntimeError) as error:
            raise FileError(f"{path}: {where[1:]}: {_first_line(error)}") from None
        if not np.isfinite(found).all():
            raise FileError(f"{path}: {where[1:]}: has a number that is not finite")
        return found

    return fill(tree, "", False)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} in the text is no finite number")


def _first_line(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def write_tree(path: Path, tree: Tree) -> None:
    """Write a tree to a `.dp` file; text and arrays get checksums, so that damage will be told.

    Raises
    ------
    FileError : it cannot be written
    """
    def named(node: Any, file: h5py.File) -> Any:
        if isinstance(node, dict):
            return {key: named(value, file) for key, value in node.items()}
        if isinstance(node, (list, tuple)):
            return [named(value, file) for value in node]
        if not isinstance(node, np.ndarray):
            return node
        name = f"variable_{len(file):04d}"
        arrays[name] = node
        return file.create_dataset(name, data=node, fletcher32=bool(node.size and node.ndim)).name

    arrays: dict[str, NDArray[Any]] = {}
    try:
        with h5py.File(path, "w") as file:
            text = json.dumps(named(tree, file), separators=(",", ":"))
            file.attrs[TEXT], file.attrs[WHOLE] = text, digest_of(arrays, text)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {_first_line(error)}") from None


class Branch:
    """A dictionary of a tree, asked for what it must hold.

    Parameters
    ----------
    where : file and path within it, for messages
    items : the dictionary
    """

    def __init__(self, where: str, items: Mapping[str, Any]):
        self.where, self.items = where, items

    def error(self, key: str, text: str) -> FileError:
        """An error about one of its items."""
        return FileError(f"{self.where}.{key}: {text}")

    def _item(self, key: str) -> Any:
        if key not in self.items:
            raise self.error(key, "is missing")
        return self.items[key]

    def branch(self, key: str) -> Branch:
        """A dictionary."""
        found = self._item(key)
        if not isinstance(found, dict):
            raise self.error(key, f"is {_shown(found)}: must be a dictionary")
        return Branch(f"{self.where}.{key}", found)

    def branches(self, key: str) -> list[Branch]:
        """A list of dictionaries."""
        found = self._item(key)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self.error(key, "must be a list of dictionaries")
        return [Branch(f"{self.where}.{key}[{k}]", item) for k, item in enumerate(found)]

    def choice(self, key: str, known: Sequence[Any], why: str = "") -> Any:
        """One of some values, of their type."""
        found = self._item(key)
        for value in known:
            if type(found) is type(value) and found == value:
                return value
        raise self.error(key, f"is {_shown(found)}: mdapp knows {', '.join(map(_shown, known))}"
                              + why)

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self.choice(key, (True, False)))

    def count(self, key: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        found = self._item(key)
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise self.error(key, f"is {_shown(found)}: must be a whole number from {least} to "
                                  f"{most}")
        return found

    def counts(self, key: str, least: int, most: int) -> tuple[int, ...]:
        """A list of whole numbers within bounds."""
        found = self._item(key)
        if not isinstance(found, list):
            raise self.error(key, f"is {_shown(found)}: must be a list of whole numbers")
        inner = Branch(self.where, {f"{key}[{k}]": value for k, value in enumerate(found)})
        return tuple(inner.count(name, least, most) for name in inner.items)

    def number(self, key: str, least: float, most: float) -> float:
        """A finite number within bounds."""
        found = self._item(key)
        if isinstance(found, str):                      # YAML reads 1e02 as text
            try:
                found = float(found)
            except ValueError:
                raise self.error(key, f"is {_shown(found)}: must be a number") from None
        if (isinstance(found, bool) or not isinstance(found, (int, float))
                or not math.isfinite(found) or not least <= found <= most):
            raise self.error(key, f"is {_shown(found)}: must be a number from {least:g} to "
                                  f"{most:g}")
        return float(found)

    def words(self, key: str) -> tuple[str, ...]:
        """A list of different words."""
        found = self._item(key)
        if (not isinstance(found, list) or not all(isinstance(w, str) and w for w in found)
                or len(set(found)) < len(found)):
            raise self.error(key, f"is {_shown(found)}: must be a list of different words")
        return tuple(found)

    def has(self, key: str) -> bool:
        """Whether there is an item that says anything: not None, not empty, not false."""
        found = self.items.get(key)
        if isinstance(found, list):
            return any(item is not None for item in found)
        return isinstance(found, np.ndarray) or found not in (None, False, 0, {}, "")

    def array(self, key: str, *shapes: tuple[int, ...]) -> NDArray[np.float64]:
        """An array of one of some shapes, as the first of them."""
        found = self._item(key)
        if not isinstance(found, np.ndarray):
            raise self.error(key, f"is {_shown(found)}: must be an array")
        if found.shape not in shapes:
            raise self.error(key, f"has the shape {found.shape}; {shapes[0]} is expected")
        return np.ascontiguousarray(found.reshape(shapes[0]))

    def only(self, known: Sequence[str]) -> None:
        """Raise FileError if there is an item that says anything and that nobody will read."""
        for key in self.items:
            if key not in known and self.has(key):
                raise self.error(key[:40], "mdapp does not know this key, and cannot leave it out")


def _shown(value: object) -> str:
    text = json.dumps(value, default=lambda v: f"an array {v.shape}" if isinstance(v, np.ndarray)
                      else str(v))
    return text if len(text) <= 60 else text[:57] + "..."
