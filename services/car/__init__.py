"""`car` keeps the catalogue: makers, their models, and what a model costs after a discount."""
