"""The registry of the library's own tests, and what its metrics say."""

from prometheus_client import CollectorRegistry

from prefork_metrics.registry import Registry
from tests.support.samples import Samples

registry = Registry(
    "test",
    client=CollectorRegistry(auto_describe=False),
    roles=("web", "agent"),
    collectors=("parts",),
    models=("users", "environments"),
)
_samples = Samples(registry)
read, moved, series = _samples.read, _samples.moved, _samples.series
