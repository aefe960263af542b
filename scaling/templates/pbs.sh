#!/bin/bash
#PBS -N {job}
#PBS -l select={nodes}:ncpus={cores_per_node}:mpiprocs={ranks_per_node}:ompthreads={threads}
#PBS -l place=scatter:excl
#PBS -l walltime={walltime}
{header}
# Written by `mdapp scale`: {title}
# All points of a round run one after the other in one allocation, in random order; {rounds} rounds.

set -euo pipefail
cd {folder}
{setup}
export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1

# What binds a rank to its cores differs between MPIs; `mdapp doctor` below looks at the result.
if mpiexec --version 2>&1 | grep -q "Open MPI\|OpenRTE"; then
  bind() {{ echo "--map-by slot:PE=$1 --bind-to core"; }}
else
  bind() {{ echo "-bind-to core:$1 -map-by core:$1"; }}
fi

start() {{   # start NODES RANKS THREADS COMMAND...
  local ranks=$2 threads=$3; shift 3
  export OMP_NUM_THREADS=$threads NUMBA_NUM_THREADS=$threads PJRT_NPROC=$threads
  # shellcheck disable=SC2046
  mpiexec -n "$ranks" $(bind "$threads") "$@"
}}

{body}
