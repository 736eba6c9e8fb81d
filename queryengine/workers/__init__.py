"""Engine worker processes: their pool, their protocol and their main loop."""
