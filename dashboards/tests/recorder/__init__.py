"""Records the expositions beside it from the real programs: `make record-expositions`.

Each module runs programs of one kind on free ports of loopback, gives them something to count, reads their
pages and hands them to `page.py`, which keeps the families that a panel or a rule names, with where they are
from. What a recording proves is which names, labels and buckets a program really has.
"""
