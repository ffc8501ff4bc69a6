"""Image references: a map travels as its path, and each process decodes it once."""

AGENT_LOOP = "rewardmap"
"""Name of the agent loop that passes maps by path, ``rollout.agent.default_agent_loop``."""

ZOOM_LOOP = "rewardmap_zoom"
"""Name of the agent loop with the zoom tool, which passes maps and crops by path."""
