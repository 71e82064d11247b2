"""The MD5 sum of a download: an error, a warning, or nothing."""

from __future__ import annotations

import hashlib
import warnings

import pytest

from skhybrid.datasets._check_hash import check_md5

URL = "https://example.org/set_v1.zip"
OTHER = "0" * 32


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(b"content")
    return path, hashlib.md5(b"content").hexdigest()


@pytest.mark.parametrize("accept_changed", [None, False, True])
def test_right_sum_is_accepted_in_silence(accept_changed, archive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_md5(*archive, url=URL, accept_changed=accept_changed)


@pytest.mark.parametrize("accept_changed", [None, False])
def test_wrong_sum_is_an_error_that_offers_only_existing_arguments(accept_changed, archive):
    path, md5 = archive
    with pytest.raises(ValueError, match="has changed") as raised:
        check_md5(path, OTHER, url=URL, accept_changed=accept_changed)
    assert md5 in str(raised.value)
    assert OTHER in str(raised.value)
    assert ("accept_changed=True" in str(raised.value)) == (accept_changed is False)


def test_wrong_sum_can_be_accepted_with_a_warning(archive):
    path, md5 = archive
    with pytest.warns(UserWarning, match="has changed") as warned:
        check_md5(path, OTHER, url=URL, accept_changed=True)
    for part in (URL, md5, OTHER):
        assert part in str(warned[0].message)
