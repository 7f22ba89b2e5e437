#!/usr/bin/env bash
# Trains through Slurm.
# usage: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGS OF train.py]
source "$(dirname "$0")/slurm.sh"
launch train.py "$1" --work-dir "$2" --launcher slurm "${@:3}"
