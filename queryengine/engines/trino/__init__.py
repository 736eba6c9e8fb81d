"""Trino, by its REST protocol."""
