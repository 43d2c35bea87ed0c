"""Which test moves each family and label value, and which have no source yet.

A unit test holds these tables complete: a family or a value that stands in none of them fails the
build. The steps of this package name their values themselves; here is what they do not move.
"""

from collections.abc import Mapping

from app.core.isolation import ROUNDS, Loop
from app.metrics.catalogue import (
    ACTIVE_DAYS,
    FUNNEL_STEPS,
    MILESTONES,
    NO_STEP,
    PROBE_STEPS,
    SECOND_WEEKS,
    SHELL_SECONDS,
    SIGNUP_WAYS,
)

_E2E = "tests/end_to_end"
_PUSHED = f"{_E2E}/test_pushed_metrics.py"
_LOGS = f"{_E2E}/test_logs_sent.py"
_SHIPPED = f"{_E2E}/test_container_logs_sent.py"
_SHIPPING = "tests/agent/log_shipping/test_shipping.py"
_TRACES = f"{_E2E}/test_traces.py"
STEPS = f"{_E2E}/test_every_family.py::test_each_step_moves_what_it_says_and_nothing_else"
GAUGES = f"{_E2E}/test_every_family.py::test_gauges_of_the_processes"
_RUNTIME, _SATURATION = f"{_E2E}/test_runtime.py", f"{_E2E}/test_saturation.py"
_LIMITS = f"{_RUNTIME}::test_saturation_limits_and_shared_memory"
_KERNEL = f"{_RUNTIME}::test_cpu_and_memory_of_each_process_as_the_kernel_sees_them"
_COLLECTOR = "tests/prefork_metrics/runtime/test_collector.py::"
_COLLECTIONS = f"{_COLLECTOR}test_collections_are_counted_by_generation"
_QUEUE = f"{_SATURATION}::test_few_connections_leave_room_for_probes_and_show_the_queue"
_POOL = "tests/metrics/test_queries.py::test_taken_and_returned_connections"
_OVERFLOW = "tests/metrics/test_queries.py::test_overflow_is_active_and_goes_away"
_REAL_GUNICORN = "tests/prefork_metrics/runtime/test_exits.py::test_real_gunicorn"
_ATTEMPTS = f"{_E2E}/test_attempts.py::test_limits_hold_over_all_workers"
_BROKEN = f"{_E2E}/test_broken_directory.py"
_FULL = f"{_BROKEN}::test_disk_that_fills_up_hides_only_new_series"
_TROUBLE = "tests/prefork_metrics/directory/test_trouble.py"
_FAILURES = "tests/core/test_isolation.py::test_failure_is_counted_under_its_loop"
_ROUNDS = "tests/agent/leader/test_terms.py::test_each_task_tells_when_it_came_round"
_HEARTBEAT = "tests/domain/alerts/test_heartbeat.py::test_age_grows_until_something_new_is_told"
_LEADING = f"{_E2E}/test_agent.py::test_another_agent_leads_when_the_leader_is_killed_or_frozen"

_CLIENTS = f"{_E2E}/test_clients.py"
_SLOW = f"{_CLIENTS}::test_a_slow_client_costs_no_thread_and_no_latency"
_REFUSED = f"{_CLIENTS}::test_what_is_refused_is_a_problem_in_log_and_counts"
_CONNECTIONS = f"{_CLIENTS}::test_connections_are_counted_by_what_they_do"
_ATTACKED = f"{_CLIENTS}::test_probes_and_who_behaves_are_answered_whatever_others_do"
_TERMINALS = f"{_E2E}/test_terminals.py"
_SHELL, _CAP = f"{_TERMINALS}::test_shell", f"{_TERMINALS}::test_cap_and_drain"
_TMUX = f"{_TERMINALS}::test_agent_keeps_sessions_true"
_VSCODE = f"{_E2E}/test_vscode.py::test_vscode_server"
_VIEWERS = f"{_E2E}/test_log_streams.py::test_each_viewer_gets_each_line_once"
_FIRST = f"{_E2E}/test_first_account.py::test_first_account_is_made_once_by_the_printed_link"
_REGISTRATIONS = "tests/web/test_rate_limits.py::test_registrations_of_an_address_are_limited"
_STATUS = f"{_E2E}/test_log_streams.py::test_status_is_told_at_the_beginning_and_at_each_change"
_ADMISSION = "tests/web/admission/test_requests.py"
_QUOTAS, _NUMBERS = "tests/domain/quotas/test_service.py", "tests/web/admission/test_limits.py"
_SHARE = f"{_ADMISSION}::test_account_over_its_share_is_refused_everywhere"
_HANDSHAKE = "tests/web/websockets/test_handshake.py"
_BUSINESS = "tests/web/health/test_business.py::test_series_are_what_was_counted"
_UPLOADS = f"{_NUMBERS}::test_uploads_at_once"
_PROBE = f"{_E2E}/test_probe.py"
_PROBED = f"{_PROBE}::test_agent_lets_it_go_and_it_is_counted_apart"
_PROBE_STATE = "tests/web/health/test_probe.py::test_scrape_shows_where_the_last_round_failed"
_PROBE_FAILS = "tests/agent/test_probe.py::test_rounds_are_counted_once_by_how_they_ended"

COVERED: Mapping[str, str] = {
    "vibebox_http_requests_total": STEPS,
    "vibebox_http_request_duration_seconds": STEPS,
    "vibebox_http_queue_wait_seconds": f"{_E2E}/test_exact_requests.py"
    "::test_many_requests_are_counted_exactly",
    "vibebox_http_client_wait_seconds": _SLOW,
    "vibebox_active_connections": f"{_SATURATION}::test_probes_and_scrapes_are_not_starved",
    "vibebox_api_errors_total": STEPS,
    "vibebox_docker_operations_total": STEPS,
    "vibebox_docker_operation_duration_seconds": STEPS,
    "vibebox_db_query_duration_seconds": STEPS,
    "vibebox_db_connection_pool_size": GAUGES,
    "vibebox_db_connection_pool_utilization": _POOL,
    "vibebox_auth_attempts_total": STEPS,
    "vibebox_registrations_total": STEPS,
    "vibebox_environment_start_duration_seconds": STEPS,
    "vibebox_environment_exits_total": STEPS,
    "vibebox_extension_installations_total": STEPS,
    "vibebox_agent_failures_total": _FAILURES,
    "vibebox_agent_task_last_success_timestamp_seconds": _ROUNDS,
    "vibebox_log_entries_total": STEPS,
    "vibebox_websocket_connections": _CAP,
    "vibebox_websocket_connections_limit": _CAP,
    "vibebox_websocket_messages_total": _VIEWERS,
    "vibebox_spans_total": f"{_TRACES}::test_nothing_of_a_killed_worker_is_lost",
    "vibebox_log_records_total": f"{_LOGS}::test_nothing_of_a_killed_worker_is_lost",
    "vibebox_container_log_lines_total": f"{_SHIPPED}::test_lines_arrive_whole",
    "vibebox_otlp_points_total": f"{_PUSHED}::test_deltas_add_up_to_the_total",
    "vibebox_limit_refusals_total": _SHARE,
    "vibebox_build_info": GAUGES,
    "vibebox_process_cpu_seconds_total": _KERNEL,
    "vibebox_process_resident_memory_bytes": _KERNEL,
    "vibebox_process_proportional_memory_bytes": _LIMITS,
    "vibebox_memory_limit_bytes": _LIMITS,
    "vibebox_memory_usage_bytes": _LIMITS,
    "vibebox_cpu_limit_cores": _LIMITS,
    "vibebox_process_open_fds": GAUGES,
    "vibebox_process_max_fds": GAUGES,
    "vibebox_process_threads": GAUGES,
    "vibebox_process_start_time_seconds": GAUGES,
    "vibebox_python_gc_collections_total": _COLLECTIONS,
    "vibebox_python_gc_collected_objects_total": _COLLECTIONS,
    "vibebox_python_gc_uncollectable_objects_total": _COLLECTOR
    + "test_uncollectable_objects_are_counted",
    "vibebox_python_gc_objects": _COLLECTOR
    + "test_objects_are_counted_by_generation_and_those_that_stay",
    "vibebox_python_allocated_blocks": _KERNEL,
    "vibebox_process_virtual_memory_bytes": _KERNEL,
    "vibebox_python_gc_duration_seconds": _COLLECTIONS,
    "vibebox_scheduling_lag_seconds": f"{_SATURATION}::test_a_held_interpreter_shows_as_lag",
    "vibebox_worker_threads": f"{_SATURATION}::test_probes_and_scrapes_are_not_starved",
    "vibebox_worker_queue_depth": f"{_SATURATION}::test_probes_and_scrapes_are_not_starved",
    "vibebox_http_oldest_request_seconds": (
        f"{_SATURATION}::test_probes_and_scrapes_are_not_starved"
    ),
    "vibebox_client_connections": _CONNECTIONS,
    "vibebox_client_connections_limit": _CONNECTIONS,
    "vibebox_clients_cut_off_total": _REFUSED,
    "vibebox_accept_queue_depth": _QUEUE,
    "vibebox_accept_queue_limit": _LIMITS,
    "vibebox_workers": f"{_RUNTIME}::test_a_hundred_replaced_workers_leave_nothing_behind",
    "vibebox_worker_exits_total": f"{_RUNTIME}::test_exits_by_reason",
    "vibebox_health_check_up": STEPS,
    "vibebox_health_check_duration_seconds": STEPS,
    "vibebox_metrics_collect_errors_total": f"{_BROKEN}::test_bad_files_cost_only_themselves",
    "vibebox_metrics_label_overflow_total": STEPS,
    "vibebox_environments_total": STEPS,
    "vibebox_environments": STEPS,
    "vibebox_sessions_total": STEPS,
    "vibebox_sessions": STEPS,
    "vibebox_users": STEPS,
    **dict.fromkeys(
        (
            "vibebox_business_signups",
            "vibebox_business_accounts",
            "vibebox_business_funnel",
            "vibebox_business_shell_accounts",
            "vibebox_business_shell_seconds",
            "vibebox_business_active_accounts",
            "vibebox_business_second_week_accounts",
        ),
        _BUSINESS,
    ),
    "vibebox_agent_leading": _LEADING,
    "vibebox_agent_sweep_age_seconds": _LEADING,
    "vibebox_alerting_heartbeat_age_seconds": _HEARTBEAT,
    "vibebox_environment_drift": STEPS,
    "vibebox_probe_rounds_total": _PROBED,
    "vibebox_probe_failures_total": _PROBE_FAILS,
    "vibebox_probe_step_duration_seconds": _PROBED,
    "vibebox_probe_failed_step": _PROBED,
    "vibebox_probe_last_success_age_seconds": _PROBED,
    "vibebox_probe_interval_seconds": _PROBED,
    "vibebox_metrics_collect_duration_seconds": GAUGES,
    "vibebox_metrics_files": GAUGES,
    "vibebox_metrics_processes": GAUGES,
    "vibebox_metrics_directory_trouble": _FULL,
}
"""Family -> the test that moves it."""

_HTTP_STATUSES = "200 201 202 204 308 400 401 403 404 405 409 413 422 426 500 503 504".split()
STATUSES = frozenset(_HTTP_STATUSES)
"""Statuses that the steps are answered; the test of the steps holds it equal to what they were."""

ELSEWHERE: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("vibebox_agent_failures_total", "task"): dict.fromkeys(map(str, Loop), _FAILURES),
    ("vibebox_agent_task_last_success_timestamp_seconds", "task"): dict.fromkeys(
        map(str, ROUNDS), _ROUNDS
    ),
    ("vibebox_http_requests_total", "status_code"): {
        "101": _SHELL,
        "408": _REFUSED,
        "429": _ATTEMPTS,
        "502": "tests/web/test_request_metrics.py::test_error_counts_once_by_its_type",
    },
    ("vibebox_registrations_total", "way"): {"first": _FIRST},
    ("vibebox_registrations_total", "outcome"): {"limited": _REGISTRATIONS},
    ("vibebox_spans_total", "result"): {
        **dict.fromkeys(
            ("recorded", "exported"), f"{_TRACES}::test_nothing_of_a_killed_worker_is_lost"
        ),
        **dict.fromkeys(
            ("rejected", "failed"), f"{_TRACES}::test_what_the_receiver_leaves_out_is_counted"
        ),
        "dropped": f"{_TRACES}::test_what_has_no_room_is_counted",
        "doubtful": "tests/end_to_end/test_all_spans.py::test_no_span_is_lost_that_is_not_counted",
    },
    ("vibebox_log_records_total", "result"): {
        "exported": f"{_LOGS}::test_nothing_of_a_killed_worker_is_lost",
        **dict.fromkeys(
            ("rejected", "failed"),
            f"{_LOGS}::test_what_is_not_taken_is_counted_and_does_not_feed_itself",
        ),
        "dropped": f"{_LOGS}::test_what_has_no_room_is_counted",
        "doubtful": "tests/exporter/test_doubtful_records.py::test_a_lost_answer_is_counted",
    },
    ("vibebox_container_log_lines_total", "result"): {
        **dict.fromkeys(("accepted", "doubtful"), f"{_SHIPPED}::test_lines_arrive_whole"),
        "rejected": f"{_SHIPPING}::test_what_the_receiver_leaves_out_is_counted",
        "refused": f"{_SHIPPING}::test_what_is_refused_is_given_up_or_waits",
        "lost": f"{_SHIPPING}::test_what_was_deleted_unsent_is_counted_and_leaves_a_gap",
    },
    ("vibebox_otlp_points_total", "result"): {
        **dict.fromkeys(("accepted", "doubtful"), f"{_PUSHED}::test_deltas_add_up_to_the_total"),
        **dict.fromkeys(
            ("refused", "rejected"),
            f"{_PUSHED}::test_what_the_receiver_does_not_take_is_counted",
        ),
    },
    ("vibebox_limit_refusals_total", "limit"): {
        "requests": _SHARE,
        "server_requests": f"{_ADMISSION}::test_server_that_is_full_says_so",
        "websockets": "tests/core/test_places.py::test_refusals_say_whose_limit_it_is",
        "server_websockets": f"{_HANDSHAKE}::test_slots_come_back_and_too_many_are_refused",
        "streams": "tests/agent/pulls/test_pulls.py::test_streams_are_bounded",
        "server_streams": "tests/agent/pulls/test_pulls.py::test_streams_of_all_are_bounded",
        "uploads": _UPLOADS,
        "server_uploads": _UPLOADS,
        "attempts": _ATTEMPTS,
        "changes": f"{_NUMBERS}::test_changes",
        "telemetry": "tests/web/user_telemetry/test_intake.py::"
        "test_an_environment_has_one_place_and_its_share_of_a_second",
        "environments": f"{_QUOTAS}::test_number_of_environments_is_limited",
        **dict.fromkeys(("cpus", "memory_mb"), f"{_QUOTAS}::test_what_is_up_is_limited"),
        **dict.fromkeys(
            ("cpu_hours", "memory_gib_hours"),
            "tests/domain/quotas/test_month.py::test_team_has_a_quota_of_its_own_or_its_makers",
        ),
        "api_keys": f"{_NUMBERS}::test_api_keys",
        "projects": f"{_NUMBERS}::test_projects_of_an_account_and_of_a_team",
        "members": f"{_NUMBERS}::test_members",
        "sessions": f"{_NUMBERS}::test_sessions_that_have_not_ended",
        "extensions": f"{_NUMBERS}::test_extensions",
        "packages": f"{_NUMBERS}::test_packages_together",
        "tickets": f"{_NUMBERS}::test_tickets",
        "teams": f"{_QUOTAS}::test_number_of_teams_is_limited",
        **dict.fromkeys(
            ("host_environments", "host_cpus", "host_memory_mb"), f"{_QUOTAS}::test_host_has_bounds"
        ),
        "host_accounts": f"{_QUOTAS}::test_accounts_are_bounded",
    },
    ("vibebox_probe_rounds_total", "outcome"): {"success": _PROBED, "failure": _PROBE_FAILS},
    ("vibebox_probe_failures_total", "step"): dict.fromkeys(map(str, PROBE_STEPS), _PROBE_FAILS),
    ("vibebox_probe_step_duration_seconds", "step"): dict.fromkeys(map(str, PROBE_STEPS), _PROBED),
    ("vibebox_probe_failed_step", "step"): {
        **dict.fromkeys(map(str, PROBE_STEPS), _PROBE_STATE),
        NO_STEP: _PROBED,
    },
    ("vibebox_worker_exits_total", "reason"): {
        **dict.fromkeys(
            ("crashed", "killed", "reloaded", "shutdown"), f"{_RUNTIME}::test_exits_by_reason"
        ),
        **dict.fromkeys(("timeout", "recycled"), _REAL_GUNICORN),
    },
    ("vibebox_metrics_collect_errors_total", "collector"): {
        "inventory": f"{_E2E}/test_readiness.py"
        "::test_metrics_stay_readable_without_database_and_docker",
        "files": f"{_BROKEN}::test_bad_files_cost_only_themselves",
        "values": _FULL,
        "format": "tests/prefork_metrics/aggregation/test_bad_files.py"
        "::test_each_scrape_by_the_stock_collector_is_an_error",
        "runtime": "tests/prefork_metrics/runtime/test_publisher.py"
        "::test_failing_part_spares_the_others_and_is_told_once",
    },
    ("vibebox_websocket_messages_total", "direction"): {"in": _SHELL, "out": _VIEWERS},
    ("vibebox_websocket_messages_total", "kind"): {
        "terminal": _SHELL,
        "logs": _VIEWERS,
        "status": _STATUS,
    },
    ("vibebox_sessions_total", "type"): {"tmux": _TMUX, "vscode_server": _VSCODE},
    ("vibebox_sessions_total", "status"): {
        **dict.fromkeys(("starting", "active"), _SHELL),
        "idle": _TMUX,
    },
    ("vibebox_environments_total", "status"): {
        **dict.fromkeys(
            ("starting", "stopping"),
            "tests/web/health/test_scrape.py::test_row_of_every_status_is_counted",
        )
    },
    ("vibebox_process_cpu_seconds_total", "mode"): dict.fromkeys(("user", "system"), _KERNEL),
    ("vibebox_process_cpu_seconds_total", "role"): {"web": _KERNEL, "agent": STEPS},
    ("vibebox_db_connection_pool_size", "state"): {
        "max": GAUGES,
        **dict.fromkeys(("active", "idle"), _POOL),
        "overflow": _OVERFLOW,
    },
    ("vibebox_worker_threads", "state"): dict.fromkeys(
        ("busy", "total"), f"{_SATURATION}::test_probes_and_scrapes_are_not_starved"
    ),
    ("vibebox_http_client_wait_seconds", "phase"): dict.fromkeys(("receive", "send"), _SLOW),
    ("vibebox_client_connections", "state"): dict.fromkeys(
        ("idle", "receiving", "queued", "serving", "sending", "closing"), _CONNECTIONS
    ),
    ("vibebox_clients_cut_off_total", "reason"): {
        **dict.fromkeys(("head", "body"), _REFUSED),
        **dict.fromkeys(("answer", "room"), _ATTACKED),
    },
    ("vibebox_python_gc_collections_total", "generation"): dict.fromkeys("012", _COLLECTIONS),
    ("vibebox_metrics_collect_duration_seconds", "collector"): {
        collector: GAUGES for collector in ("inventory", "files")
    },
    ("vibebox_metrics_files", "state"): dict.fromkeys(("live", "dead"), GAUGES),
    ("vibebox_metrics_processes", "state"): {
        "shown": GAUGES,
        "hidden": f"{_BROKEN}::test_reload_on_a_full_disk_is_told_by_the_scrape",
        "silent": f"{_TROUBLE}::test_live_gauges_of_a_silent_member_are_left_out",
    },
    ("vibebox_metrics_directory_trouble", "reason"): {
        "full": _FULL,
        "read_only": f"{_BROKEN}::test_disk_that_becomes_read_only_hides_only_new_series",
        "missing": f"{_BROKEN}::test_directory_that_cannot_be_made_anew",
        **dict.fromkeys(("denied", "busy", "other"), f"{_TROUBLE}::test_meaning"),
    },
    ("vibebox_health_check_up", "check"): {"disk": _FULL},
    ("vibebox_business_signups", "way"): dict.fromkeys(SIGNUP_WAYS, _BUSINESS),
    ("vibebox_business_accounts", "milestone"): dict.fromkeys(MILESTONES, _BUSINESS),
    ("vibebox_business_funnel", "step"): dict.fromkeys(FUNNEL_STEPS, _BUSINESS),
    ("vibebox_business_shell_accounts", "within_seconds"): dict.fromkeys(SHELL_SECONDS, _BUSINESS),
    ("vibebox_business_active_accounts", "days"): dict.fromkeys(ACTIVE_DAYS, _BUSINESS),
    ("vibebox_business_second_week_accounts", "state"): dict.fromkeys(SECOND_WEEKS, _BUSINESS),
}
"""Values that another test moves, by family and label; see `SAME` for families that share them."""

SAME: Mapping[str, str] = {
    "vibebox_process_virtual_memory_bytes": "vibebox_process_cpu_seconds_total",
    "vibebox_python_gc_objects": "vibebox_python_gc_collections_total",
    "vibebox_python_gc_uncollectable_objects_total": "vibebox_python_gc_collections_total",
    "vibebox_http_request_duration_seconds": "vibebox_http_requests_total",
    "vibebox_api_errors_total": "vibebox_http_requests_total",
    "vibebox_environments": "vibebox_environments_total",
    "vibebox_sessions": "vibebox_sessions_total",
    "vibebox_process_resident_memory_bytes": "vibebox_process_cpu_seconds_total",
    "vibebox_process_proportional_memory_bytes": "vibebox_process_cpu_seconds_total",
    "vibebox_memory_limit_bytes": "vibebox_process_cpu_seconds_total",
    "vibebox_cpu_limit_cores": "vibebox_process_cpu_seconds_total",
    "vibebox_memory_usage_bytes": "vibebox_process_cpu_seconds_total",
    "vibebox_python_gc_collected_objects_total": "vibebox_python_gc_collections_total",
    "vibebox_python_gc_duration_seconds": "vibebox_python_gc_collections_total",
}
"""Family -> the one whose values it takes at the same moments."""

_UNUSED = (
    "nothing in the product sends a signal of its own choice: stop and remove do what it needs"
)
_NO_PART = "a part that is not timed on its own; its errors are what it shows"
_UNTIMED = "how long a handshake took says nothing beside other requests"
NO_SOURCE_YET: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("vibebox_http_request_duration_seconds", "status_code"): {"101": _UNTIMED},
    ("vibebox_docker_operations_total", "operation"): {"kill": _UNUSED},
    ("vibebox_docker_operation_duration_seconds", "operation"): {"kill": _UNUSED},
    ("vibebox_metrics_collect_duration_seconds", "collector"): dict.fromkeys(
        ("format", "runtime", "values"), _NO_PART
    ),
}
"""Values that nothing can move by now, with the reason."""

_ALL = ("select", "insert", "update", "delete")
STATEMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "api_keys",
            "auth_tokens",
            "container_exits",
            "environments",
            "extensions",
            "image_pulls",
            "log_cursors",
            "memberships",
            "processes",
            "projects",
            "sessions",
            "teams",
        ),
        _ALL,
    ),
    "alerts": ("select", "insert", "delete"),
    "audit_entries": ("select", "insert", "delete"),
    "event_counts": ("select", "insert", "update"),
    "extension_packages": ("select", "insert", "delete"),
    "installation": ("select",),
    "leases": ("select", "insert", "update"),
    "log_entries": ("select", "insert", "delete"),
    "log_sources": ("select", "insert", "update"),
    "log_usage": ("select", "insert", "update"),
    "invitations": ("select", "insert", "update"),
    "logins": ("select", "insert", "update"),
    "port_reservations": ("select", "insert", "delete"),
    "users": _ALL,
    "ws_tickets": ("select", "insert", "delete"),
    "agent_reports": ("select", "insert"),
    "alert_heartbeats": ("select", "insert"),
    "clock_readings": ("select", "insert"),
    "terminals": ("select", "delete"),
    "business_accounts": ("select", "insert"),
    "business_cohorts": ("select", "insert"),
    "business_cursor": ("select", "insert", "update"),
    "business_days": ("select", "insert"),
    "business_totals": ("insert",),
    "usage_cursors": ("select", "insert", "delete"),
    "usage_disks": ("delete",),
    "usage_rows": ("select", "insert"),
    "usage_totals": ("insert", "delete"),
    "other": ("select", "other"),
}
"""Statements by model, as PostgreSQL sees them; the test of the steps holds it equal to that."""

_LATER = "it is kept for a month after its end"
_KEPT = "a row that stays for as long as what it belongs to, which takes it along"
_UPSERT = "what is counted anew is written by INSERT … ON CONFLICT"
_SWITCHED_OFF = "where a setting switches it off; a unit test sees to that"
NO_STATEMENT_YET: Mapping[str, Mapping[str, str]] = {
    "alerts": {"update": "an alert that is told again is written by INSERT … ON CONFLICT"},
    "alert_heartbeats": {
        "update": "where it is missing; a unit test cuts its way",
        "delete": _KEPT,
    },
    "audit_entries": {"update": "what happened is never rewritten"},
    "event_counts": {"delete": _KEPT},
    "extension_packages": {"update": "a package is replaced by another one"},
    "installation": {
        "insert": "the migration makes the row, and a migration is not measured",
        "update": "the identity of an installation does not change",
        "delete": _KEPT,
    },
    "leases": {"delete": _KEPT},
    "log_entries": {"update": "a line is never rewritten"},
    "log_sources": {"delete": "when nothing of its container is kept; a unit test sees to that"},
    "log_usage": {"delete": _KEPT},
    "logins": {"delete": _LATER},
    "invitations": {"delete": _LATER},
    "port_reservations": {"update": "a port is reserved and let go of"},
    "ws_tickets": {"update": "a ticket is used by deleting it"},
    "agent_reports": {
        "update": "what is found anew is written by INSERT … ON CONFLICT",
        "delete": "what is over, of the probe and of disks; unit tests see to that",
    },
    "clock_readings": {
        "update": "an earlier one is written by INSERT … ON CONFLICT",
        "delete": "kept for two days; a unit test sees to that",
    },
    "terminals": dict.fromkeys(
        ("insert", "update"), "a terminal is a WebSocket, which these steps do not open"
    ),
    "log_shipping": dict.fromkeys(_ALL, "lines of containers are not shipped in these steps"),
    "business_accounts": {
        "update": _UPSERT,
        "delete": "those of deleted accounts go when the day is finished; unit tests see to that",
    },
    "business_cohorts": {"update": _UPSERT, "delete": _SWITCHED_OFF},
    "business_cursor": {"delete": _SWITCHED_OFF},
    "business_days": {"update": _UPSERT, "delete": _SWITCHED_OFF},
    "business_totals": {
        "select": "the scrape reads it, and what a scrape reads is not measured",
        "update": _UPSERT,
        "delete": _SWITCHED_OFF,
    },
    "usage_cursors": {"update": "one that moves is written by INSERT … ON CONFLICT"},
    "usage_disks": {
        **dict.fromkeys(("select", "insert"), "sizes are read once a day; unit tests see to that"),
        "update": "one that is read again is written by INSERT … ON CONFLICT",
    },
    "usage_rows": {
        "update": "what is added is written by INSERT … ON CONFLICT",
        "delete": "hours are kept for weeks; a unit test sees to that",
    },
    "usage_totals": {
        "select": "the scrape reads it, and what a scrape reads is not measured",
        "update": "what is added is written by INSERT … ON CONFLICT",
    },
    "probe_rounds": dict.fromkeys(_ALL, "the synthetic user is off in these steps"),
    "write_probes": dict.fromkeys(_ALL, "readiness checks write it, and those are not measured"),
    "other": dict.fromkeys(("insert", "update", "delete"), "every table has a model"),
}
"""Statements that nothing makes by now. `other` names no table: SET, SAVEPOINT, the clock."""
