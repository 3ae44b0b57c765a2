"""Dashboards, objectives, alerts and runbooks as code: the sources, and what is generated from them."""
