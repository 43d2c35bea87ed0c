"""Draws dashboards from a live Prometheus in a browser, without a Grafana: see README.md."""
