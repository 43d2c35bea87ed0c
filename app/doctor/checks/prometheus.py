"""Whether the Prometheus of the settings scrapes this service."""

from app.core.errors import StoreUnavailableError
from app.doctor.findings import Finding, ended, failed, not_configured, ok, parted, warning
from app.metrics.promql import UP
from app.stores.prometheus import JOB, SETTING, PrometheusStore, Series

SECONDS = 3.0
"""A question gets half of what is left of them."""
NEXT_STEP = (
    f"Start it, or correct {SETTING} (and VIBEBOX_PROMETHEUS_TOKEN where it asks for a login)."
)


def look(store: PrometheusStore | None) -> Finding:
    """Return whether it reaches us, and why not."""
    if store is None:
        return not_configured(
            f"{SETTING} is not set: the console shows no figures, and no alert is explained."
        )
    try:
        found = store.query(UP)
        down = sorted(_instance(one) for one in found if not one.value)
        if found and not down:
            return ok(f"Prometheus scrapes {len(found)} of {len(found)} targets of job {JOB}.")
        reasons = _reasons(store)
    except StoreUnavailableError as error:
        return failed(*parted(error.detail, NEXT_STEP))
    if not found:
        return _unscraped(reasons)
    why = next((reasons[name] for name in down if reasons.get(name)), "no reason is told")
    says = ended(f"Prometheus does not scrape {', '.join(down)}: {why}")
    step = (
        "Correct the target, or the network between them; on status 403 give Prometheus the value "
        "of VIBEBOX_METRICS_TOKEN as its credentials."
    )
    return (failed if len(down) == len(found) else warning)(says, step)


def _unscraped(reasons: dict[str, str]) -> Finding:
    if reasons:
        return warning(
            f"Prometheus has not scraped {', '.join(sorted(reasons))} yet.",
            "Ask again in a minute; it begins some seconds after its start.",
        )
    return failed(
        f"Prometheus has no target of the job {JOB}.",
        "Name this service's /health/metrics in its scrape_configs, by that job, as "
        "monitoring/prometheus/prometheus.yml does.",
    )


def _instance(series: Series) -> str:
    return series.labels.get("instance", "a target")


def _reasons(store: PrometheusStore) -> dict[str, str]:
    """Return why each target of ours is not scraped, by its instance; "" where nothing is said.

    Nothing where it has no targets of its own, as one that others write to.
    """
    try:
        targets = store.targets()
    except StoreUnavailableError:
        return {}
    return {
        one.labels.get("instance", ""): one.trouble
        for one in targets
        if one.labels.get("job") == JOB
    }
