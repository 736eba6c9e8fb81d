"""A server with real data for trying it, removed when it stops."""
