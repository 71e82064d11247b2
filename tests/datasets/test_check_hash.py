"""The hash of a download: an error, a warning, or nothing."""

from __future__ import annotations

import hashlib
import warnings

import pytest

from skhybrid.datasets._check_hash import check_hash

URL = "https://example.org/set_v1.zip"
OTHER = "0" * 32
MD5 = hashlib.md5(b"content").hexdigest()
SHA256 = hashlib.sha256(b"content").hexdigest()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize("accept_changed", [None, False, True])
@pytest.mark.parametrize("sums", [(MD5, None), (MD5, SHA256), (OTHER, SHA256)])
def test_right_sum_is_accepted_in_silence(sums, accept_changed, archive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_hash(archive, md5=sums[0], sha256=sums[1], url=URL, accept_changed=accept_changed)


# Where the SHA-256 sum is known, a right MD5 sum is not enough.
@pytest.mark.parametrize("sums", [(OTHER, None, "MD5", MD5), (MD5, OTHER, "SHA-256", SHA256)])
@pytest.mark.parametrize("accept_changed", [None, False])
def test_wrong_sum_is_an_error_that_offers_only_existing_arguments(accept_changed, sums, archive):
    md5, sha256, name, found = sums
    with pytest.raises(ValueError, match="has changed") as raised:
        check_hash(archive, md5=md5, sha256=sha256, url=URL, accept_changed=accept_changed)
    assert f"its {name} sum is {found}, not {OTHER}" in str(raised.value)
    assert ("accept_changed=True" in str(raised.value)) == (accept_changed is False)


@pytest.mark.parametrize("sums", [(OTHER, None, MD5), (MD5, OTHER, SHA256)])
def test_wrong_sum_can_be_accepted_with_a_warning(sums, archive):
    md5, sha256, found = sums
    with pytest.warns(UserWarning, match="has changed") as warned:
        check_hash(archive, md5=md5, sha256=sha256, url=URL, accept_changed=True)
    for part in (URL, found, OTHER):
        assert part in str(warned[0].message)
