"""Run the service: `python -m services.car`. Settings come from the environment."""

from observability.server.serve import serve
from services.car.settings import Settings

serve("services.car.app:create_app", Settings, service="car")
