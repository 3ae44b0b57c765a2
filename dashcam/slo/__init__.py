"""Objectives to recording rules, burn-rate alerts, their tests and a dashboard; OpenSLO is read, too.

Nothing here needs Dashcam's own services: `dashcam slo generate slos.yaml` does it for anybody's. It is what
`dashboards/` generates its own rules by.
"""
