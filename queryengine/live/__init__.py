"""Queries in the memory of this server, and whoever waits for a change of one."""
