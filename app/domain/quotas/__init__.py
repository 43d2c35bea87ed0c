"""Quotas: how many environments, CPUs and MiB an account, a team and the host may have."""
