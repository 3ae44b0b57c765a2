"""The documentation site: `make docs` stages the repository's pages and what the code says of itself."""
