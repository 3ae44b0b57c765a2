"""The embedded backend measured: alone (`embedded`), and beside other programs for the same (`__main__`)."""
