#!/usr/bin/env bash
# Evaluates a checkpoint through Slurm.
# usage: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGS OF test.py]
source "$(dirname "$0")/slurm.sh"
launch test.py "$1" "$2" --launcher slurm "${@:3}"
