"""Health of the office for people, monitors and Prometheus. Reads only."""
