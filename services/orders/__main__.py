"""Run the service: `python -m services.orders`. Settings come from the environment."""

from observability.server.serve import serve
from services.orders.settings import Settings

serve("services.orders.app:create_app", Settings, service="orders")
