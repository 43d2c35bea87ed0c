"""The catalogue: names, units, help, modes, and what exists from the start."""

import random
import re
import string
from itertools import product
from typing import get_args
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.engine import OPERATIONS, Operation
from app.metrics import catalogue
from app.storage import Base, EnvironmentStatus
from app.web.openapi import documented_statuses
from prefork_metrics.family import Computed, Family
from prefork_metrics.requests import error_type
from prefork_metrics.standard.database import POOL_STATES
from prefork_metrics.standard.requests import METHODS
from tests.support.checks import read, series

FAMILIES = {family.name: family for family in catalogue.registry.families}
WRITTEN = [family for family in catalogue.registry.families if isinstance(family, Family)]
# Fixed by existing dashboards; a lint-clean alias stands beside each.
GAUGES_CALLED_TOTAL = {
    "vibebox_environments_total": "vibebox_environments",
    "vibebox_sessions_total": "vibebox_sessions",
}
UNITS = ("seconds", "bytes")
MODES = {"livesum", "livemax", "livemostrecent"}

by_name = pytest.mark.parametrize("name", FAMILIES)


@by_name
def test_name_is_one_of_ours(name: str) -> None:
    assert re.fullmatch(r"vibebox(_[a-z]+)+", name)


@by_name
def test_counters_and_only_counters_end_in_total(name: str) -> None:
    family = FAMILIES[name]
    if name in GAUGES_CALLED_TOTAL:
        assert GAUGES_CALLED_TOTAL[name] in FAMILIES
    else:
        assert name.endswith("_total") is (family.kind == "counter")


@by_name
def test_durations_name_their_unit(name: str) -> None:
    if "duration" in name or FAMILIES[name].kind == "histogram":
        assert name.endswith(UNITS)
    assert not name.endswith(("_ms", "_milliseconds", "_mb", "_kib"))


@by_name
def test_family_has_help_and_what_moves_it(name: str) -> None:
    family = FAMILIES[name]

    assert family.help.endswith(".") and family.help[0].isupper()
    assert len(family.moved_by) > 5


@by_name
def test_labels_are_snake_case_and_no_identity(name: str) -> None:
    for label in FAMILIES[name].labels:
        assert re.fullmatch("[a-z_]+", label)
        assert label not in ("id", "pid", "path", "user", "image", "container", "le", "quantile")


@pytest.mark.parametrize(
    "name", [name for name, family in FAMILIES.items() if family.kind == "gauge"]
)
def test_gauge_leaves_nothing_of_a_dead_process(name: str) -> None:
    family = FAMILIES[name]

    assert isinstance(family, Computed) or family.metric._multiprocess_mode in MODES


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("vibebox_http_request_duration_seconds", 0.001, 30),
        ("vibebox_docker_operation_duration_seconds", 0.05, 600),
        ("vibebox_db_query_duration_seconds", 0.0005, 10),
        ("vibebox_health_check_duration_seconds", 0.001, 2),
    ],
)
def test_buckets_reach_past_every_threshold(name: str, least: float, most: float) -> None:
    bounds = FAMILIES[name].metric._upper_bounds  # type: ignore[union-attr]

    assert (bounds[0], bounds[-2]) == (least, most)
    assert bounds == sorted(bounds)


def test_enumerations_follow_their_source() -> None:
    assert set(catalogue.DOCKER_OPERATIONS) == set(get_args(Operation)) == set(OPERATIONS.values())
    assert set(catalogue.ENVIRONMENT_STATUSES) == set(EnvironmentStatus)
    assert set(catalogue.registry.models) == set(Base.metadata.tables)


def test_no_other_module_creates_a_metric() -> None:
    assert all(family.metric for family in WRITTEN)  # each is made when it is first asked for
    registered = {metric.name for metric in catalogue.registry.client.collect()}

    assert registered == {family.name.removesuffix("_total") for family in WRITTEN}


def test_reference_table_has_a_row_for_each_family() -> None:
    rows = catalogue.reference_table().splitlines()[2:]

    assert [row.split("`")[1] for row in rows] == list(FAMILIES)
    assert all(row.count("|") == 5 for row in rows)


@pytest.mark.usefixtures("app")
def test_expected_children_exist_from_the_start(subtests: pytest.Subtests) -> None:
    outcomes = catalogue.OUTCOMES
    expected: dict[str, set[tuple[str, ...]]] = {
        "vibebox_docker_operations_total": set(product(catalogue.DOCKER_OPERATIONS, outcomes)),
        "vibebox_auth_attempts_total": set(product(catalogue.AUTHENTICATION_METHODS, outcomes)),
        "vibebox_metrics_collect_errors_total": {("inventory",), ("files",)},
        "vibebox_db_connection_pool_size": {(state,) for state in POOL_STATES},
        "vibebox_db_connection_pool_utilization": {()},
        "vibebox_active_connections": {()},
    }
    for name, children in expected.items():
        with subtests.test(name):
            assert children <= set(read(name))


def test_each_documented_status_of_each_route_exists_from_the_start(app: OpenAPI) -> None:
    documented = documented_statuses(app)
    requests, errors = read("vibebox_http_requests_total"), read("vibebox_api_errors_total")

    assert ("POST", "/api/v1/environments/<environment_id>/start") in documented
    for (method, rule), statuses in documented.items():
        assert 500 in statuses
        for status in statuses:
            assert (method, rule, str(status)) in requests
            if status >= 400:
                assert (error_type(status, False), rule, str(status)) in errors
    for method in (*METHODS, "OTHER"):
        assert {(method, "unmatched", "404"), (method, "unmatched", "405")} <= set(requests)


def test_methods_that_no_rule_names_are_counted_from_their_first_use(client: FlaskClient) -> None:
    asked = {"HEAD", "OPTIONS"}
    rule = "/openapi/swagger/<path:filename>"

    for method in asked:
        key = (method, rule, "404" if method == "HEAD" else "200")
        before = read("vibebox_http_requests_total")
        client.open("/openapi/swagger/none", method=method)
        assert read("vibebox_http_requests_total")[key] == before.get(key, 0) + 1


def test_each_family_has_its_overflow_counter_from_the_start(app: OpenAPI) -> None:
    closed = {
        name
        for name, family in FAMILIES.items()
        if any(values is not None for values in family.labels.values())
    }

    assert closed <= {labels[0] for labels in read("vibebox_metrics_label_overflow_total")}


@pytest.mark.parametrize(
    ("status", "unhandled", "kind"),
    [
        (400, False, "client_error"),
        (404, False, "client_error"),
        (499, False, "client_error"),
        (408, False, "timeout"),
        (504, False, "timeout"),
        (500, False, "server_error"),
        (503, False, "server_error"),
        (500, True, "unhandled_exception"),
    ],
)
def test_error_type(status: int, unhandled: bool, kind: str) -> None:
    assert error_type(status, unhandled) == kind


def test_random_paths_and_methods_add_no_series(client: FlaskClient) -> None:
    chance = random.Random(1)

    def word() -> str:
        return "".join(chance.choices(string.printable, k=chance.randint(1, 12)))

    def send() -> None:
        path = chance.choice(["/", "/health/", "/api/v1/", "/api/v1/environments/"]) + word()
        # A path of a route is none of the random ones: without a login it answers 401.
        path += "/" if path.count("/") == 4 else ""
        method = chance.choice([*METHODS, "".join(chance.choices("ABCXYZ", k=5))])
        asked = {"PATH_INFO": path, "QUERY_STRING": f"token={quote(word())}"}
        client.open("/", method=method, environ_overrides=asked)

    for method in (*METHODS, "BREW"):
        for path in ("/nowhere", "/health", "/api/v1//environments", "/api/v1//environments/x"):
            client.open(path, method=method)
    before = series()

    for _ in range(1000):
        send()

    assert series() - before == set()
