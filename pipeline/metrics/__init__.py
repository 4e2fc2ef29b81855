"""What Prometheus is told: what stands in the database and on the bus, and what processes measured."""
