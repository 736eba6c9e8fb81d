"""The ways in: each parses, calls a use case, and frames the answer."""
