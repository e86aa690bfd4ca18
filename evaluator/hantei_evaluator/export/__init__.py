"""Where readings and results go: Prometheus and W&B."""
