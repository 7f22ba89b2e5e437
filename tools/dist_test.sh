#!/usr/bin/env bash
# Evaluates a checkpoint on several GPUs.
# usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500] tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGS OF test.py]
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi
config=$1 checkpoint=$2 gpus=$3
shift 3
exec python -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$gpus" \
  "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
