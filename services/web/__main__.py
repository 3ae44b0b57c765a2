"""`python -m services.web`: serve the pages with the settings of the environment."""

from observability.server.serve import serve
from services.web.settings import Settings

if __name__ == "__main__":
    serve("services.web.app:create_app", Settings, service="web")
