#!/usr/bin/env bash
# One node of a training run: joins it to the run's Ray cluster, and on the first node trains. For verl 0.9.1.
#
#   node.sh RANK NODES HEAD [arguments of verl.trainer.main_ppo]
#
# RANK counts the nodes from 0, NODES is their number, HEAD the address of node 0. Every node runs this; slurm.sh and
# skypilot.yaml do it for you. Node 0 ends with the exit code of the training; the others end after it.
#
# Settings, from the environment:
#   RAY_PORT        port of the cluster on HEAD                                          (6379)
#   RAY_AUTH_TOKEN  secret that all nodes share, at least 16 letters                     (must be set)
#   RAY_ARGS        further arguments of `ray start`, such as "--num-gpus=8"             (none)
#   JOIN_SECONDS    how long the nodes wait for one another                              (600)
#   STOP_SECONDS    how long the training may take to stop after SIGTERM                 (30)
set -euo pipefail

if (($# < 3)); then
  sed -n '2,14p' "$0" >&2
  exit 2
fi
rank=$1 nodes=$2 head=$3
shift 3
# Ray 2.60 locks a cluster by itself, and whoever is not told so knocks without the key.
export RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:?set it to a secret that all nodes share} RAY_AUTH_MODE=token
port=${RAY_PORT:-6379}
join=${JOIN_SECONDS:-600}
read -r -a ray_args <<<"${RAY_ARGS:-}"
ray_pid='' train_pid=''

say() { printf 'node %s: %s\n' "$rank" "$*" >&2; }

# shellcheck disable=SC2329  # called by the trap
# Ends what runs in the background; a process that does not listen to SIGTERM is killed.
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
trap 'say "told to stop; the next run goes on from the last checkpoint"; exit 143' TERM INT

start_head() {
  ray start --head --node-ip-address="$head" --port="$port" --disable-usage-stats "${ray_args[@]}" --block &
  ray_pid=$!
}

answers() { (exec 3<>"/dev/tcp/$head/$port") 2>/dev/null; }

# The head may come up later than this node.
wait_for_head() {
  local deadline=$((SECONDS + join))
  until answers; do
    if ((SECONDS >= deadline)); then
      say "nothing answers at $head:$port after $join s. Is HEAD the address of node 0, and the port free and open?"
      exit 1
    fi
    sleep 1
  done
}

# Many nodes that join at once can be too many for Ray, which gives up after half a minute; then once more.
join_head() {
  local attempt began
  wait_for_head
  for attempt in 1 2 3; do
    began=$SECONDS
    ray start --address="$head:$port" --disable-usage-stats "${ray_args[@]}" --block &
    ray_pid=$!
    wait "$ray_pid" || true
    ray_pid=''
    if ((SECONDS - began >= 120)) || ! answers; then break; fi
    say "left the cluster after $((SECONDS - began)) s (attempt $attempt of 3)"
  done
  say 'the cluster has ended, or this node could not stay in it'
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
say "$nodes nodes are there"
python -m verl.trainer.main_ppo "$@" &
train_pid=$!
code=0
wait -n -p ended "$train_pid" "$ray_pid" || code=$?
if [[ $ended == "$ray_pid" ]]; then
  say 'Ray ended before the training; its own messages are above'
  exit 1
fi
train_pid=''
exit "$code"
