"""A request that comes in, calls that go out, and the access line."""
