"""What Arrow libraries read of the pages of a result: `python -m tests.compat`."""
