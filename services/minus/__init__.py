"""`minus` subtracts: the smallest service of the system, and the last hop of a quote."""
