"""A new service from services/template, with all that belongs to it, and the way back."""
