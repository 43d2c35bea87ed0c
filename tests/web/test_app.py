"""What the application factory registers, and in which order."""

from flask_openapi3 import OpenAPI

from app.web import request_log


def test_hooks_and_health_blueprint_are_registered_by_the_factory(app: OpenAPI) -> None:
    before, after = app.before_request_funcs[None], app.after_request_funcs[None]
    assert before[0].__module__ == "app.web.hosts"
    assert request_log.return_id in after
    assert app.blueprints["health"].import_name == "app.web.health.routes"
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    assert {"/health", "/health/live", "/health/ready", "/health/metrics"} <= routes
