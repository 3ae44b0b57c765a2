"""`web`: the server-rendered pages of the catalogue. It asks `car` for everything it shows."""
