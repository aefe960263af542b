"""The machine file of `mdapp plan`: every number with its origin.

given       known for certain, or chosen
measured    by somebody on this machine
datasheet   promised by its vendor
assumed     guessed; printed under "replace these first"

The built-in machine, all of it assumed, serves where there is no file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from mdapp.deck.fields import PositiveInt, Section
from mdapp.deck.loading import read_text
from mdapp.deck.messages import problem_lines
from mdapp.errors import InputError

Origin = Literal["given", "measured", "datasheet", "assumed"]
NotNegative = Annotated[float, Field(ge=0)]


class Quantity(Section):
    """A number and where it comes from."""

    v: NotNegative
    """Its value."""
    origin: Origin
    """given, measured, datasheet or assumed."""


class Allreduce(Section):
    """c0 + c1 log2(ranks), in us."""

    c0: NotNegative
    c1: NotNegative
    origin: Origin


def assumed(value: float) -> Quantity:
    """A guess."""
    return Quantity(v=value, origin="assumed")


class Node(Section):
    """A node and how it is filled."""

    cores: PositiveInt = 64
    """Cores of a node."""
    ranks_per_node: PositiveInt = 64
    """Ranks on each node."""
    threads: PositiveInt = 1
    """Threads of each rank."""
    mem_per_rank_GiB: Quantity = assumed(4.0)
    """Memory of a rank, GiB."""


class Compute(Section):
    """What a full node does to the speed of a rank."""

    full_node_factor: Quantity = assumed(1.3)
    """Time of a rank on a full node over that of a rank alone."""


class Network(Section):
    """LogGP parameters of a message, and what a node can inject."""

    o_us: Quantity = assumed(1.0)
    """Time of a core for a message, us."""
    L_us: Quantity = assumed(2.0)
    """Latency, us."""
    link_GBps: Quantity = assumed(12.0)
    """Bandwidth of one message, GB/s."""
    node_GBps: Quantity = assumed(25.0)
    """Bandwidth of all messages of a node, GB/s."""
    allreduce_us: Allreduce = Allreduce(c0=3.0, c1=2.0, origin="assumed")
    """Time of a reduction of eight bytes: c0 + c1 log2(ranks), us."""


class Storage(Section):
    """Where checkpoints go."""

    fs_GBps: Quantity = assumed(100.0)
    """Bandwidth of the file system, GB/s."""
    node_write_GBps: Quantity = assumed(2.0)
    """Bandwidth of one node to it, GB/s."""
    file_create_per_s: Quantity = assumed(5000.0)
    """Files that it makes a second."""
    fsync_s: Quantity = assumed(0.5)
    """Time of a sync, s; a checkpoint has one of its data and one of its manifest."""
    mtbf_h: Quantity = assumed(24.0)
    """Mean time between failures of the job, h."""


class Machine(Section):
    """Everything that a prediction needs of a machine."""

    node: Node = Node()
    compute: Compute = Compute()
    network: Network = Network()
    storage: Storage = Storage()

    @property
    def name_of(self) -> str:
        """Words for the layout."""
        return (f"{self.node.ranks_per_node} ranks x {self.node.threads} threads on each node of "
                f"{self.node.cores} cores")

    def quantities(self) -> Iterator[tuple[str, str, Origin]]:
        """Every number with an origin: key, value as text, origin."""
        for section in ("node", "compute", "network", "storage"):
            table = getattr(self, section)
            for key in type(table).model_fields:
                item = getattr(table, key)
                if isinstance(item, Quantity):
                    yield f"{section}.{key}", f"{item.v:g}", item.origin
                elif isinstance(item, Allreduce):
                    yield f"{section}.{key}", f"c0 {item.c0:g}, c1 {item.c1:g}", item.origin

    def _problems(self) -> Iterator[tuple[str, str]]:
        node = self.node
        if node.ranks_per_node * node.threads > node.cores:
            yield "node.ranks_per_node", (f"with threads = {node.threads} needs more than cores = "
                                          f"{node.cores}")
        for key in ("link_GBps", "node_GBps"):
            if not getattr(self.network, key).v:
                yield f"network.{key}", "must be greater than 0"
        for key in ("fs_GBps", "node_write_GBps", "file_create_per_s", "mtbf_h"):
            if not getattr(self.storage, key).v:
                yield f"storage.{key}", "must be greater than 0"


def read_machine(path: Path | None) -> Machine:
    """Read a machine file; the built-in machine without one.

    Raises
    ------
    InputError
        No such file, not TOML, or a number without an origin; one line for each problem.
    """
    if path is None:
        return Machine()
    try:
        return Machine.model_validate(tomllib.loads(read_text(path, "machine file")))
    except ValidationError as error:
        lines = problem_lines(error, Machine, lambda key: f"{path}: ")
        hint = "; a number is written {v = 1.0, origin = \"given\"}"
        raise InputError("\n".join(line + hint * line.endswith("must be a table")
                                   for line in lines)) from None
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
