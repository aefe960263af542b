"""A native model for DeePMD-kit's LAMMPS: a TensorFlow graph, as it is or compressed.

Run by the interpreter of the peer's environment, which has no mdapp:

    python deepmd_convert.py MODEL.dp GRAPH.pb [COMPRESSED.pb]

What `dp convert-backend` and `dp compress` do, with the latter's defaults. Of a model that was not
trained there, `dp compress` misses the rate of learning, which it does not use; it gets one.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

DEFAULTS = {"extrapolate": 5, "step": 0.01, "frequency": "-1", "training_script": None,
            "checkpoint_folder": "model-compression", "mpi_log": "master", "log_path": None,
            "log_level": 0}  # fmt: skip


def main(model: str, graph: str, compressed: str = "") -> None:
    """Convert, and compress into a second graph."""
    convert: Any = importlib.import_module("deepmd.entrypoints.convert_backend")
    convert.convert_backend(INPUT=model, OUTPUT=graph)
    if not compressed:
        return
    module: Any = importlib.import_module("deepmd.tf.entrypoints.compress")
    checked = module.normalize

    def complete(data: Any) -> Any:
        return checked({**data, "learning_rate": {"start_lr": 1e-3, "stop_lr": 1e-8}})

    module.normalize = complete
    module.compress(input=graph, output=compressed, **DEFAULTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
