"""Stand-ins for Ray and Python, which log their calls to the file ``FAKE_LOG``.

``ray start --head`` listens on its port; the training is the script ``FAKE_TRAINING``.
"""

from __future__ import annotations

RAY = """#!/usr/bin/env bash
echo "ray $*" >>"$FAKE_LOG"
waits=
trap 'echo "ray stopped" >>"$FAKE_LOG"; [[ -z $waits ]] || kill $waits; exit 0' TERM
for word; do [[ $word != --port=* ]] || port=${word#*=}; done
if [[ $* == *--head* ]]; then
  "$REAL_PYTHON" -m http.server --bind "${FAKE_BIND:-127.0.0.1}" "$port" >/dev/null 2>&1 &
else
  [[ -z ${FAKE_LOST:-} ]] || exit 1
  echo "joined" >>"$FAKE_LOG"
  sleep 300 &
fi
waits=$!
wait "$waits"
"""

PYTHON = """#!/usr/bin/env bash
echo "python $* (RAY_ADDRESS=$RAY_ADDRESS)" >>"$FAKE_LOG"
[[ $* != *preflight.wait_for_nodes* ]] || exec sleep "${FAKE_JOIN:-0}"
trap 'echo "training stopped" >>"$FAKE_LOG"; exit 143' TERM
eval "$FAKE_TRAINING"
"""
