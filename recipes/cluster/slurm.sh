#!/usr/bin/env bash
# RewardMap over any number of nodes under Slurm: one Ray cluster, one training, requeued before the time is up.
#
#   sbatch --nodes=4 slurm.sh data.folder=/shared/maps trainer.default_local_dir=/shared/runs/first
#
# Arguments are those of verl.trainer.main_ppo, behind +recipe=rewardmap and its options. Data, checkpoints, model and
# the Python environment lie on storage that every node sees under the same path. Submit again, or let Slurm requeue:
# the run goes on from its last checkpoint. Settings, from the environment of sbatch:
#   OPTIONS    options of the recipe, in brackets on the command line           (multi_node)
#   SETUP      a script that every node sources first: modules, environment     (none)
#   LAUNCH     words before each node's program, such as "apptainer exec --nv image.sif"
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
# USR1 to this script five minutes before the time is up: it stops the training and puts the job back into the queue.
#SBATCH --signal=B:USR1@300
set -euo pipefail

# Slurm runs a copy of this script; where it was submitted from, node.sh lies beside the original.
here=${REWARDMAP_CLUSTER:-$(dirname "$(scontrol show job "$SLURM_JOB_ID" | awk -F= '/^ *Command=/ {split($2, words, " "); print words[1]}')")}
[[ -f $here/node.sh ]] || { echo "node.sh is not in $here; set REWARDMAP_CLUSTER to its folder" >&2; exit 2; }
# shellcheck source=/dev/null
[[ -z ${SETUP:-} ]] || . "$SETUP"

# One name per line, whatever the list looks like (node[01-03,07]); a quoted expansion would make them one element.
mapfile -t names < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
count=${#names[@]}
# One task on one node; a step gets the cores of its task only when it is told so (Slurm 22.05 and later).
one=(srun --nodes=1 --ntasks=1 --overlap ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"})
read -r head _ < <("${one[@]}" --nodelist="${names[0]}" hostname --ip-address)

# A port of this job alone, for nodes that several jobs share, and a secret that only they know.
export RAY_PORT=${RAY_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}
export RAY_AUTH_TOKEN
# Not /tmp/ray, which belongs to whoever was on the node first. Ray's sockets lie below it: keep it short.
export RAY_TMPDIR=${RAY_TMPDIR:-/tmp/rm-$SLURM_JOB_ID}
read -r -a launch <<<"${LAUNCH:-}"

steps=() requeue=no
stop() { # ends every node and waits for them
  ((${#steps[@]} == 0)) || kill -TERM "${steps[@]}" 2>/dev/null || true
  wait || true
}
trap 'requeue=yes; stop' USR1
trap stop TERM

echo "job $SLURM_JOB_ID, attempt $((${SLURM_RESTART_COUNT:-0} + 1)): $count nodes, head ${names[0]} ($head:$RAY_PORT)"
for rank in "${!names[@]}"; do
  # Not a function: a signal to it would end a subshell and leave srun running.
  "${one[@]}" --nodelist="${names[rank]}" "${launch[@]}" bash "$here/node.sh" "$rank" "$count" "$head" \
    +recipe=rewardmap "+recipe/rewardmap=[${OPTIONS:-multi_node}]" "trainer.nnodes=$count" "$@" &
  steps+=("$!")
done

code=0 ended=''
wait -n -p ended "${steps[@]}" || code=$?
if [[ $requeue == yes ]]; then
  echo 'the time is nearly up: back into the queue'
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
if [[ -n $ended && $ended != "${steps[0]}" ]]; then
  echo 'a node left the run; stopping the others' >&2
  code=1
fi
stop
exit "$code"
