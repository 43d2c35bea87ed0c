"""The one table of settings: environment name, type, default and help.

Nothing else in the product defines a default or reads the environment. `.env.example` is generated
from this table (`vibebox settings`), and a test holds the two equal. Names without the `VIBEBOX_`
prefix are conventions of others (gunicorn, Docker, prometheus-client) that we honour.
"""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import limits
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from app.core import otlp_receivers, setting_names, setting_values
from app.core.addresses import address_of
from app.core.amounts import exact
from app.core.errors import SettingsError
from app.core.patterns import EMAIL, IMAGE
from app.core.sentences import described, sentence
from app.core.setting_names import PREFIX
from app.core.setting_values import (
    Compression,
    DatabaseUrl,
    DockerHost,
    Host,
    HostNames,
    HttpUrl,
    IpAddress,
    Origins,
    OtlpProtocol,
    PortList,
    PortRange,
    PortRanges,
    Prices,
    Rate,
    RateLimitStorage,
    ReadableFile,
    SignalExporter,
    Temporality,
)

LARGEST_NUMBER = 1e9
"""Of any setting: in seconds 31 years."""
TEAM_MAKERS = ("accounts", "operators")
LOG_LEVELS = ("debug", "info", "warning", "error")
MAY_HOLD_SECRETS = (
    "DATABASE_URL",
    "DOCKER_HOST",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "VIBEBOX_ALERTMANAGER_TOKEN",
    "VIBEBOX_ALERTMANAGER_URL",
    "VIBEBOX_ALERTS_TOKEN",
    "VIBEBOX_LOG_STORE_TOKEN",
    "VIBEBOX_LOG_STORE_URL",
    "VIBEBOX_METRICS_TOKEN",
    "VIBEBOX_PROMETHEUS_TOKEN",
    "VIBEBOX_PROMETHEUS_URL",
    "VIBEBOX_RATE_LIMIT_STORAGE",
    "VIBEBOX_SECRET_KEYS",
    "VIBEBOX_TRACE_STORE_TOKEN",
    "VIBEBOX_TRACE_STORE_URL",
    "VIBEBOX_USER_OTLP_ENDPOINT",
    "VIBEBOX_USER_OTLP_HEADERS",
)
"""A mistake in one of these is told without its value, and none of them is shown as it is."""


def _shared(name: str, default: Any, description: str, **rules: Any) -> Any:
    """Declare a setting whose environment name is a convention, without our prefix."""
    return Field(default, validation_alias=name, description=description, **rules)


def _own(default: Any, description: str, **rules: Any) -> Any:
    """Declare a setting of ours; its environment name is VIBEBOX_ and the field's name."""
    return Field(default, description=description, **rules)


def _of(signal: str, name: str, **rules: Any) -> Any:
    """Declare what one signal has in place of OTEL_EXPORTER_OTLP_ and the name."""
    description = f"For {signal.lower()} in place of OTEL_EXPORTER_OTLP_{name}."
    return _shared(f"OTEL_EXPORTER_OTLP_{signal}_{name}", None, description, **rules)


class Settings(BaseModel):
    """All settings, validated; `read_settings` reads them from the environment."""

    model_config = ConfigDict(
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        # What pydantic's own error prints may be a secret.
        hide_input_in_errors=True,
    )

    # Where the service listens, and with how much.
    host: Host = _shared("HOST", "127.0.0.1", "Address the service listens on.")
    port: int = _shared("PORT", 3000, "Port the service listens on.", ge=1, le=65535)
    web_concurrency: int = _shared(
        "WEB_CONCURRENCY", 2, "Number of gunicorn workers.", ge=1, le=256
    )
    gunicorn_cmd_args: str = _shared(
        "GUNICORN_CMD_ARGS", "", "Options for gunicorn, which win over gunicorn.conf.py."
    )
    threads: int = _own(8, "Request threads of each worker.", ge=1, le=256)
    websockets: int = _own(
        100,
        "WebSockets (terminals, live logs and states) of each worker, in threads of their own.",
        ge=1,
        le=1000,
    )
    websockets_per_account: int = _own(
        40,
        "WebSockets that an account may have at each worker: never more than half of them.",
        ge=1,
    )
    graceful_timeout: int = _own(
        30, "Seconds that a stopping worker gives the requests it has accepted.", ge=1, le=3600
    )
    request_timeout: int = _own(
        60,
        "Seconds after which gunicorn replaces a worker whose main thread is stuck.",
        ge=5,
        le=86400,
    )
    keepalive: int = _own(
        5, "Seconds that an idle connection stays open for its next request.", ge=0, le=300
    )

    # How long clients may take.
    client_head_timeout: float = _own(
        10,
        "Seconds that a client may take to send the head of a request; then 408.",
        ge=1,
        le=300,
    )
    client_stall_timeout: float = _own(
        30,
        "Seconds in which a client sends nothing of a body (then 408), or takes nothing of an "
        "answer or a stream (then it is cut off).",
        ge=1,
        le=600,
    )
    client_min_rate: float = _own(
        1024,
        "Bytes a second that a client has to send of a body, or take of an answer, on average "
        "over more than VIBEBOX_CLIENT_STALL_TIMEOUT.",
        ge=1,
    )
    client_body_timeout: float = _own(
        300,
        "Seconds that a client may take in all to send a body of more than 1 MiB, which is an "
        "uploaded extension; then 408.",
        ge=10,
        le=3600,
    )

    # What it talks to.
    database_url: DatabaseUrl = _shared(
        "DATABASE_URL",
        "sqlite:///var/vibebox.db",
        "SQLAlchemy URL of the database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    docker_host: DockerHost = _shared(
        "DOCKER_HOST", "unix:///var/run/docker.sock", "Address of Docker Engine."
    )
    docker_required: bool = _own(
        True, "Whether /health/ready answers 503 while Docker Engine does not answer."
    )
    agent_required: bool = _own(
        False,
        "Whether /health/ready answers 503 while no agent leads: one lease that runs out "
        "would take all web servers out of service.",
    )
    prometheus_multiproc_dir: str = _shared(
        "PROMETHEUS_MULTIPROC_DIR",
        "var/metrics",
        "Directory through which the processes share their metrics; made and cleaned at start.",
    )
    otel_exporter_otlp_endpoint: HttpUrl | None = _shared(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        None,
        "Address of an OpenTelemetry receiver (OTLP over HTTP, protobuf): traces are sent to "
        "/v1/traces below it, log records to /v1/logs. Without it nothing is traced.",
    )
    otel_exporter_otlp_traces_endpoint: HttpUrl | None = _shared(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None, "The same for traces alone, with its path."
    )
    otel_exporter_otlp_metrics_endpoint: HttpUrl | None = _shared(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", None, "The same for metrics alone, with its path."
    )
    otel_exporter_otlp_metrics_temporality_preference: Temporality = _shared(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "cumulative",
        "Whether totals are pushed, which heal what was lost (cumulative), or what was added since "
        "the last push, where the receiver takes nothing else (delta).",
    )
    otel_metrics_exporter: SignalExporter = _shared(
        "OTEL_METRICS_EXPORTER",
        "none",
        "Whether metrics are pushed to the receiver (otlp), beside what /health/metrics shows.",
    )
    otel_metric_export_interval: int = _shared(
        "OTEL_METRIC_EXPORT_INTERVAL",
        60000,
        "Milliseconds between two pushes of metrics.",
        ge=1000,
    )
    otel_exporter_otlp_logs_endpoint: HttpUrl | None = _shared(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", None, "The same for logs alone, with its path."
    )
    otel_exporter_otlp_logs_headers: SecretStr | None = _shared(
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS", None, "Headers for logs, in place of the others."
    )
    otel_logs_exporter: Literal["otlp", "none"] = _shared(
        "OTEL_LOGS_EXPORTER",
        "otlp",
        "Whether the service's own log lines are sent to the receiver (otlp), beside standard "
        "output, or not (none).",
    )
    logs_mb: int = _own(
        32, "MiB that log lines may take while the receiver does not answer.", ge=1, le=4096
    )
    container_logs_exporter: Literal["otlp", "none"] = _own(
        "none",
        "Whether what containers write is sent to the receiver of logs too (otlp): whoever reads "
        "there then sees what the owners of environments print, secrets among it.",
    )
    container_logs_team: bool = _own(
        False,
        "Whether those lines name the team of their environment: a label with as many values as "
        "there are teams.",
    )
    otel_exporter_otlp_headers: SecretStr = _shared(
        "OTEL_EXPORTER_OTLP_HEADERS",
        SecretStr(""),
        "Headers for the receiver: name=value,name=value, percent-encoded.",
    )
    otel_exporter_otlp_traces_headers: SecretStr | None = _of("TRACES", "HEADERS")
    otel_exporter_otlp_metrics_headers: SecretStr | None = _of("METRICS", "HEADERS")
    otel_exporter_otlp_timeout: int = _shared(
        "OTEL_EXPORTER_OTLP_TIMEOUT", 10000, "Milliseconds for one request to the receiver.", ge=1
    )
    otel_exporter_otlp_traces_timeout: int | None = _of("TRACES", "TIMEOUT", ge=1)
    otel_exporter_otlp_metrics_timeout: int | None = _of("METRICS", "TIMEOUT", ge=1)
    otel_exporter_otlp_logs_timeout: int | None = _of("LOGS", "TIMEOUT", ge=1)
    otel_exporter_otlp_compression: Compression = _shared(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "none",
        "How requests to the receiver are compressed: none or gzip.",
    )
    otel_exporter_otlp_traces_compression: Compression | None = _of("TRACES", "COMPRESSION")
    otel_exporter_otlp_metrics_compression: Compression | None = _of("METRICS", "COMPRESSION")
    otel_exporter_otlp_logs_compression: Compression | None = _of("LOGS", "COMPRESSION")
    otel_exporter_otlp_protocol: OtlpProtocol = _shared(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/protobuf",
        "What is spoken with the receiver: this and nothing else.",
    )
    otel_exporter_otlp_traces_protocol: OtlpProtocol | None = _of("TRACES", "PROTOCOL")
    otel_exporter_otlp_metrics_protocol: OtlpProtocol | None = _of("METRICS", "PROTOCOL")
    otel_exporter_otlp_logs_protocol: OtlpProtocol | None = _of("LOGS", "PROTOCOL")
    otel_exporter_otlp_certificate: ReadableFile | None = _shared(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        None,
        "File of the certificates that the receiver's is of.",
    )
    otel_exporter_otlp_traces_certificate: ReadableFile | None = _of("TRACES", "CERTIFICATE")
    otel_exporter_otlp_metrics_certificate: ReadableFile | None = _of("METRICS", "CERTIFICATE")
    otel_exporter_otlp_logs_certificate: ReadableFile | None = _of("LOGS", "CERTIFICATE")
    otel_exporter_otlp_client_certificate: ReadableFile | None = _shared(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        None,
        "File of the certificate that is shown to the receiver, its chain behind it.",
    )
    otel_exporter_otlp_traces_client_certificate: ReadableFile | None = _of(
        "TRACES", "CLIENT_CERTIFICATE"
    )
    otel_exporter_otlp_metrics_client_certificate: ReadableFile | None = _of(
        "METRICS", "CLIENT_CERTIFICATE"
    )
    otel_exporter_otlp_logs_client_certificate: ReadableFile | None = _of(
        "LOGS", "CLIENT_CERTIFICATE"
    )
    otel_exporter_otlp_client_key: ReadableFile | None = _shared(
        "OTEL_EXPORTER_OTLP_CLIENT_KEY", None, "File of the key of that certificate."
    )
    otel_exporter_otlp_traces_client_key: ReadableFile | None = _of("TRACES", "CLIENT_KEY")
    otel_exporter_otlp_metrics_client_key: ReadableFile | None = _of("METRICS", "CLIENT_KEY")
    otel_exporter_otlp_logs_client_key: ReadableFile | None = _of("LOGS", "CLIENT_KEY")
    otel_service_name: str | None = _shared(
        "OTEL_SERVICE_NAME", None, "Name of the service at the receiver; vibebox without it."
    )
    otel_resource_attributes: str = _shared(
        "OTEL_RESOURCE_ATTRIBUTES",
        "",
        "What traces, metrics and log records say of this installation: name=value,name=value, "
        "percent-encoded.",
    )
    otel_sdk_disabled: str = _shared(
        "OTEL_SDK_DISABLED",
        "false",
        "Whether nothing is sent in spite of an endpoint (true): no traces, metrics or logs.",
    )
    otel_traces_exporter: SignalExporter = _shared(
        "OTEL_TRACES_EXPORTER", "otlp", "Whether traces are sent (otlp) or not (none)."
    )
    traces_dir: str | None = _own(
        None,
        "Directory through which traces leave the processes that record them; by default that of "
        "the metrics with -traces behind it.",
    )
    traces_mb: int = _own(
        16, "MiB that traces may take there, while the receiver does not answer.", ge=1, le=4096
    )
    traces_ratio: float = _own(
        0.01,
        "Share of ordinary requests whose trace is kept (0 to 1); what fails or is slow always is.",
        ge=0,
        le=1,
    )
    traces_from_proxy: bool = _own(
        False,
        "Whether the proxies before the service make the header traceparent themselves, or take it "
        "away: then its sampled flag is believed.",
    )
    traces_callers: float = _own(
        10,
        "Traces a second that each process keeps because a caller who is signed in, or a proxy of "
        "ours, has sampled them.",
        ge=0,
    )
    user_otlp_endpoint: HttpUrl | None = _own(
        None,
        "Address of another OpenTelemetry receiver (OTLP over HTTP), for what users' programs tell "
        "of themselves: environments are told to send it to this service, which says whose it is "
        "and hands it on. Without it they are told nothing.",
    )
    user_otlp_headers: SecretStr = _own(
        SecretStr(""), "Headers for that receiver: name=value,name=value, percent-encoded."
    )
    user_otlp_address: HttpUrl | None = _own(
        None,
        "Address at which containers reach this service, such as http://172.17.0.1:3000; needed "
        "with VIBEBOX_USER_OTLP_ENDPOINT.",
    )
    user_otlp_rate: float = _own(
        5,
        "Requests a second that each worker hands on to that receiver, of one environment; then "
        "429.",
        gt=0,
    )
    metrics_token: SecretStr | None = _own(
        None,
        "Bearer token that lets a scraper which is not on this host read /health/metrics.",
    )
    prometheus_url: HttpUrl | None = _own(
        None,
        "Address of the Prometheus that scrapes the service: the console shows request rate, "
        "latency and firing alerts from there to everybody who signs in, and alerts are explained "
        "from there.",
    )
    prometheus_token: SecretStr | None = _own(
        None, "Bearer token for that Prometheus, where it asks for one."
    )
    trace_store_url: HttpUrl | None = _own(
        None,
        "Address of the store of traces (Jaeger's query service, such as http://jaeger:16686): "
        "explanations of alerts read traces there.",
    )
    trace_store_token: SecretStr | None = _own(
        None, "Bearer token for the store of traces, where it asks for one."
    )
    log_store_url: HttpUrl | None = _own(
        None,
        "Address of the store of the service's own log lines (such as http://loki:3100): operators "
        "read the lines of a request or trace from there.",
    )
    log_store_kind: Literal["loki", "victorialogs"] = _own(
        "loki", "What the store of log lines is: loki or victorialogs."
    )
    log_store_token: SecretStr | None = _own(
        None, "Bearer token for the store of log lines, where it asks for one."
    )
    alerts_token: SecretStr | None = _own(
        None,
        "Bearer token with which Alertmanager sends alerts to /api/v1/alerts; the console then "
        "shows those, and does not ask Prometheus for alerts.",
    )
    alerts_expire: float = _own(
        900,
        "Seconds for which an alert that Alertmanager does not repeat counts as firing; more than "
        "twice the repeat_interval of its route.",
        gt=0,
        le=366 * 86400,
    )
    alerts_heartbeat: float = _own(
        180,
        "Seconds without the heartbeat of alerting (the alert Watchdog, which always fires) after "
        "which VibeBox says that no alert arrives; 0 expects none.",
        ge=0,
        le=86400,
    )
    alertmanager_url: HttpUrl | None = _own(
        None,
        "Address of the Alertmanager that sends alerts to this service: operators silence alerts "
        "there from the console, and it is asked where their way is cut.",
    )
    alertmanager_token: SecretStr | None = _own(
        None, "Bearer token for that Alertmanager, where it asks for one."
    )

    # The synthetic user.
    probe_url: HttpUrl | None = _own(
        None,
        "Address under which users reach the service, such as https://vibebox.example.org: the "
        "synthetic user goes by it.",
    )
    probe: Literal["off", "agent", "cron"] = _own(
        "off",
        "Who lets a synthetic user go its round (signs in, creates, starts, uses and deletes an "
        "environment): the leading agent (agent), or whoever runs `vibebox probe` again and again "
        "(cron); needs VIBEBOX_PROBE_URL.",
    )
    probe_interval: float = _own(
        300,
        "Seconds from one round of the synthetic user to the next: the agent keeps to it, and from "
        "cron rounds are awaited so often.",
        ge=10,
        le=86400,
    )
    probe_image: str = _own(
        "busybox",
        "Image of the synthetic user's environment; it needs a shell (sh).",
        max_length=255,
        pattern=IMAGE,
    )
    probe_account: str = _own(
        "probe@vibebox.invalid",
        "E-mail address of the synthetic user's account, which the first round makes; reserved: "
        "nobody can register it, and one that a person has already is refused.",
        max_length=254,
        pattern=EMAIL,
    )
    probe_step_timeout: float = _own(
        30, "Deadline of each step of the synthetic user.", gt=0, le=120
    )
    probe_timeout: float = _own(120, "Deadline of all steps of a round together.", gt=0, le=300)
    probe_certificate: ReadableFile | None = _own(
        None,
        "File of the certificates that the one at VIBEBOX_PROBE_URL is of (default: those that "
        "this host trusts).",
    )

    # Logging.
    log_level: str = _own("info", f"One of {', '.join(LOG_LEVELS)}.")
    welcome: bool = _own(
        False, "Print three plain lines on where things are once the service listens."
    )

    # Deadlines, in seconds.
    health_check_timeout: float = _own(0.8, "Deadline of each readiness check.", gt=0, le=0.9)
    health_check_interval: float = _own(
        15, "How often the service runs its checks of its own accord.", gt=0, le=86400
    )
    scrape_timeout: float = _own(
        0.8, "Deadline of what a scrape reads from the database.", gt=0, le=5
    )
    engine_pull_timeout: float = _own(600, "Deadline of pulling an image.", gt=0, le=86400)
    db_connect_timeout: float = _own(2, "Deadline of connecting to PostgreSQL.", ge=1, le=86400)
    db_statement_timeout: float = _own(30, "Deadline of each PostgreSQL statement.", ge=1, le=86400)
    engine_query_timeout: float = _own(5, "Deadline of Docker ping and inspect.", gt=0, le=86400)
    engine_lifecycle_timeout: float = _own(
        120, "Deadline of Docker create, start, stop, restart and remove.", gt=0, le=86400
    )
    engine_exec_timeout: float = _own(
        60, "Deadline of a command run in a container.", gt=0, le=86400
    )
    stop_grace: int = _own(
        10, "Seconds that a container gets between SIGTERM and SIGKILL.", ge=0, le=100
    )

    # Database pool of each worker. A request holds at most one connection, so `threads` + 3
    # (the readiness check, the scrape, the hub) means that no request ever waits for one.
    db_pool_size: int = _own(5, "Connections to the database that a worker keeps open.", ge=1)
    db_pool_max: int | None = _own(
        None, "Connections that a worker may open at most (default: its threads + 3).", ge=1
    )
    db_pool_timeout: float = _own(
        10, "Seconds a request waits for a free connection.", gt=0, le=86400
    )

    # Containers.
    publish_address: IpAddress = _own(
        "127.0.0.1", "Address of this host on which containers publish their ports."
    )
    connection_host: Host | None = _own(
        None,
        "Host name or address in the connection_url of VS Code servers (default: the publish "
        "address, or localhost where that is every address).",
    )
    host_ports: PortRanges = _own(
        "1024-65535",
        "Ports of this host on which environments may publish theirs: ports and ranges FIRST-LAST, "
        "separated by commas. VibeBox's own and VIBEBOX_RESERVED_PORTS are never among them.",
    )
    reserved_ports: PortList = _own(
        "3001,9090,9093",
        "Ports of this host that no environment gets, separated by commas, beside those that other "
        "settings name (default: Grafana's, Prometheus' and Alertmanager's in the Compose file).",
    )
    default_cpu_limit: float = _own(1.0, "CPUs of an environment that names none.", ge=0.01, le=256)
    default_memory_limit_mb: int = _own(
        1024, "Memory in MiB of an environment that names none.", ge=16
    )
    pids_limit: int = _own(512, "Processes that a container may hold.", ge=16)
    secret_keys: SecretStr | None = _own(
        None,
        "Keys that encrypt secret environment variables, separated by commas; the first encrypts, "
        "all decrypt (`vibebox secrets new-key` makes one).",
    )
    templates_file: str | None = _own(
        None, "JSON file with the templates of environments (default: a few that come along)."
    )

    # Sessions and extensions.
    session_idle_timeout: float = _own(
        3600,
        "Seconds without a message after which a session is idle; after as much again it ends.",
        gt=0,
    )
    sessions_on_start: bool = _own(
        True,
        "Whether each start of an environment begins a tmux session and a VS Code server, as far "
        "as its image holds them.",
    )
    vscode_program: str = _own(
        "code-server",
        "The VS Code server of the images: code-server, or what takes its arguments.",
        pattern=described(r"^[A-Za-z0-9/][A-Za-z0-9_./-]*$", "Name a program or its path."),
    )
    vscode_port: int = _own(
        13337,
        "Port of the container on which its VS Code server listens; an environment that is to "
        "have one publishes it.",
        ge=1024,
        le=65535,
    )
    vscode_start_timeout: int = _own(
        30, "Seconds that a VS Code server gets until it answers over HTTP.", ge=1, le=120
    )
    extension_timeout: float = _own(
        300, "Deadline of installing or removing an extension of VS Code.", gt=0, le=86400
    )
    extension_limit_mb: int = _own(
        32, "MiB that an uploaded extension (.vsix) may have.", ge=1, le=512
    )

    # The agent.
    agent_sweep_interval: float = _own(
        30, "Seconds between two comparisons of all records with Docker.", gt=0, le=86400
    )
    log_retention_days: float = _own(
        7, "Days that the logs of containers are kept.", gt=0, le=36500
    )
    log_limit_mb: float = _own(
        20, "MiB of logs that are kept of each environment.", gt=0, le=1_000_000
    )
    usage_interval: float = _own(
        10,
        "Seconds between two readings of what each container uses: what it uses between the last "
        "of them and its end is not booked, but told as unread.",
        ge=1,
        le=3600,
    )
    usage_disk_interval: float = _own(
        86400,
        "Seconds between two readings of what volumes and writable layers hold, for which Docker "
        "walks through their files; 0 for none.",
        ge=0,
        le=30 * 86400,
    )
    usage_hours_days: float = _own(
        35,
        "Days that the use of environments is kept by the hour; older hours are added up by day.",
        ge=2,
        le=36500,
    )
    usage_days_days: float = _own(
        800, "Days that the use of environments is kept by the day.", ge=2, le=36500
    )
    usage_series: int = _own(
        1000,
        "Teams, and environments, of which a scrape shows the use where it asks for that; how many "
        "more there are it shows as well.",
        ge=1,
        le=100_000,
    )
    usage_prices: Prices = _own(
        "",
        "What use costs: unit=price,unit=price, with the units running_hour, cpu_hour, "
        "memory_gib_hour, network_rx_gib, network_tx_gib, block_read_gib, "
        "block_write_gib, volume_gib_hour and layer_gib_hour.",
    )
    usage_currency: str = _own(
        "EUR", "What those prices are in, as it is shown.", min_length=1, max_length=8
    )
    business: bool = _own(
        True,
        "Whether sign-ups, first steps and returns of accounts are counted, all together and never "
        "by account; false: nothing is counted, shown or kept, and what was is deleted.",
    )
    audit_retention_days: float = _own(365, "Days that the audit log is kept.", gt=0, le=36500)

    # Quotas of an account or a team that has none of its own.
    quota_environments: int = _own(20, "Environments that an account or a team may have.", ge=0)
    quota_cpus: float = _own(
        16, "CPUs of all environments of an account or a team that are up.", gt=0
    )
    quota_memory_mb: int = _own(
        32768, "Memory in MiB of all environments of an account or a team that are up.", ge=16
    )

    quota_cpu_hours: float | None = _own(
        None,
        "CPU hours that an account or a team may use in a month (default: as many as it likes).",
        gt=0,
    )
    quota_memory_gib_hours: float | None = _own(
        None,
        "GiB hours of memory that an account or a team may use in a month (default: no bound).",
        gt=0,
    )

    teams_made_by: str = _own(
        "accounts",
        "Who makes teams: accounts (what a team has counts against who made it, until an operator "
        "gives it a quota of its own) or operators (a team counts for itself).",
    )
    quota_teams: int = _own(5, "Teams that an account may make.", ge=0)

    # What all of them together may have on this host.
    host_environments: int = _own(1000, "Environments that there may be in all.", ge=0)
    host_cpus: float | None = _own(
        None,
        "CPUs of all environments together that are up (default: 16 for each of this host's).",
        gt=0,
    )
    host_memory_mb: int | None = _own(
        None,
        "Memory in MiB of all environments together that are up (default: 4 times this host's).",
        ge=16,
    )
    host_accounts: int = _own(1000, "Accounts that there may be in all.", ge=1)

    # Accounts.
    registration: Literal["open", "invited", "closed"] | None = _own(
        None,
        "Who may make an account: open (everybody), invited (who has a link of an operator) or "
        "closed (accounts are made by `vibebox accounts create`). Default: open where HOST is a "
        "loopback address, else closed.",
    )
    access_token_ttl: int = _own(900, "Seconds that an access token is valid.", ge=1)
    refresh_token_ttl: int = _own(
        30 * 86400, "Seconds that a refresh token is valid; each use renews it.", ge=1
    )
    trusted_proxies: int = _own(
        0, "Proxies before the service whose X-Forwarded-For is believed.", ge=0, le=10
    )
    allowed_hosts: HostNames | None = _own(
        None,
        "Host names and addresses under which browsers and clients reach the service, separated by "
        "commas, beside localhost and the addresses of this machine; others are refused with 421 "
        "(unset behind a proxy: with a warning in the log only).",
    )
    allowed_origins: Origins = _own(
        "",
        "Origins beside the service's own whose pages may sign in and open WebSockets, separated "
        "by commas (https://console.example.org).",
    )
    rate_limit_storage: RateLimitStorage = _own(
        "memory://",
        "Where attempts are counted: memory:// (each worker for itself) or a redis:// URL.",
    )
    rate_limit_account: Rate = _own(
        "10 per minute",
        "Authentications of one account by password from one address, before 429; ten times as "
        "many from all addresses together that it has not signed in from.",
    )
    rate_limit_address: Rate = _own(
        "60 per minute",
        "Authentications by password, and failed ones of any kind, from one address, before 429.",
    )
    rate_limit_registration: Rate | None = _own(
        None,
        "Registrations without an invitation from one address, before 429 (default: a third of the "
        "number of VIBEBOX_RATE_LIMIT_ADDRESS, in an hour).",
    )
    rate_limit_changes: Rate = _own(
        "600 per minute",
        "Changes (POST, PUT, PATCH, DELETE) by one account in each worker, before 429.",
    )
    argon2_time_cost: int = _own(3, "Passes of argon2id over its memory.", ge=1)
    argon2_memory_kib: int = _own(65536, "Memory of argon2id in KiB.", ge=8)

    @field_validator("*")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        """Refuse what no clock, counter or time-out can hold, where a setting has no bound."""
        if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
            raise ValueError(f"must be a number of at most {exact(LARGEST_NUMBER)}")
        return value

    @field_validator(
        "otel_exporter_otlp_endpoint",
        "otel_exporter_otlp_traces_endpoint",
        "otel_exporter_otlp_metrics_endpoint",
        "user_otlp_endpoint",
        "otel_exporter_otlp_logs_endpoint",
    )
    @classmethod
    def _without_login(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            own = info.field_name == "user_otlp_endpoint"
            headers = "VIBEBOX_USER_OTLP_HEADERS" if own else "OTEL_EXPORTER_OTLP_HEADERS"
            raise ValueError(f"has a login; put it into {headers}")
        return value

    @field_validator(
        "otel_exporter_otlp_headers",
        "otel_exporter_otlp_traces_headers",
        "otel_exporter_otlp_metrics_headers",
        "user_otlp_headers",
        "otel_exporter_otlp_logs_headers",
    )
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        setting_values.headers("" if value is None else value.get_secret_value())
        return value

    @field_validator("otel_resource_attributes", "otel_service_name")
    @classmethod
    def _text(cls, value: str | None) -> str | None:
        if value is not None and not setting_values.is_text(value):
            raise ValueError("must be UTF-8")
        return value

    @field_validator("teams_made_by")
    @classmethod
    def _known_makers(cls, value: str) -> str:
        if value not in TEAM_MAKERS:
            raise ValueError(f"must be one of {', '.join(TEAM_MAKERS)}")
        return value

    @field_validator("probe_url")
    @classmethod
    def _signs_in_by_itself(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("has a login; the synthetic user signs in with an account of its own")
        return value

    @field_validator("probe")
    @classmethod
    def _probed_somewhere(cls, value: str, info: ValidationInfo) -> str:
        if value != "off" and info.data.get("probe_url", "") is None:
            raise ValueError("needs VIBEBOX_PROBE_URL, the address under which users come")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_log_level(cls, value: str) -> str:
        if value.lower() not in LOG_LEVELS:
            raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
        return value.lower()

    @field_validator("secret_keys", "templates_file", "database_url")
    @classmethod
    def _checked_by_its_user(cls, value: SecretStr | str | None, info: ValidationInfo) -> Any:
        """Ask who will use the value: see `read_settings`."""
        check = (info.context or {}).get(info.field_name)
        if value is not None and check is not None:
            check(value.get_secret_value() if isinstance(value, SecretStr) else value)
        return value

    @cached_property
    def hosts(self) -> frozenset[str] | None:
        """The allowed hosts, as `addresses` writes them; None where the list is not set."""
        return None if self.allowed_hosts is None else setting_values.host_names(self.allowed_hosts)

    @cached_property
    def origins(self) -> frozenset[str]:
        """The allowed origins, each as a browser writes it."""
        return setting_values.origins(self.allowed_origins)

    @cached_property
    def host_port_ranges(self) -> tuple[PortRange, ...]:
        """The host ports that environments may have, before those of ours are taken out."""
        return setting_values.port_ranges(self.host_ports)

    @property
    def registration_mode(self) -> Literal["open", "invited", "closed"]:
        """Who may make an account."""
        if self.registration is not None:
            return self.registration
        address = address_of(self.host)
        local = self.host == "localhost" or (address is not None and address.is_loopback)
        return "open" if local else "closed"

    @property
    def registration_rate(self) -> str:
        """How many accounts one address may make without an invitation."""
        if self.rate_limit_registration is not None:
            return self.rate_limit_registration
        return f"{max(1, limits.parse(self.rate_limit_address).amount // 3)} per hour"

    @property
    def traces_endpoint(self) -> str | None:
        """Where traces are sent; None where nothing is traced."""
        if self.otel_traces_exporter == "none":
            return None
        return self._endpoint(self.otel_exporter_otlp_traces_endpoint, "traces")

    @property
    def metrics_endpoint(self) -> str | None:
        """Where metrics are pushed; None where they are not."""
        return None if self.metrics_refusal else self._metrics_url

    @property
    def metrics_refusal(self) -> str | None:
        """Why metrics are not pushed although they should be, with what to set."""
        url = self._metrics_url
        return url and otlp_receivers.refusal(url, self.temporality)

    @property
    def metrics_doubt(self) -> str | None:
        """What may be wrong with the receiver of metrics, with what to set."""
        url = self._metrics_url
        return url and otlp_receivers.doubt(url, self.temporality)

    @property
    def service_name(self) -> str:
        """What the service is called where its signals are kept."""
        said = setting_values.pairs(self.otel_resource_attributes).get("service.name", "vibebox")
        return self.otel_service_name or said

    @property
    def temporality(self) -> str:
        """Whether totals are pushed (cumulative), or what was added (delta)."""
        return self.otel_exporter_otlp_metrics_temporality_preference

    @property
    def _metrics_url(self) -> str | None:
        if self.otel_metrics_exporter == "none":
            return None
        return self._endpoint(self.otel_exporter_otlp_metrics_endpoint, "metrics")

    @property
    def logs_endpoint(self) -> str | None:
        """Where the service's own log lines are sent; None where they are not."""
        if self.otel_logs_exporter == "none":
            return None
        return self._endpoint(self.otel_exporter_otlp_logs_endpoint, "logs")

    @property
    def container_logs_endpoint(self) -> str | None:
        """Where what containers write is sent; None where it is not."""
        if self.container_logs_exporter == "none":
            return None
        return self._endpoint(self.otel_exporter_otlp_logs_endpoint, "logs")

    def _endpoint(self, own: str | None, signal: str) -> str | None:
        if self.otel_sdk_disabled.strip().lower() == "true":
            return None
        base = self.otel_exporter_otlp_endpoint
        return own or (None if base is None else setting_values.below(base, f"v1/{signal}"))

    @property
    def traces_path(self) -> Path:
        """Where traces wait for the exporter: the same absolute path in every process."""
        metrics = self.prometheus_multiproc_dir.rstrip("/")
        return Path(self.traces_dir or f"{metrics}-traces").absolute()

    @property
    def logs_path(self) -> Path:
        """Where log lines wait for the exporter."""
        return self.traces_path / "logs"

    @property
    def pool_limit(self) -> int:
        """Connections to the database that one worker may hold at most."""
        return max(self.db_pool_max or self.threads + 3, self.db_pool_size)


def environment_name(name: str, field: FieldInfo) -> str:
    """Return the environment variable that sets the field `name`."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else PREFIX + name.upper()


def read_settings(checks: Mapping[str, Callable[[str], object]]) -> Settings:
    """Read and check the environment; programs call `app.wiring.load_settings`.

    `checks` are those of layers above, by field: each raises ValueError where the value cannot be
    used. Returns: the settings. Raises: SettingsError listing every mistake in plain words, among
    them each unknown VIBEBOX_ name, since a mistyped name would otherwise be ignored in silence.
    """
    known = {environment_name(name, field): name for name, field in Settings.model_fields.items()}
    mistakes = setting_names.mistakes(os.environ, known)
    given = setting_names.values(os.environ, known)
    try:
        values = {known[name]: given[name] for name in given}
        settings = Settings.model_validate(values, context=checks)
    except ValidationError as error:
        mistakes += [_in_plain_words(dict(item)) for item in error.errors()]
    if mistakes:
        raise SettingsError(sorted(mistakes))
    return settings


def retired_in_use() -> list[str]:
    """Return a sentence for each setting of an earlier release that the environment still has."""
    return setting_names.warnings(os.environ)


def _in_plain_words(item: dict[str, Any]) -> str:
    key = str(item["loc"][0])
    field = Settings.model_fields.get(key.lower())
    name = environment_name(key.lower(), field) if field else key
    shown = "" if name in MAY_HOLD_SECRETS else f" (got {item['input']!r})"
    own = item["type"] == "value_error"  # a rule of ours, in words of ours
    message = str(item["ctx"]["error"]) if own else sentence(item).removesuffix(".")
    return f"{name}: {message}{shown}"


def example() -> str:
    """Return the text of `.env.example`: every setting, commented out at its default."""
    lines = [
        "# Generated by `vibebox settings`. `make run` and Docker Compose read a copy named .env.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        shown = str(default).lower() if isinstance(default, bool) else default
        lines += [f"# {field.description}", f"#{environment_name(name, field)}={shown}", ""]
    return "\n".join(lines)
