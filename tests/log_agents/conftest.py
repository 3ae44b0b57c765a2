"""The one Elasticsearch of these tests, as the manifests' bootstrap leaves it."""

from integration.search.conftest import bootstrap, elasticsearch, ready

__all__ = ["bootstrap", "elasticsearch", "ready"]
