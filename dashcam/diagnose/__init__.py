"""From symptoms to a root cause, by what the three query interfaces answer."""
