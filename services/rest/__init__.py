"""What the REST services share of their addresses: resources and OpenAPI documents. Not a service."""
