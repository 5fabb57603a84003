"""Packages that are missing, have other versions, or were built for other ones: found before they end a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from edgepress.commands import exit_codes
from edgepress.core import installation, machine
from edgepress.core.errors import UserError
from edgepress.core.runtimes import RUNTIMES


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`package(name, version, *requires, code=…)`: a distribution of one module, for this process and its children."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def install(name: str, version: str, *requires: str, code: str = "") -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (tmp_path / f"{name}.py").write_text(code)

    return install


def test_requirements_are_followed_to_the_end(package: Callable[..., None]) -> None:
    left_out = ("of-windows; sys_platform == 'win32'", "further; extra == 'x'")
    package("top", "1.0", "middle>=2", "nowhere~=3.0", *left_out)
    package("middle", "2.0", "bottom<2", "top")
    package("bottom", "2.5")
    assert [problem.message for problem in installation.unmet("top")] == [
        "top 1.0 needs nowhere~=3.0, which is not installed",
        "middle 2.0 needs bottom<2, and 2.5 is installed",
    ]
    assert installation.unmet("top")[1].help == "pip install 'bottom<2'"
    assert installation.unmet("not-installed") == []


def test_each_package_is_used_and_one_that_ends_the_process_hides_no_other(
    package: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, code in {
        "fits": "print('chatter')",
        "raises": "raise RuntimeError('operator torchvision::nms does not exist')",
        "dies": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "warns": "import os\nos.write(2, b'AttributeError: _ARRAY_API not found\\n')\nos.abort()",
        "last": "import not_there",
    }.items():
        package(name, "1.0", code=code)
    monkeypatch.setattr(installation, "MODULES", {name: name for name in ("fits", "raises", "dies", "warns", "last")})
    monkeypatch.setattr(installation, "RUNTIMES", {})
    torch = machine.versions(["torch", "torchvision", "numpy"])
    assert [problem.message for problem in installation._unusable()] == [
        f"raises 1.0 cannot be used: torchvision {torch['torchvision']} is not built for torch {torch['torch']}: "
        "RuntimeError: operator torchvision::nms does not exist",
        "dies 1.0 cannot be used: its process was killed by signal 11 (SIGSEGV)",
        f"warns 1.0 cannot be used: a package is not built for numpy {torch['numpy']}: "
        "AttributeError: _ARRAY_API not found",
        "last 1.0 cannot be used: ModuleNotFoundError: No module named 'not_there'",
    ]


def test_two_packages_of_one_runtime_are_named(package: Callable[..., None]) -> None:
    package("onnxruntime-gpu", "1.0")
    (problem,) = installation.shadowed()
    assert "onnxruntime-gpu 1.0 share one module" in problem.message
    assert problem.help.startswith("keep one: pip uninstall -y onnxruntime onnxruntime-gpu")


@pytest.mark.parametrize(
    ("error", "message", "help"),
    [
        (RuntimeError("operator torchvision::nms does not exist"), "is not built for torch", "from one index"),
        (AttributeError("_ARRAY_API not found"), "a package is not built for numpy", "pip install 'numpy<2'"),
        (ImportError("numpy.core.multiarray failed to import"), "a package is not built for numpy", "'numpy<2'"),
        (
            ImportError("cannot import name 'runtime_version' from 'google.protobuf' (/x/__init__.py)"),
            "does not fit onnx",
            "pip install --upgrade protobuf onnx",
        ),
        (AttributeError("module 'onnxruntime' has no attribute 'InferenceSession'"), "not whole", "pip uninstall -y"),
        (
            ImportError("/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by x.so)"),
            "a newer system",
            "older version",
        ),
        (
            OSError("libcudart.so.12: cannot open shared object file: No such file or directory"),
            "lacks a library",
            "--force-reinstall",
        ),
        (ModuleNotFoundError("No module named 'PIL'", name="PIL"), "`pillow` is not installed", "pip install pillow"),
        (ImportError("cannot import name 'x' from 'timm'", name="timm"), "`timm` cannot be imported", "doctor"),
    ],
)
def test_a_run_that_dies_of_it_says_what_to_install(
    error: Exception, message: str, help: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def command() -> None:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("a library's own words") from cause

    sys_argv, sys.argv = sys.argv, ["edgepress"]
    try:
        assert exit_codes.run(command) == 2
    finally:
        sys.argv = sys_argv
    printed = capsys.readouterr().err
    assert message in printed.splitlines()[0]
    assert help in printed


@pytest.mark.parametrize(
    "error",
    [
        ValueError("seven"),
        ImportError("cannot import name 'run' from 'edgepress.engine'", name="edgepress.engine"),
        OSError("No such file or directory"),
    ],
)
def test_a_bug_of_ours_stays_one(error: Exception) -> None:
    assert installation.blamed(error) is None


def test_a_users_error_is_not_explained_away() -> None:
    assert isinstance(installation.blamed(UserError("undefined symbol: in `own.py`")), UserError | None)


def test_a_runtime_is_absent_with_its_reason() -> None:
    row, here = RUNTIMES["onnxruntime"], f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert row.absent() is None
    missing = replace(row, loader="api:not_there.at_all", packages=("not-there",)).absent()
    assert missing
    assert (missing.message, missing.help) == ("not-there is not installed", "pip install not-there")
    old = replace(row, loader="not_there", packages=("not-there",), last_python=(3, 8)).absent()
    assert old
    assert old.message == f"not-there has no wheel for Python {here} on {sys.platform}"
    assert old.help == "it needs Linux and Python 3.8 or older; `runtime: onnxruntime` runs the same files"
    numpy = replace(row, last_numpy=0).absent()
    assert numpy
    installed = machine.versions(["onnxruntime", "numpy"])
    assert numpy.message == (
        f"onnxruntime {installed['onnxruntime']} needs numpy 0, and {installed['numpy']} is installed"
    )
    assert numpy.help == "pip install 'numpy<1', or pip uninstall onnxruntime"
