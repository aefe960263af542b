"""What is known of a checkpoint between the moment it falls due and its line in the log.

Waited for or written beside the run, a checkpoint goes through the same hands; this is the slip
that travels with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from mdapp.storage.cargo import Cargo
from mdapp.storage.engines import Clock
from mdapp.storage.metrics import Outcome
from mdapp.storage.state import State
from mdapp.storage.survey import Survey


@dataclass
class Order:
    """A checkpoint on its way, from its state to its line in the log.

    Attributes
    ----------
    state : of which, as it was when the checkpoint fell due
    cargo, survey : what is written of it, and what is known of that
    outcome : what becomes of it
    mode : sync or async
    clock : seconds of this rank, by phase
    began : when
    stall_s : for how long the run stood still, s; None: from `began` to the end
    storage : what the manifest says of where it lies: its level, and its set where it is a part
    retries, errors, sizes, gbytes_per_s : for the log
    """

    state: State
    outcome: Outcome
    mode: str
    clock: Clock = field(default_factory=Clock)
    began: float = field(default_factory=time.perf_counter)
    stall_s: float | None = None
    retries: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    sizes: tuple[int, int, int, int] = (0, 0, 0, 0)
    gbytes_per_s: float = 0.0
    cargo: Cargo = field(init=False)
    storage: dict[str, Any] = field(default_factory=lambda: {"level": "parallel"})
    survey: Survey = field(init=False)
