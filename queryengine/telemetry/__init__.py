"""What the service reports to its operator: log lines, and metrics for Prometheus."""
