"""The diagnosis on recorded faults of other systems, beside trivial rules. See docs/diagnosis.md."""
