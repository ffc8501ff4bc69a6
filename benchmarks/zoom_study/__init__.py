"""Whether zooming helps the embedded model where the overview is illegible."""
