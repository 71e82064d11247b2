"""One fit: read, assemble, train, finish."""
