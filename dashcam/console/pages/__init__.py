"""One module for each page; each mounts its routes on the console's blueprint."""
