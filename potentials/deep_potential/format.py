"""Native models of DeePMD-kit: from a tree to a Deep Potential and back.

What mdapp evaluates is the plain energy model: descriptors se_e2_a and se_e2_r, tanh and linear
layers. Everything else that a file may ask for (other descriptors, spin, frame parameters, excluded
types, composite models, ...) is refused by the name it has there; so is a key that nobody knows,
unless it says nothing. Shapes are held against `sel`, `neuron`, `axis_neuron` and `dim_descrpt`.

A compressed model still has its networks; its own table is not read, table.py makes a better one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from potentials.deep_potential.model import Layer, Model, Network
from potentials.deep_potential.tree import VARIABLES, Branch, Tree, read_tree, write_tree
from potentials.files import FileError

DESCRIPTORS = {"se_e2_a": False, "se_r": True}          # name in files: whether it is radial
ACTIVATIONS = {"tanh": True, "none": False, "linear": False}
PRECISIONS = ("float64", "float32")
MOST_TYPES, MOST_SLOTS, WIDEST, DEEPEST = 120, 1 << 20, 1 << 14, 64
LARGEST_DESCRIPTOR = 1 << 20
SAYS_NOTHING = ("trainable", "rcond", "preset_out_bias", "layer_name", "use_aparam_as_mask",
                "default_fparam", "bias")        # of training, or of what is refused anyway
OF_MODEL = ("@class", "@version", "type", "type_map", "descriptor", "fitting",
            "atom_exclude_types", "pair_exclude_types", VARIABLES, *SAYS_NOTHING)
OF_DESCRIPTOR = ("@class", "@version", "type", "rcut", "rcut_smth", "sel", "neuron", "axis_neuron",
                 "resnet_dt", "type_one_side", "env_protection", "set_davg_zero", "precision",
                 "activation_function", "embeddings", "env_mat", "type_map", "compress", VARIABLES,
                 *SAYS_NOTHING)
OF_FITTING = ("@class", "@version", "type", "var_name", "ntypes", "dim_descrpt", "mixed_types",
              "dim_out", "neuron", "resnet_dt", "activation_function", "precision", "nets",
              "type_map", VARIABLES, *SAYS_NOTHING)
OF_LAYER = ("@class", "@version", "use_timestep", "activation_function", "resnet", "precision",
            VARIABLES, *SAYS_NOTHING)


def read_model(path: Path) -> Model:
    """Read a `.dp` or `.yaml` file.

    Raises
    ------
    FileError : names the file, the place in it, and what cannot be used
    """
    return model_of(read_tree(path), path)


def model_of(tree: Tree, path: Path) -> Model:
    """The model of a tree that was read from a file.

    Raises
    ------
    FileError : names the file, the place in it, and what cannot be used
    """
    root = Branch(f"{path}: model", tree)
    nearest = None
    if root.has(VARIABLES) and root.branch(VARIABLES).has("min_nbor_dist"):
        found = float(root.branch(VARIABLES).array("min_nbor_dist", (1,), ())[0])
        nearest = found if 0 < found < 100 else None
    if not isinstance(tree.get("model"), dict):
        raise FileError(f"{path}: model: is missing")
    return _model(Branch(f"{path}: model", tree["model"]), nearest)


def _model(b: Branch, nearest: float | None) -> Model:
    b.choice("type", ("standard",), "; composite models are not supported")
    _is(b, "Model", 2, 2)
    for key in ("atom_exclude_types", "pair_exclude_types"):
        _absent(b, key, "excluded types")
    b.only(OF_MODEL)
    elements = b.words("type_map")
    n = len(elements)
    if not 1 <= n <= MOST_TYPES:
        raise b.error("type_map", f"has {n} elements; mdapp takes 1 to {MOST_TYPES}")
    d = b.branch("descriptor")
    radial = DESCRIPTORS[d.choice("type", tuple(DESCRIPTORS), "; other descriptors are not "
                                                              "supported")]
    shape = _Shape(d, radial, n)
    f = b.branch("fitting")
    fittings, bias = _fitting(f, n, shape.inputs)
    outer = b.branch(VARIABLES)
    deviation = outer.array("out_std", (1, n, 1))
    if (deviation != 1).any():
        raise outer.error("out_std", "is not 1: scaled energies are not supported")
    bias = bias + outer.array("out_bias", (1, n, 1)).ravel()
    return Model(elements, radial, shape.cutoff, shape.smooth, shape.sel, shape.axis,
                 shape.one_sided, shape.mean, shape.scale, shape.protection, shape.embeddings,
                 fittings, bias, nearest)


class _Shape:
    """A descriptor: its numbers and its networks."""

    def __init__(self, d: Branch, radial: bool, n: int):
        _is(d, "Descriptor", 1, 3)
        _absent(d, "exclude_types", "excluded pairs of types")
        _absent(d, "spin", "spin")
        d.only(OF_DESCRIPTOR)
        self.cutoff = d.number("rcut", 1e-3, 1e3)
        self.smooth = d.number("rcut_smth", 0.0, self.cutoff)
        if self.smooth == self.cutoff:
            raise d.error("rcut_smth", f"is rcut, {self.cutoff:g}: must be less")
        self.sel = d.counts("sel", 0, MOST_SLOTS)
        if len(self.sel) != n or not 0 < sum(self.sel) <= MOST_SLOTS:
            raise d.error("sel", f"is {list(self.sel)}: must have a number for each of {n} types, "
                                 f"of 1 to {MOST_SLOTS} in all")
        neurons = d.counts("neuron", 1, WIDEST)
        self.axis = 0 if radial else d.count("axis_neuron", 1, neurons[-1] if neurons else 1)
        self.one_sided = d.flag("type_one_side")
        self.protection = 0.0
        if d.has("env_protection"):
            self.protection = d.number("env_protection", 0.0, 1e3)
        if d.has("env_mat"):
            d.branch("env_mat").only(("rcut", "rcut_smth", "protection"))
        columns, slots, variables = 1 if radial else 4, sum(self.sel), d.branch(VARIABLES)
        mean, scale = (variables.array(key, (n, slots, columns)) for key in ("davg", "dstd"))
        for key, values in (("davg", mean), ("dstd", scale)):
            if (values != values[:, :1]).any():
                raise variables.error(key, "differs from slot to slot")
        if (scale <= 0).any():
            raise variables.error("dstd", "must be greater than 0")
        self.mean, self.scale = mean[:, 0].copy(), scale[:, 0].copy()
        if d.has("set_davg_zero") and self.mean.any():
            raise variables.error("davg", "is not 0, but set_davg_zero is true")
        found = _collection(d.branch("embeddings"), "embedding_network", "EmbeddingNetwork",
                            n, 1 if self.one_sided else 2)
        self.embeddings = tuple(_network(net, (1, *neurons)) for net in found)
        self.inputs = neurons[-1] * (1 if radial else self.axis)
        if self.inputs > LARGEST_DESCRIPTOR:
            raise d.error("neuron", f"and axis_neuron make a descriptor of {self.inputs} numbers; "
                                    f"mdapp takes {LARGEST_DESCRIPTOR}")


def _fitting(f: Branch, n: int, inputs: int) -> tuple[tuple[Network, ...], np.ndarray]:
    """The networks of each type, and their energies at rest."""
    kind = f.choice("type", ("ener", "invar"), "; other fittings are not supported")
    _is(f, "Fitting", 1, 4)
    if kind == "invar":
        f.choice("var_name", ("energy",))
        f.count("dim_out", 1, 1)
    for key, what in (("numb_fparam", "frame parameters"), ("numb_aparam", "atomic parameters"),
                      ("dim_case_embd", "a case embedding"), ("atom_ener", "atom_ener"),
                      ("exclude_types", "excluded types"), ("spin", "spin"),
                      ("tot_ener_zero", "tot_ener_zero")):
        _absent(f, key, what)
    f.only(OF_FITTING)
    dimension = f.count("dim_descrpt", 1, LARGEST_DESCRIPTOR)
    if dimension != inputs:
        raise f.error("dim_descrpt", f"is {dimension}; the descriptor has {inputs} numbers")
    neurons = f.counts("neuron", 1, WIDEST)
    mixed = f.flag("mixed_types")
    found = _collection(f.branch("nets"), "fitting_network", "FittingNetwork", n,
                        0 if mixed else 1)
    networks = tuple(_network(net, (inputs, *neurons, 1)) for net in found)
    for branch, network in zip(found, networks, strict=True):
        first, last = network.layers[0], network.layers[-1]
        if first.copies:
            raise branch.error("layers[0]", f"adds its {inputs} inputs to its outputs: frameworks "
                                            "differ in that, and mdapp does not do it")
        if last.tanh or last.copies or last.step is not None or not neurons:
            raise branch.error("layers", "the last must be linear, behind others")
    variables = f.branch(VARIABLES)
    for key in variables.items:
        if key != "bias_atom_e":
            _absent(variables, key, "parameters beside the descriptor")
    bias = variables.array("bias_atom_e", (n, 1), (n,)).ravel()
    return networks * n if mixed else networks, bias


def _collection(b: Branch, kind: str, each: str, n: int, dimensions: int) -> list[Branch]:
    """The networks of a collection, by types."""
    _is(b, "NetworkCollection", 1, 1)
    b.choice("network_type", (kind,))
    b.count("ndim", dimensions, dimensions)
    b.count("ntypes", n, n)
    networks = b.branches("networks")
    if len(networks) != n**dimensions:
        raise b.error("networks", f"are {len(networks)}; {n**dimensions} are expected")
    for network in networks:
        _is(network, each, 1, 2)
    return networks


def _network(b: Branch, widths: Sequence[int]) -> Network:
    """A network of given widths."""
    found = b.branches("layers")
    if len(found) != len(widths) - 1 or len(found) > DEEPEST:
        raise b.error("layers", f"are {len(found)}; {min(len(widths) - 1, DEEPEST)} are expected")
    layers = []
    for layer, (n, m) in zip(found, pairwise(widths), strict=True):
        _is(layer, "Layer", 1, 2)
        layer.only(OF_LAYER)
        layer.choice("precision", PRECISIONS)
        act = layer.choice("activation_function", tuple(ACTIVATIONS),
                           "; other activations are not supported")
        v = layer.branch(VARIABLES)
        v.only(("w", "b", "idt"))
        bias = v.array("b", (m,), (1, m)) if v.has("b") else np.zeros(m)
        if v.has("idt") != layer.flag("use_timestep"):
            raise layer.error("use_timestep", "does not say whether there is a vector idt")
        step = v.array("idt", (m,), (1, m)) if v.has("idt") else None
        layers.append(Layer(v.array("w", (n, m)), bias, step, ACTIVATIONS[act],
                            layer.flag("resnet")))
    return Network(tuple(layers))


def _is(b: Branch, name: str, first: int, last: int) -> None:
    """Check the class of a branch, and that its version is one of those that are known."""
    b.choice("@class", (name,))
    if "@version" in b.items:
        b.count("@version", first, last)


def _absent(b: Branch, key: str, what: str) -> None:
    if b.has(key):
        raise b.error(key, f"{what}: not supported")


def write_model(path: Path, model: Model, precision: str = "float64") -> None:
    """Write a `.dp` file that DeePMD-kit reads too; read_model gives back the same numbers.

    precision : that DeePMD-kit shall evaluate its networks in

    Raises
    ------
    FileError : it cannot be written, or its name does not end with .dp
    """
    if path.suffix != ".dp":
        raise FileError(f"{path}: the name must end with .dp")
    write_tree(path, tree_of(model, precision))


def tree_of(model: Model, precision: str = "float64") -> Tree:
    """The tree of a model; precision as for write_model."""
    n, slots = len(model.elements), model.slots
    over_slots = np.ones((1, slots, 1))
    names = list(model.elements)
    common = {"trainable": True, "precision": precision, "type_map": names}
    hidden, fitted = model.embeddings[0], model.fittings[0]
    descriptor: Tree = {
        "@class": "Descriptor", "type": "se_r" if model.radial else "se_e2_a", "@version": 2,
        "rcut": model.cutoff, "rcut_smth": model.smooth, "sel": list(model.sel),
        "neuron": list(hidden.widths[1:]), "resnet_dt": _stepped(hidden),
        "type_one_side": model.one_sided, "exclude_types": [], "env_protection": model.protection,
        "set_davg_zero": not model.mean.any(), "activation_function": "tanh",
        "env_mat": {"rcut": model.cutoff, "rcut_smth": model.smooth}, "spin": None, **common,
        "embeddings": _written(model.embeddings, "embedding_network", "EmbeddingNetwork", n,
                               1 if model.one_sided else 2, precision),
        VARIABLES: {"davg": model.mean[:, None] * over_slots,
                    "dstd": model.scale[:, None] * over_slots}}
    if not model.radial:
        descriptor["axis_neuron"] = model.axis
    fitting: Tree = {
        "@class": "Fitting", "type": "ener", "@version": 2, "var_name": "energy", "ntypes": n,
        "dim_descrpt": model.inputs, "mixed_types": False, "dim_out": 1,
        "neuron": list(fitted.widths[1:-1]), "resnet_dt": _stepped(fitted), "numb_fparam": 0,
        "numb_aparam": 0, "rcond": None, "tot_ener_zero": False, "atom_ener": [],
        "activation_function": "tanh", "layer_name": None, "use_aparam_as_mask": False,
        "spin": None, "exclude_types": [], **common,
        "trainable": [True] * len(fitted.layers),
        "nets": _written(model.fittings, "fitting_network", "FittingNetwork", n, 1, precision),
        VARIABLES: {"bias_atom_e": model.bias[:, None].copy(),
                    **dict.fromkeys(("fparam_avg", "fparam_inv_std", "aparam_avg",
                                     "aparam_inv_std"))}}
    ones = np.ones((1, n, 1))
    variables = {} if model.nearest is None else {"min_nbor_dist": np.array(model.nearest)}
    return {
        "software": "mdapp", "backend": "mdapp", VARIABLES: variables,
        "model_def_script": _script(descriptor, fitting, names),
        "model": {"@class": "Model", "type": "standard", "@version": 2, "type_map": names,
                  "descriptor": descriptor, "fitting": fitting, "atom_exclude_types": [],
                  "pair_exclude_types": [], "rcond": None, "preset_out_bias": None,
                  VARIABLES: {"out_bias": 0 * ones, "out_std": ones}}}


def _script(descriptor: Tree, fitting: Tree, names: list[str]) -> Tree:
    """The part of an input of DeePMD-kit that some of its frameworks make the model from."""
    keys = ("type", "rcut", "rcut_smth", "sel", "neuron", "axis_neuron", "resnet_dt",
            "type_one_side", "activation_function", "precision")
    return {"type_map": names,
            "descriptor": {k: descriptor[k] for k in keys if k in descriptor},
            "fitting_net": {k: fitting[k] for k in ("type", "neuron", "resnet_dt",
                                                    "activation_function", "precision")}}


def _written(networks: Sequence[Network], kind: str, each: str, n: int, dimensions: int,
             precision: str) -> Tree:
    def layer(a: Layer) -> Tree:
        return {"@class": "Layer", "@version": 1, "bias": True, "use_timestep": a.step is not None,
                "activation_function": "tanh" if a.tanh else "none", "resnet": a.resnet,
                "precision": precision, VARIABLES: {
                    "w": a.weight, "b": a.bias, "idt": a.step}}

    def network(net: Network) -> Tree:
        widths = net.widths
        sizes: Tree = {"in_dim": widths[0], "neuron": list(widths[1:]), "bias": True}
        if each == "FittingNetwork":
            sizes = {"in_dim": widths[0], "out_dim": 1, "neuron": list(widths[1:-1]),
                     "bias_out": True}
        return {"@class": each, "@version": 2 if each == "EmbeddingNetwork" else 1, **sizes,
                "activation_function": "tanh", "resnet_dt": _stepped(net), "precision": precision,
                "layers": [layer(a) for a in net.layers]}

    return {"@class": "NetworkCollection", "@version": 1, "ndim": dimensions, "ntypes": n,
            "network_type": kind, "networks": [network(net) for net in networks]}


def _stepped(network: Network) -> bool:
    return any(layer.step is not None for layer in network.layers)
