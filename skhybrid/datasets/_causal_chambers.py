"""Addresses, licence and citation of the Causal Chambers: the light tunnel and the wind tunnel."""

from __future__ import annotations

from skhybrid.datasets._fetch_from_archive import ZipArchive

LICENCE = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
CITATION = (
    "Gamella, J. L., Peters, J., Bühlmann, P.: Causal chambers as a real-world physical testbed "
    "for AI methodology. Nature Machine Intelligence (2025). doi:10.1038/s42256-024-00964-x"
)

_ADDRESS = "https://causalchamber.s3.eu-central-1.amazonaws.com/downloadables/"
# The publishers state MD5 sums only. The SHA-256 sums are not known, so MD5 decides.
ARCHIVES = {
    name: ZipArchive(url=f"{_ADDRESS}{name}.zip", md5=md5)
    for name, md5 in {
        "lt_interventions_standard_v1": "476664d024f88e8b7640998bb5e9ee33",
        "wt_intake_impulse_v1": "8b7a0e587d3e9a804b380d96f14a1b12",
        "wt_walks_v1": "19bb4e92cbe0b8dff49299b9b509ac36",
        "wt_test_v1": "5eed621f5b54e431c4442fc9cc947db6",
    }.items()
}
