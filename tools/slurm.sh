# What slurm_train.sh and slurm_test.sh share; they source it with their own arguments.
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi
partition=$1 job_name=$2
shift 2
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}

# Runs a tool of this folder on all GPUs, with the arguments that follow its name.
launch() {
  local tool=$1
  shift
  # SRUN_ARGS holds several words.
  # shellcheck disable=SC2086
  exec srun --partition="$partition" --job-name="$job_name" \
    --ntasks="$gpus" --ntasks-per-node="$per_node" --gres="gpu:$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/$tool" "$@"
}
