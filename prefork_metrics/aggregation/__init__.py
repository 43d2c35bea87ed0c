"""The scrape over the files of many processes: what the stock collector would say, incrementally.

The stock collector parses every key of every file at every scrape. Here a key is parsed once, a
plan says which place of which file goes into which line, and a scrape reads values only.
"""

from prefork_metrics.aggregation.aggregator import Aggregator, Beside, Rendered
from prefork_metrics.aggregation.support import Support, client_support

__all__ = ["Aggregator", "Beside", "Rendered", "Support", "client_support"]
