"""Rows of a benchmark, shown and kept while it runs."""

import pandas as pd


def rows_to_csv(rows, output):
    """Print each row when it is measured, and write all rows so far.

    Parameters
    ----------
    rows : iterable of dict
        Measures a row when it is asked for it.
    output : path
    """
    kept = []
    for row in rows:
        kept.append(row)
        print(row, flush=True)
        pd.DataFrame(kept).to_csv(output, index=False)
