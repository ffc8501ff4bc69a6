"""From networks and map images to the folder that training reads."""
