"""`web`: the server-rendered pages of the catalogue. It asks `car` for everything it shows."""

VERSION = "0.2.0"
