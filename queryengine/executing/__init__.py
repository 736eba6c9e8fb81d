"""From a waiting query to its end: dispatcher, runner, recovery, sweeps, and what is counted on the way."""
