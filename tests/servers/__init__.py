"""Real engine servers for tests: fetched once into a cache folder, started on loopback when a test first asks."""
