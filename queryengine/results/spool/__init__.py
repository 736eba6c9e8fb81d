"""Where the bytes of results are stored: a port of segments by key, and the folder that implements it."""
