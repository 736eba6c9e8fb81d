"""The nouns of the service: standard library only."""
