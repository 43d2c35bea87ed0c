"""What alerts compare with: the thresholds, and the floors below which they say nothing.

Dashboards draw and name the thresholds from here as well: change one here, then `make generate`.
Not here are the objectives (`objectives`), and what stands with each alert in `alerts`: for how
long its condition has to hold, over which window, and comparisons with 0, where one is enough.

A threshold of a quantile must be a bound of its histogram's buckets, below the last finite one: in
between, and beyond, Prometheus guesses. A test holds that.
"""

JOB = "vibebox-backend"
"""The job of monitoring/prometheus/prometheus.yml."""

# Seconds that 95 of 100 requests, statements or calls of Docker take at most.
LATENCY_WARNING, LATENCY_CRITICAL = 1, 5
DATABASE_WARNING, DATABASE_CRITICAL = 1, 5
DOCKER_SECONDS = 30
START_SECONDS = 30
# Seconds that 99 of 100 wake-ups of a thread are late at most.
LAG_SECONDS = 0.1
# Ten times as long as from one comparison to the next (VIBEBOX_AGENT_SWEEP_INTERVAL).
SWEEP_SECONDS = 300
# What 95 of 100 requests wait for a thread at most: as long as their whole answer is to take.
QUEUE_SECONDS = 0.5
# Longer than anything that a request may wait for: it is no slow one, it does not end.
STUCK_SECONDS = 300
# Three times the pause of the laziest loop of the agent.
TASK_SECONDS = 900
SCRAPE_SECONDS = 5
"""Half of scrape_timeout: later, scrapes begin to fail and there is nothing left to warn with."""

# Failed requests a second. A small service never has so many: the budgets watch that one.
ERRORS_WARNING, ERRORS_CRITICAL = 10, 50
# Failed authentications a second, and the share of failed ones by those who offer a secret.
ATTACK_FAILURES = 10
AUTH_FAILURE_RATIO = 0.5
DOCKER_FAILURE_RATIO = 0.1

# Shares of what there is.
CPU_RATIO = 0.8
MEMORY_RATIO = 0.9
WEBSOCKET_RATIO = 0.8
THREADS_RATIO = 0.9
CORE_RATIO = 0.8
DESCRIPTOR_RATIO = 0.8
CONNECTIONS_RATIO = 0.8
POOL_RATIO = 1

# Counts.
ENVIRONMENTS_IN_ERROR = 5
WORKER_EXITS = 3
# Rounds of the synthetic user that may fail in a row, or be missed.
PROBE_ROUNDS = 3
# Of one loop of the agent in 15 minutes. A container that breaks for ever makes seven in its first.
TASK_FAILURES = 30
SHARED_REFUSALS = 5
# In half an hour: starts of the same process, and times that it was away. A release is one.
RESTARTS = OUTAGES = 3
# Wrong passwords in an hour, and their share of all: people mistype one in ten or so.
GUESSES, GUESSES_RATIO = 50, 0.3

# Requests for an account in an hour that made one, or met the limit on them: more than a class or
# a team that comes to know of VibeBox.
SIGN_UPS = 30

# Events in the range of a ratio or quantile below which it says nothing: one slow request at night
# is no slow service. Higher for authentications, where one mistyped password is 100 %.
FLOOR = 5
AUTH_FLOOR = 20
# Bad ones among them below which nobody is told: failures, or what took too long.
BAD_FLOOR = 3
BUDGET_FLOOR = 5
"""Bad requests in the long window of a burn rate: a page for one, or for a client that tried it
three times, would be a page for nothing."""
