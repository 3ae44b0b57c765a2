"""A day of a service for Prometheus' own engine: what is ordinary must wake nobody.

`traffic` makes the counters of a day, `scenarios` the days, `count` lets promtool evaluate the generated
rules over one and counts the times that each alert began to fire.
"""
