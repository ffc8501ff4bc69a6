"""One copy of a map where verl would hold one per rollout; :mod:`.agent_loop` is the way in."""
