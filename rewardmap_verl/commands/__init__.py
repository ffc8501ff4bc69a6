"""The command line program `rewardmap`; one file per command."""
