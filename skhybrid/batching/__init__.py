"""Train many fits in batches, and compare candidates on cross-validation folds."""
