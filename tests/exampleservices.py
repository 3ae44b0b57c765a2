"""The services of the catalogue as tests of the real ones speak of them, without their names."""

from __future__ import annotations

from dashcam.registry.catalogue import load

CATALOGUE = load()
SERVICES = CATALOGUE.names
LAST = CATALOGUE.called_by("car")[0]
"""The last hop of a quote: it depends on nothing, and is the cheapest of the real services to start."""
QUOTE = ("web", "car", LAST.name)
"""Those that a quote goes through, from the click on."""
ROUTE = LAST.example.partition("?")[0]
"""The route of the last hop's example."""
