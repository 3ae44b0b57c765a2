"""Messages between services that are neither lost nor counted twice: outbox, inbox, broker. Not a service."""
