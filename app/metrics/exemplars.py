"""What leads from an observation to the log line of its request."""

import logging

from app.core.logging import request_id, trace_id
from app.core.trace_context import current
from prefork_metrics.exemplars import Exemplar

_access_log = logging.getLogger("app.access")


def of_request() -> dict[str, str] | None:
    """Return the label of an exemplar that leads to the request being handled.

    None outside a request, where the label would be too long, and where no line would be found.
    None too where the request is traced: whether its trace is kept is known at its end only.
    """
    if current.get() is not None:
        return None
    for label, variable in (("trace_id", trace_id), ("request_id", request_id)):
        if id := variable.get():
            fits = Exemplar(((label, id),), 0.0, 0.0).fits and _access_log.isEnabledFor(
                logging.INFO
            )
            return {label: id} if fits else None
    return None
