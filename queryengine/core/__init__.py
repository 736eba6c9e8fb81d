"""What the service does: use cases, dispatching, running, tidying."""
