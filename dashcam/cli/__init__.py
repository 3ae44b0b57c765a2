"""The command line over the same sources as the pages: traces, logs, metrics, services, alerts.

Exit status of every command: 0 found, 1 nothing found or unhealthy, 2 used wrongly, 3 a source did not
answer.
"""
