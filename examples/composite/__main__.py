"""Run the composite: `python -m examples.composite`. Settings come from the environment."""

from examples.composite.settings import Settings
from observability.server.serve import serve

serve("examples.composite.app:create_app", Settings, service="composite")
