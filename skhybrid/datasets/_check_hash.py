"""Check the hash of a downloaded archive."""

from __future__ import annotations

import warnings
from pathlib import Path


def check_hash(
    path: Path, *, md5: str, sha256: str | None, url: str, accept_changed: bool | None
) -> None:
    """Check that a downloaded archive is the published one.

    Parameters
    ----------
    path : pathlib.Path
        The archive.
    md5 : str
        MD5 sum of the published archive, in hexadecimal digits.
    sha256 : str or None
        Its SHA-256 sum. If it is known, it alone decides, because other content with the same MD5
        sum can be made on purpose.
    url : str
        Address of the archive, for the message.
    accept_changed : bool or None
        Whether another sum is a warning instead of an error. ``None`` means an error that does not
        offer this choice, for data sets without an ``accept_changed`` argument.

    Raises
    ------
    ValueError
        If the archive has another sum and ``accept_changed`` is not true.

    Warns
    -----
    UserWarning
        If the archive has another sum and ``accept_changed`` is true.
    """
    import pooch

    name, algorithm, expected = ("MD5", "md5", md5)
    if sha256 is not None:
        name, algorithm, expected = ("SHA-256", "sha256", sha256)
    found = pooch.file_hash(str(path), alg=algorithm)
    if found == expected:
        return
    problem = f"the archive has changed or is damaged: its {name} sum is {found}, not {expected}"
    if accept_changed:
        # The warning names the line of the user's call: fetch_<data set> calls fetch_from_archive,
        # which calls this function, and validate_params wraps fetch_<data set>.
        warnings.warn(f"{url}: {problem}. accept_changed=True accepts it.", stacklevel=5)
        return
    if accept_changed is not None:
        problem += (
            ". Its publishers re-issue archives at times. If you trust the address, pass "
            "accept_changed=True. Results may then differ from results with the archive known here"
        )
    raise ValueError(problem)
