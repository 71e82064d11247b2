"""The package: what it exports, and that importing it is fast."""

from __future__ import annotations

import subprocess
import sys

import pytest

import skhybrid


def test_import_does_not_import_torch():
    code = "import skhybrid, sys; dir(skhybrid); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_exported_names_can_be_imported():
    assert set(skhybrid.__all__) <= set(dir(skhybrid))
    for name in skhybrid.__all__:
        assert getattr(skhybrid, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'HybridRegresor'"):
        skhybrid.HybridRegresor  # noqa: B018
