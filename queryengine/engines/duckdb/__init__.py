"""DuckDB: computes in the worker."""
