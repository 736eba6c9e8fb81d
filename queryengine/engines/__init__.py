"""Engine adapters: imported only inside worker processes, by name."""
