"""What environments are given to find the users' receiver, and the token that says whose it is."""

import pytest
from cryptography.fernet import Fernet

from app.core.settings import Settings
from app.domain.user_telemetry.build import build_presets, mistakes
from app.domain.user_telemetry.presets import Presets
from app.domain.user_telemetry.tokens import TelemetryTokens
from app.storage import Environment, new_id

ID = new_id()
KEY, OTHER = Fernet.generate_key().decode(), Fernet.generate_key().decode()
ADDRESS = "http://172.17.0.1:3000"


def environment() -> Environment:
    return Environment(id=ID, name="billing", project_id="p-1")


def test_a_token_is_good_for_its_environment_and_as_long_as_its_key_is() -> None:
    token = TelemetryTokens(KEY).token(ID)
    assert TelemetryTokens(f"{OTHER}, {KEY}").environment_of(token) == ID
    assert TelemetryTokens(OTHER).environment_of(token) is None
    other = new_id()
    assert TelemetryTokens(KEY).environment_of(token.replace(ID, other)) is None
    for wrong in ("", "vbx_ot_", token[:-1], f"{token}0", token.upper(), f"{token}\n"):
        assert TelemetryTokens(KEY).environment_of(wrong) is None
    assert KEY not in token


def test_sdks_are_told_where_to_send_and_as_whom() -> None:
    tokens = TelemetryTokens(KEY)
    found = Presets(f"{ADDRESS}/", tokens).of(environment(), {})
    assert found == {
        "OTEL_SERVICE_NAME": "billing",
        "OTEL_RESOURCE_ATTRIBUTES": f"vibebox.environment={ID},vibebox.project=p-1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{ADDRESS}/telemetry",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{tokens.token(ID)}",
    }


def test_the_users_variables_win() -> None:
    presets = Presets(ADDRESS, TelemetryTokens(KEY))
    assert "OTEL_SERVICE_NAME" not in presets.of(environment(), {"OTEL_SERVICE_NAME": "mine"})
    own = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://vendor.example/v1/traces"}
    # Theirs gets no token of ours.
    assert set(presets.of(environment(), own)) == {"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"}


def settings(**changes: object) -> Settings:
    fields = {
        "user_otlp_endpoint": "http://users.example:4318",
        "user_otlp_address": ADDRESS,
        "secret_keys": KEY,
        **changes,
    }
    return Settings.model_validate(fields)


def test_off_unless_it_is_set() -> None:
    assert build_presets(Settings()) is None
    assert mistakes(Settings()) == []
    assert build_presets(settings()) is not None
    assert mistakes(settings()) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"user_otlp_address": None}, "VIBEBOX_USER_OTLP_ADDRESS"),
        ({"secret_keys": None}, "VIBEBOX_SECRET_KEYS"),
        ({"otel_exporter_otlp_endpoint": "http://users.example:4318"}, "the service's own"),
        ({"otel_exporter_otlp_traces_endpoint": "http://USERS.example.:4318/x"}, "service's own"),
        ({"otel_exporter_otlp_logs_endpoint": "http://users.example:4318"}, "the service's own"),
        (
            {
                "user_otlp_endpoint": "http://localhost:4318",
                "otel_exporter_otlp_endpoint": "http://127.0.0.1:4318/",
            },
            "the service's own",
        ),
        (
            {
                "user_otlp_endpoint": "https://one.example/a",
                "otel_exporter_otlp_metrics_endpoint": "https://one.example:443/b",
            },
            "the service's own",
        ),
        ({"trace_store_url": "http://users.example:4318"}, "VIBEBOX_TRACE_STORE_URL"),
        ({"log_store_url": "http://Users.example:4318/loki"}, "VIBEBOX_LOG_STORE_URL"),
        ({"prometheus_url": "http://me:pass@users.example:4318/"}, "VIBEBOX_PROMETHEUS_URL"),
    ],
)
def test_what_cannot_be_refuses_the_start(changes: dict[str, object], named: str) -> None:
    (mistake,) = mistakes(settings(**changes))
    assert named in mistake


def test_another_port_is_another_receiver() -> None:
    other = "http://users.example:4317"
    assert mistakes(settings(otel_exporter_otlp_endpoint=other, trace_store_url=other)) == []
