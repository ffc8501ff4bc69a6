#!/usr/bin/env bash
# One node of a training run: joins the Ray cluster of the run and, on node 0, trains. Requires verl 0.9.1.
#
#   node.sh RANK NODES HEAD [arguments of verl.trainer.main_ppo]
#
# RANK is the index of the node, from 0. NODES is the number of nodes, HEAD the address of node 0. Run it on every node;
# slurm.sh and skypilot.yaml do so. Node 0 exits with the exit code of the training, and the other nodes exit after it.
#
# Environment variables (defaults in parentheses):
#   RAY_PORT        port of the cluster on HEAD                                          (6379)
#   RAY_AUTH_TOKEN  secret shared by all nodes, at least 16 characters                   (required)
#   RAY_ARGS        additional arguments of `ray start`, such as "--num-gpus=8"          (none)
#   JOIN_SECONDS    how long to wait for the other nodes                                 (600)
#   STOP_SECONDS    how long the training may take to stop after SIGTERM                 (30)
set -euo pipefail

if (($# < 3)); then
  sed -n '2,14p' "$0" >&2
  exit 2
fi
rank=$1 nodes=$2 head=$3
shift 3
# Ray 2.60 protects a cluster with a token. Without RAY_AUTH_MODE, a client sends none and is rejected.
export RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:?set it to a secret shared by all nodes} RAY_AUTH_MODE=token
# Slurm sets the variables of NVIDIA and AMD devices together, and verl's workers reject that.
[[ -z ${CUDA_VISIBLE_DEVICES:-} ]] || unset ROCR_VISIBLE_DEVICES
port=${RAY_PORT:-6379}
join=${JOIN_SECONDS:-600}
read -r -a ray_args <<<"${RAY_ARGS:-}"
ray_pid='' train_pid=''

say() { printf 'node %s: %s\n' "$rank" "$*" >&2; }

# shellcheck disable=SC2329  # called by the trap
# Stops the background processes; a process that ignores SIGTERM is killed.
finish() {
  local pid
  trap '' TERM INT
  for pid in $train_pid $ray_pid; do
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in $(seq "${STOP_SECONDS:-30}"); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}
trap finish EXIT
trap 'say "stopping; the next run resumes from the last checkpoint"; exit 143' TERM INT

start_head() {
  ray start --head --node-ip-address="$head" --port="$port" --disable-usage-stats "${ray_args[@]}" --block &
  ray_pid=$!
}

head_is_up() { (exec 3<>"/dev/tcp/$head/$port") 2>/dev/null; }

# The head may start later than this node.
wait_for_head() {
  local deadline=$((SECONDS + join))
  until head_is_up; do
    if ((SECONDS >= deadline)); then
      say "no connection to $head:$port after $join s: is HEAD the address of node 0, and is the port free and open?"
      exit 1
    fi
    sleep 1
  done
}

# If many nodes join at once, Ray may give up after half a minute, so joining is retried.
join_head() {
  local attempt began
  wait_for_head
  for attempt in 1 2 3; do
    began=$SECONDS
    ray start --address="$head:$port" --disable-usage-stats "${ray_args[@]}" --block &
    ray_pid=$!
    wait "$ray_pid" || true
    ray_pid=''
    if ((SECONDS - began >= 120)) || ! head_is_up; then break; fi
    say "left the cluster after $((SECONDS - began)) s (attempt $attempt of 3)"
  done
  say 'the cluster has stopped, or this node could not stay in it'
}

if ((rank > 0)); then
  join_head
  exit 0
fi

start_head
export RAY_ADDRESS="$head:$port"
python -m rewardmap_verl.preflight.wait_for_nodes "$nodes" "$join" &
train_pid=$!
wait "$train_pid"
say "all $nodes nodes have joined"
python -m verl.trainer.main_ppo "$@" &
train_pid=$!
code=0
wait -n -p ended "$train_pid" "$ray_pid" || code=$?
if [[ $ended == "$ray_pid" ]]; then
  say 'Ray stopped before the training; see its messages above'
  exit 1
fi
train_pid=''
exit "$code"
