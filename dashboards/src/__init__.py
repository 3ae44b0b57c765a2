"""The sources of `dashboards/generated/`: `python -m dashboards.src` writes it, `--check` compares it.

`slos.yaml` holds the objectives, `receivers.yaml` who is told; everything else is Python:
rules (`dashcam.slo`, `alerts/`), routing (`alertmanager`), Grafana (`boards/`, `datasources`) and Kibana
(`kibana`).
"""
