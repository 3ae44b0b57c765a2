"""`dealer` confirms orders that are sent to it as messages, and withdraws what it confirmed."""
