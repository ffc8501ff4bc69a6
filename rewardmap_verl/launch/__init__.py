"""Starting a training run: its command, its process, and what the terminal shows of it."""
