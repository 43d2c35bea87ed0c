"""Dashboard "VibeBox - Service level objectives"."""

from monitoring.grafana.generator.panels import Board

BOARD = Board("slo", "VibeBox - SLO", "How much of the error budget is left.", ())
