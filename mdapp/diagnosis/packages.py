"""Python, the packages that mdapp needs, and what clashes with them."""

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import mdapp
from mdapp.diagnosis.verdict import Verdict

REQUIRED = (
    "numpy", "numba", "scipy", "mpi4py", "h5py", "typer", "rich", "pydantic", "matplotlib",
    "jinja2",
)  # fmt: skip
OPTIONAL = {
    "jax": "potentials written in JAX and `mdapp fit`: pip install 'mdapp[jax]'",
    "ase": "the ASE calculator and further file formats: pip install 'mdapp[ase]'",
    "pyyaml": "models of DeePMD-kit written as YAML: pip install 'mdapp[yaml]'",
}


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_python() -> Verdict:
    """Report interpreter and environment."""
    text = f"{platform.python_version()} in {sys.prefix}"
    if sys.prefix == sys.base_prefix:
        fix = "install into a virtual environment: the package name `potentials` is not unique"
        return Verdict("python", "warn", f"{text}, no virtual environment", fix)
    return Verdict("python", "ok", text)


def lower_bounds() -> dict[str, str]:
    """Lowest version of each requirement, from mdapp's own metadata; empty if not installed."""
    try:
        lines = importlib.metadata.requires("mdapp") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    plain = (line for line in lines if ";" not in line and ">=" in line)
    return {name.strip(): low.strip() for name, low in (line.split(">=", 1) for line in plain)}


def check_packages() -> Iterator[Verdict]:
    """Compare the required packages with the versions that are tested."""
    bounds = lower_bounds()
    found = {name: installed_version(name) for name in REQUIRED}
    missing = [name for name, version in found.items() if version is None]
    old = [
        f"{name} {version} (needs >= {bounds[name]})"
        for name, version in found.items()
        if version and name in bounds and _numbers(version) < _numbers(bounds[name])
    ]
    text = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    if missing or old:
        wrong = "; ".join([f"missing: {', '.join(missing)}"] * bool(missing) + old)
        yield Verdict("packages", "bad", wrong, "pip install --upgrade mdapp")
    else:
        yield Verdict("packages", "ok", text)


def _numbers(version: str) -> tuple[int, ...]:
    """Leading numbers of a version: enough to compare releases."""
    parts = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        parts.append(int(part))
    return tuple(parts)


def check_extras() -> Iterator[Verdict]:
    """List the optional packages; a missing one is no fault."""
    for name, purpose in OPTIONAL.items():
        version = installed_version(name)
        yield Verdict(name, "ok", version or f"not installed (optional; {purpose})")


def check_clash(location: Path | None = None) -> Verdict:
    """Notice the unrelated distribution that is also imported as `potentials`.

    Parameters
    ----------
    location
        Folder that `import potentials` finds; looked up by default.
    """
    own = Path(mdapp.__file__).resolve().parent.parent / "potentials"
    if location is None:
        spec = importlib.util.find_spec("potentials")
        origin = spec.origin if spec else None
        location = Path(origin).resolve().parent if origin else None
    fix = "pip uninstall potentials, then reinstall mdapp in an environment of its own"
    if location is None:
        return Verdict("potentials", "bad", "the package `potentials` is not found", fix)
    if location != own:
        return Verdict("potentials", "bad", f"`import potentials` finds {location}, not {own}", fix)
    if installed_version("potentials") is not None:
        return Verdict("potentials", "bad", "the unrelated package `potentials` is installed", fix)
    return Verdict("potentials", "ok", str(own))


def check_blas(environ: Mapping[str, str] = os.environ) -> Verdict:
    """Report who multiplies matrices: NumPy's BLAS, and SciPy's, which Numba calls."""
    vendors = []
    for name in ("numpy", "scipy"):
        module = importlib.import_module(name)
        config = module.show_config(mode="dicts")
        blas = config.get("Build Dependencies", {}).get("blas", {})
        vendors.append(f"{name}: {blas.get('name', 'unknown')} {blas.get('version', '')}".strip())
    forced = environ.get("OPENBLAS_CORETYPE")
    if forced:
        return Verdict(
            "blas", "warn", f"{', '.join(vendors)}, kernels forced to {forced}",
            "unset OPENBLAS_CORETYPE unless this cpu needs it",
        )  # fmt: skip
    return Verdict("blas", "ok", ", ".join(vendors))
