"""One of each: typed settings, worker processes, atomic files, one-line errors, drawing."""
