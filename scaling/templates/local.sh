#!/bin/bash
# Written by `mdapp scale`: {title}
# All points of a round run one after the other, in random order; {rounds} rounds.
{header}
set -euo pipefail
cd {folder}
{setup}
if [ "$(id -u)" = 0 ]; then      # in a container; Open MPI wants to be told
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1

if mpirun --version 2>&1 | grep -q "Open MPI\|OpenRTE"; then
  bind() {{ echo "--map-by slot:PE=$1 --bind-to core"; }}
else
  bind() {{ echo "-bind-to core:$1 -map-by core:$1"; }}
fi

start() {{   # start NODES RANKS THREADS COMMAND...
  local ranks=$2 threads=$3; shift 3
  export OMP_NUM_THREADS=$threads NUMBA_NUM_THREADS=$threads PJRT_NPROC=$threads
  # shellcheck disable=SC2046
  mpirun -n "$ranks" $(bind "$threads") "$@"
}}

{body}
