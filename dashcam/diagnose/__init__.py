"""From symptoms to a root cause, by what the three query interfaces answer, and the proof that it works."""
