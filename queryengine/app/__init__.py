"""The composition root: builds the parts, starts and stops them, and runs them as a process."""
