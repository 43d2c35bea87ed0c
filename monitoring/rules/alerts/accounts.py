"""Alerts on attacks too slow for those on authentication."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import both, increases, rates, ratio
from monitoring.rules.rule import Alert, Group

_ATTEMPTS = "vibebox_auth_attempts_total"
# Passwords alone: tokens are renewed, and keys sent, by programs that never get them wrong.
_PASSWORD, _FAILED = 'method="password"', 'status="failure"'
# What was refused since registration is closed, or an invitation not good, made nobody anything.
_SIGN_UPS = increases(
    "job", "vibebox_registrations_total", 'outcome=~"created|limited"', window="1h"
)

GROUPS = (
    Group(
        "accounts",
        (
            Alert(
                "SlowBruteForceAttack",
                "warning",
                "auth",
                "5m",
                both(
                    ratio(
                        rates("job", _ATTEMPTS, _PASSWORD, _FAILED, window="1h"),
                        rates("job", _ATTEMPTS, _PASSWORD, window="1h"),
                        f"> {t.GUESSES_RATIO}",
                    ),
                    f"{increases('job', _ATTEMPTS, _PASSWORD, _FAILED, window='1h')}"
                    f" >= {t.GUESSES}",
                ),
                "Somebody may be guessing passwords slowly",
                "{{ $value | humanizePercentage }} of the sign-ins by password failed in the past "
                "hour, too few at a time for the limits: of many accounts, or from many addresses.",
                "vibebox-overview",
                "auth",
            ),
            Alert(
                "UnusualSignUps",
                "warning",
                "auth",
                "0m",
                f"{_SIGN_UPS} > {t.SIGN_UPS}",
                "Many accounts are made",
                'There were {{ $value | printf "%.0f" }} sign-ups in the past hour '
                f"(limit: {t.SIGN_UPS}), made or held back by the limit on them: a program may be "
                "making accounts.",
                "vibebox-overview",
            ),
        ),
    ),
)
