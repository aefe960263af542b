#!/usr/bin/env bash
# Sets up a virtual environment for mdapp:   .ci/environment.sh demo|full|floors VENV
#
#   demo    wheels only: no root, no compiler, MPI from a wheel, serial HDF5
#   full    the system's or the cluster's MPI and parallel HDF5, all extras; what cannot be had is
#           said aloud, and the tests that need it are skipped by name
#   floors  the lowest versions that pyproject.toml promises, with the MPI wheel
#
# h5py with parallel HDF5 has to be compiled. The wheel is kept in .cache/wheels, keyed by all that
# it was built against, so that only the first environment pays for it. It is built without
# isolation: an isolated build compiles mpi4py from source too, for ten minutes and gigabytes.
set -euo pipefail

mode=$1
venv=$2
root=$(cd "$(dirname "$0")/.." && pwd)
wheels=${MDAPP_WHEELS:-$root/.cache/wheels}
mpi_wheel="mpich>=4.3"
py=$venv/bin/python

say()  { printf '==> %s\n' "$*"; }
loud() { printf '\n!!! %s\n\n' "$*" >&2; }
die()  { loud "$*"; exit 2; }

pip_install() { "$py" -m pip install -qq --disable-pip-version-check "$@"; }

is_python() { "$1" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if is_python "$candidate"; then printf '%s' "$candidate"; return; fi
    done
    return 1
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    say "apt-get install $*"
    export DEBIAN_FRONTEND=noninteractive
    timeout 600 apt-get update -qq >/dev/null || loud "apt-get update failed; trying with the old lists"
    timeout 1800 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

make_venv() {
    local python
    if ! python=$(find_python) && [ "$mode" = full ] && can_apt; then
        apt_install python3 python3-venv python3-dev || true
    fi
    python=$(find_python) || die "no Python >= 3.11 with venv and ensurepip found
    (Debian/Ubuntu: apt install python3-venv; or name one: make PYTHON=/path/to/python3.11)"
    say "$venv: $("$python" --version) ($(command -v "$python"))"
    [ -x "$py" ] || "$python" -m venv "$venv"
}

# Prints the prefix of a parallel HDF5: of the environment, a compiler wrapper, or the system.
find_parallel_hdf5() {
    local prefix header
    for prefix in "${HDF5_DIR:-}" "${HDF5_ROOT:-}" "${HDF5_HOME:-}" "${EBROOTHDF5:-}" \
                  "$(wrapper_prefix)" /usr/lib/*/hdf5/openmpi /usr/lib64/openmpi; do
        [ -n "$prefix" ] || continue
        for header in "$prefix"/include/H5pubconf*.h; do
            if grep -qs '^#define H5_HAVE_PARALLEL 1' "$header"; then printf '%s' "$prefix"; return; fi
        done
    done
    return 1
}

wrapper_prefix() {
    local wrapper
    if wrapper=$(command -v h5pcc); then dirname "$(dirname "$wrapper")"; fi
}

has_headers() {
    "$py" -c 'import os, sysconfig; p = sysconfig.get_path("include")
raise SystemExit(not os.path.exists(os.path.join(p, "Python.h")))'
}

# The system's half of the full stack; fails where it cannot be had.
system_stack() {
    if ! { command -v mpicc && command -v mpirun && find_parallel_hdf5; } >/dev/null && can_apt; then
        apt_install openmpi-bin libopenmpi-dev libhdf5-openmpi-dev pkg-config gcc libc6-dev || true
    fi
    if ! has_headers && can_apt; then apt_install "python$("$py" -c \
        'import sys; print("%d.%d" % sys.version_info[:2])')-dev" || true; fi
    command -v mpicc >/dev/null || { loud "mpicc not found"; return 1; }
    command -v mpirun >/dev/null || { loud "mpirun not found"; return 1; }
    find_parallel_hdf5 >/dev/null || { loud "no parallel HDF5 found (set HDF5_DIR)"; return 1; }
    has_headers || { loud "Python.h not found: h5py cannot be compiled"; return 1; }
}

# The mpi4py wheel knows Open MPI and the MPICH ABI; anything else (Debian's MPICH) needs a build.
# It must end up with the library of the mpirun that will start it: two ranks add up their numbers.
mpi4py_fits() {
    local answer log=$root/.cache/mpi4py.log
    mkdir -p "$root/.cache"
    answer=$(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
            OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
            timeout 120 mpirun -n 2 "$py" -c \
            'from mpi4py import MPI; c = MPI.COMM_WORLD; n = c.allreduce(c.rank + 1)
if c.rank == 0: print(f"sum {n}")' \
            2>"$log" </dev/null) || { cat "$log" >&2; return 1; }
    [ "$answer" = "sum 3" ]
}

install_mpi4py() {
    pip_install --only-binary=:all: mpi4py
    mpi4py_fits && return
    say "the mpi4py wheel does not work with $(command -v mpirun): building mpi4py"
    CC=mpicc MPICC=mpicc pip_install --no-build-isolation --no-cache-dir --force-reinstall --no-deps \
        --no-binary=mpi4py mpi4py
    mpi4py_fits || { loud "mpi4py does not run under $(command -v mpirun)"; return 1; }
}

install_parallel_h5py() {
    local prefix key wheel log
    prefix=$(find_parallel_hdf5)
    key=$({ "$py" -c 'import sys, platform; print(sys.version, platform.machine())'
            "$py" -c 'from mpi4py import MPI; print(MPI.Get_library_version())'
            "$py" -m pip list --format=freeze --disable-pip-version-check | grep -E '^(numpy|mpi4py)=='
            grep -hs '^#define H5_VERS_INFO\|^#define H5_VERSION\|^#define H5_PACKAGE_VERSION' \
                "$prefix"/include/H5pub*.h
            echo "$prefix"; } | sha256sum | cut -c1-16)
    wheel=$(find "$wheels/$key" -name 'h5py-*.whl' 2>/dev/null | head -n 1)
    if [ -z "$wheel" ]; then
        log=$root/.cache/h5py-build.log
        mkdir -p "$wheels/$key"
        say "compiling h5py against $prefix (one to five minutes; log: $log)"
        CC=mpicc HDF5_MPI=ON HDF5_DIR=$prefix timeout 2400 "$py" -m pip wheel --no-cache-dir \
            --disable-pip-version-check --no-deps --no-build-isolation --no-binary=h5py \
            -w "$wheels/$key" "h5py>=3.12" >"$log" 2>&1 \
            || { tail -n 20 "$log" >&2; loud "h5py could not be compiled: see $log"; return 1; }
        wheel=$(find "$wheels/$key" -name 'h5py-*.whl' | head -n 1)
    fi
    pip_install --no-deps --force-reinstall "$wheel"
    "$py" -c 'import mpi4py.MPI, h5py; assert h5py.get_config().mpi' \
        || { loud "the h5py that was built has no MPI"; return 1; }
}

# Faults of the kernel are injected with strace; without it those tests are skipped.
tracer() {
    if ! command -v strace >/dev/null && can_apt; then apt_install strace || true; fi
    command -v strace >/dev/null || loud "strace not found: tests/faults/test_strace.py is skipped"
}

# Pages of reports are opened in a browser; without one those tests are skipped.
browser() {
    local name
    for name in chromium chromium-browser google-chrome chrome; do
        if command -v "$name" >/dev/null; then return; fi
    done
    if can_apt; then apt_install chromium || true; fi
    command -v chromium >/dev/null \
        || loud "chromium not found: tests that open pages of reports are skipped"
}

full_stack() {
    system_stack && install_mpi4py && install_parallel_h5py
}

embedded_stack() {
    pip_install --only-binary=:all: --force-reinstall --no-deps mpi4py h5py
    if command -v mpirun >/dev/null && mpi4py_fits; then
        loud "SERIAL HDF5: h5py comes as a wheel, tests of the shared checkpoint layout are skipped"
    else
        loud "NO USABLE MPI, SERIAL HDF5: taking $mpi_wheel and h5py as wheels; tests that need parallel HDF5
    are skipped. For the full stack: mpicc, mpirun and a parallel HDF5 (HDF5_DIR) on the PATH"
        pip_install --only-binary=:all: "$mpi_wheel"
    fi
}

case $mode in
demo)
    make_venv
    say "installing wheels"
    pip_install --only-binary=:all: "$mpi_wheel"
    pip_install --only-binary=:all: -e "$root"
    ;;
full)
    make_venv
    say "installing wheels"
    pip_install --only-binary=:all: numpy Cython pkgconfig "setuptools>=77" packaging wheel
    full_stack || embedded_stack
    tracer
    browser
    pip_install --no-build-isolation -e "$root[jax,ase,yaml,test,dev]"
    ;;
floors)
    make_venv
    "$py" "$root/.ci/floors.py" "$root/pyproject.toml" >"$venv/constraints.txt"
    pip_install --only-binary=:all: "$mpi_wheel"
    pip_install --only-binary=:all: -c "$venv/constraints.txt" -e "$root[test]"
    ;;
*) die "unknown mode $mode" ;;
esac

"$py" -m pip check >/dev/null || { "$py" -m pip check >&2 || true; die "$venv: packages do not fit"; }
say "$venv is ready"
