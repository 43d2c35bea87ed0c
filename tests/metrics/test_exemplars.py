"""What leads from an observation to its request."""

import logging

from app.core.context import Context, context
from app.metrics.exemplars import of_request


def test_without_the_line_of_the_request_there_is_no_exemplar() -> None:
    logger = logging.getLogger("app.access")
    token = context.set(Context("a1"))
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        assert of_request() == {"request_id": "a1"}
        logger.setLevel(logging.WARNING)
        assert of_request() is None
    finally:
        logger.setLevel(before)
        context.reset(token)
