#!/bin/bash
#SBATCH --job-name={job}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node={ranks_per_node}
#SBATCH --cpus-per-task={threads}
#SBATCH --exclusive
#SBATCH --time={walltime}
{header}
# Written by `mdapp scale`: {title}
# All points of a round run one after the other in one allocation, in random order; {rounds} rounds.

set -euo pipefail
cd {folder}
{setup}
export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"    # since 22.05 srun no longer inherits it
export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1

start() {{   # start NODES RANKS THREADS COMMAND...
  local nodes=$1 ranks=$2 threads=$3; shift 3
  export OMP_NUM_THREADS=$threads NUMBA_NUM_THREADS=$threads PJRT_NPROC=$threads
  srun --nodes="$nodes" --ntasks="$ranks" --cpus-per-task="$threads" \
    --cpu-bind=cores --distribution=block:block "$@"
}}

{body}
