#!/usr/bin/env bash
# RewardMap on any number of Slurm nodes: one Ray cluster and one training run, requeued before the time limit.
#
#   sbatch --nodes=4 slurm.sh data.folder=/shared/maps trainer.default_local_dir=/shared/runs/first
#
# Arguments are passed to verl.trainer.main_ppo after +recipe=rewardmap and its options. Data, checkpoints, model and
# Python environment must be on shared storage, under the same path on every node. When the job is submitted again or
# requeued, the run resumes from the last checkpoint. Environment variables of sbatch (defaults in parentheses):
#   OPTIONS    options of the recipe, as in '+recipe/rewardmap=[OPTIONS]'           (multi_node)
#   SETUP      script that is sourced first: modules, environment                   (none)
#   LAUNCH     prefix of the command on each node, such as "apptainer exec --nv image.sif"   (none)
#   HEAD_ADDRESS  address of the first node in the cluster's network                (hostname --ip-address)
#
#SBATCH --job-name=rewardmap
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --mem=0
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=rewardmap-%j.log
# Send USR1 to this script five minutes before the time limit; it then stops the training and requeues the job.
#SBATCH --signal=B:USR1@300
set -euo pipefail

# Slurm runs a copy of this script, so node.sh is searched next to the original. Slurm shows its path and arguments as one
# text; words are removed until a file remains, because both may contain spaces.
script=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's/^ *Command=//p')
until [[ -f $script || $script != *' '* ]]; do script=${script% *}; done
here=${REWARDMAP_CLUSTER:-$(dirname "$script")}
[[ -f $here/node.sh ]] || { echo "node.sh is not in $here; set REWARDMAP_CLUSTER to its folder" >&2; exit 2; }
# shellcheck source=/dev/null
[[ -z ${SETUP:-} ]] || . "$SETUP"

# Expand lists such as node[01-03,07] to one name per line.
mapfile -t names < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
count=${#names[@]}
# One task on one node. Since Slurm 22.05, a step does not inherit --cpus-per-task.
one=(srun --nodes=1 --ntasks=1 --overlap ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"})
# The other nodes must reach the head at this address. Debian maps a host's own name to 127.0.1.1, and some systems list
# IPv6 addresses first, to which Ray cannot append a port.
head=${HEAD_ADDRESS:-}
if [[ -z $head ]]; then
  addresses=$("${one[@]}" --nodelist="${names[0]}" hostname --ip-address)
  for address in $addresses; do
    if [[ $address == *.*.*.* && $address != 127.* ]]; then
      head=$address
      break
    fi
  done
  ((count > 1)) || head=${head:-127.0.0.1}
  if [[ -z $head ]]; then
    echo "${names[0]} has no IPv4 address that other nodes can reach: hostname --ip-address prints $addresses." \
      "Set HEAD_ADDRESS to its address in the cluster's network, or remove its loopback line from /etc/hosts" >&2
    exit 2
  fi
fi

# A port and a secret for this job only, because jobs may share nodes.
export RAY_PORT=${RAY_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}
export RAY_AUTH_TOKEN
# Not /tmp/ray, which belongs to the first user of the node. The path must be short, because Ray puts sockets there.
export RAY_TMPDIR=${RAY_TMPDIR:-/tmp/rm-$SLURM_JOB_ID}
read -r -a launch <<<"${LAUNCH:-}"

steps=() requeue=no
# Stops all nodes and waits for them. Not with a signal to srun, which kills its processes when it receives SIGTERM. If
# Slurm is already ending the job, it has sent SIGTERM itself and refuses the request, which scancel repeats.
stop() {
  ((${#steps[@]} == 0)) || timeout 10 scancel --signal=TERM "$SLURM_JOB_ID" 2>/dev/null || true
  wait || true
}
trap 'requeue=yes; stop' USR1
trap stop TERM

echo "job $SLURM_JOB_ID, attempt $((${SLURM_RESTART_COUNT:-0} + 1)): $count nodes, head ${names[0]} ($head:$RAY_PORT)"
for rank in "${!names[@]}"; do
  # Not a function: a signal would end its subshell and leave srun running.
  "${one[@]}" --nodelist="${names[rank]}" "${launch[@]}" bash "$here/node.sh" "$rank" "$count" "$head" \
    +recipe=rewardmap "+recipe/rewardmap=[${OPTIONS:-multi_node}]" "trainer.nnodes=$count" "$@" &
  steps+=("$!")
done

code=0 ended=''
wait -n -p ended "${steps[@]}" || code=$?
if [[ $requeue == yes ]]; then
  echo 'close to the time limit; requeueing the job'
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
if [[ -n ${ended:-} && $ended != "${steps[0]}" ]]; then
  echo 'a node was lost; stopping the others' >&2
  code=1
fi
stop
exit "$code"
