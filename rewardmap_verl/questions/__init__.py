"""Questions about a transit map: six types, each with its gold answer and process annotation."""
