"""What the readers of H5MD files need, as a checker: the specification of mdapp's trajectories.

Sources: H5MD 1.1 (https://www.nongnu.org/h5md/h5md.html), MDAnalysis 2.11
(`coordinates/H5MD.py`), the VMD plugin (`libh5md.c` of github.com/h5md/VMD-h5mdplugin).
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

# MDAnalysis translates these; others make it refuse the file unless convert_units=False.
MDANALYSIS_UNITS = {
    "time": {"ps", "fs", "ns", "second", "sec", "s"},
    "position": {"Angstrom", "angstrom", "A", "nm", "pm", "fm"},
    "velocity": {
        "Angstrom ps-1",
        "A ps-1",
        "Angstrom fs-1",
        "A fs-1",
        "nm ps-1",
        "nm ns-1",
        "pm ps-1",
        "m s-1",
    },
    "force": {
        "kJ mol-1 Angstrom-1",
        "kJ mol-1 nm-1",
        "Newton",
        "N",
        "J m-1",
        "kcal mol-1 Angstrom-1",
        "kcal mol-1 A-1",
    },
}
ELEMENTS = ("position", "velocity", "force", "image")


def complaints(path: Path, *, units: bool, vmd: bool = False) -> list[str]:
    """What some reader would not take; empty for a good file."""
    with h5py.File(path, "r") as file:
        return [*_of_h5md(file), *_of_mdanalysis(file, units), *(_of_vmd(file) if vmd else ())]


def _texts(file: h5py.File) -> Iterator[tuple[str, h5py.h5a.AttrID]]:
    found = []

    def visit(name, item):
        for key in item.attrs:
            attribute = item.attrs.get_id(key)
            if attribute.get_type().get_class() == h5py.h5t.STRING:
                found.append((f"{name}@{key}", attribute))

    file.visititems(visit)
    return iter(found)


def _of_h5md(file: h5py.File) -> Iterator[str]:
    head = file["h5md"]
    if list(head.attrs["version"]) != [1, 1]:
        yield "h5md version is not 1.1"
    if "name" not in head["author"].attrs:
        yield "no author"
    if not {"name", "version"} <= set(head["creator"].attrs):
        yield "no creator"
    group = file["particles/trajectory"]
    box = group["box"]
    boundary = list(box.attrs["boundary"])
    if len(boundary) != 3 or not set(boundary) <= {"periodic", "none"}:
        yield f"boundary {boundary}"
    for name in ELEMENTS:
        if name not in group:
            continue
        element = group[name]
        for key in ("step", "time"):
            if element[key] != group["position"][key]:
                yield f"{name}/{key} is not linked with that of position"
            if len(element[key]) != len(element["value"]):
                yield f"{name}/{key} has another length than value"
    steps = group["position/step"][:]
    if not (np.diff(steps) > 0).all():
        yield f"steps do not grow: {steps}"
    if box["edges/step"] != group["position/step"]:
        yield "box/edges/step is not linked with that of position"


def _of_mdanalysis(file: h5py.File, units: bool) -> Iterator[str]:
    if not file.filename.endswith(".h5md"):
        yield "name does not end in .h5md"
    if list(file["particles"]) != ["trajectory"]:
        yield "opening without a topology needs one group, trajectory"
    group = file["particles/trajectory"]
    if group["box"].attrs["dimension"] != 3:
        yield "box is not of dimension 3"
    values = group["position/value"]
    edges = group["box/edges/value"]
    if edges.shape != (len(values), 3, 3):
        yield f"edges have the shape {edges.shape}"
    if group["position/step"].ndim != 1 or group["position/time"].ndim != 1:
        yield "step and time must be explicit"
    for name, attribute in _texts(file):
        kind = attribute.get_type()
        if not kind.is_variable_str() or kind.get_cset() != h5py.h5t.CSET_UTF8:
            yield f"{name} is no UTF-8 string of variable length"
    places = {
        "time": group["position/time"],
        **{name: group[f"{name}/value"] for name in ELEMENTS[:3] if name in group},
    }
    for name, dataset in places.items():
        unit = dataset.attrs.get("unit")
        if not units and unit is not None:
            yield f"{name} has the unit {unit!r}, but reduced units have no name"
        if units and unit not in MDANALYSIS_UNITS[name]:
            yield f"{name} has the unit {unit!r}"
    if "observables" in file:
        yield "observables are not part of it"


def _of_vmd(file: h5py.File) -> Iterator[str]:
    group = file["particles/trajectory"]
    if group["position/value"].ndim != 3:
        yield "position/value is not of rank 3"
    for name in ("species", "mass", "charge"):
        if name in group and not isinstance(group[name], h5py.Dataset):
            yield f"{name} depends on time"
    yield from (
        f"{name} is handled wrongly by the plugin" for name in ("id", "image") if name in group
    )
