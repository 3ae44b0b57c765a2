"""The embedded backend: takes in spans and log lines, keeps them in one SQLite file, answers queries.

Two processes share the file: :mod:`observability.local.receiver` is its only writer,
:mod:`observability.local.query` reads it. For one machine and one person; bounded in size and age.
"""
