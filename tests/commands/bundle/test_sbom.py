"""The bill of materials."""

from __future__ import annotations

from edgepress.commands.bundle.sbom import _library


def test_the_version_in_an_address_is_percent_encoded() -> None:
    """https://github.com/package-url/purl-spec: a `+` there is another version, or a space."""
    library = _library("torch", "2.1.0+cpu")
    assert library["purl"] == library["bom-ref"] == "pkg:pypi/torch@2.1.0%2Bcpu"
    assert library["version"] == "2.1.0+cpu"
    assert _library("numpy", "1!2.0-rc_1~a")["purl"] == "pkg:pypi/numpy@1%212.0-rc_1~a"
