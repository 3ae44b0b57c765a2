"""The embedded backend: takes in spans and log lines, keeps them in one SQLite file, answers queries.

Two processes share the file: :mod:`dashcam.store.receiver` is its only writer,
:mod:`dashcam.store.query` reads it. For one machine and one person; bounded in size and age.
"""
