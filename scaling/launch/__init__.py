"""How points are started: by mpirun here, or by job scripts elsewhere."""
