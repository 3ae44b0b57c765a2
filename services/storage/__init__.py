"""What services that keep something share: their connections to a database. Not a service."""
