"""The sources of `dashboards/generated/`: `python -m dashboards.src` writes it, `--check` compares it.

`services/catalogue.yaml` holds the objectives, `slos.yaml` what is common to them, `receivers.yaml` who is
told; everything else is Python:
rules (`dashcam.slo`, `alerts/`), routing (`alertmanager`), Grafana (`boards/`, `datasources`) and Kibana
(`kibana`).
"""
