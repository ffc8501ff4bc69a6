"""Where networks and maps come from."""
