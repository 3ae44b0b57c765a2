"""Breaking a running stack on purpose, and the proof that the diagnosis names the cause."""
