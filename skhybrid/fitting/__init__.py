"""One fit: read the data, assemble the model, train it, finish."""
