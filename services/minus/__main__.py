"""Run the service: `python -m services.minus`. Settings come from the environment."""

from observability.server.serve import serve
from services.minus.settings import Settings

serve("services.minus.app:create_app", Settings, service="minus")
