"""What the service tells its operator: log lines, and metrics for Prometheus."""
