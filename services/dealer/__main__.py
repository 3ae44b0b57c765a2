"""Run the service: `python -m services.dealer`. Settings come from the environment."""

from observability.server.serve import serve
from services.dealer.settings import Settings

serve("services.dealer.app:create_app", Settings, service="dealer")
