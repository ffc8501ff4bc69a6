"""Image references: a map travels as its path, and each process decodes it once."""

AGENT_LOOP = "rewardmap"
"""Name of the agent loop that passes maps by path, ``rollout.agent.default_agent_loop``."""
