#!/bin/bash
#flux: --job-name={job}
#flux: -N {nodes}
#flux: --exclusive
#flux: -t {minutes}m
{header}
# Written by `mdapp scale`: {title}
# All points of a round run one after the other in one allocation, in random order; {rounds} rounds.

set -euo pipefail
cd {folder}
{setup}
export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1

start() {{   # start NODES RANKS THREADS COMMAND...
  local nodes=$1 ranks=$2 threads=$3; shift 3
  export OMP_NUM_THREADS=$threads NUMBA_NUM_THREADS=$threads PJRT_NPROC=$threads
  flux run -N "$nodes" -n "$ranks" -c "$threads" -o cpu-affinity=per-task "$@"
}}

{body}
