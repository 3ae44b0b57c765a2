"""Run both as one: `python -m examples.monolith`. The settings are those of `car`."""

from observability.server.serve import serve
from services.car.settings import Settings

serve("examples.monolith.app:create_app", Settings, service="car")
