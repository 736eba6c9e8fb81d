"""Which rows and columns of an engine's tables a principal may see."""
