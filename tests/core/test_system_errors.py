"""What the system lacks is said as that, whichever library met it."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from edgepress.core import system_errors
from edgepress.core.errors import OwnCodeError, Place, Problem, UserError
from edgepress.core.paths import Destination, replacing, require_writable, scratch


@pytest.mark.parametrize(
    "code",
    [
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR,
        errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT, errno.EIO, errno.ETXTBSY, errno.ESTALE, errno.EMFILE,
    ],
)  # fmt: skip
def test_every_error_of_a_path_has_the_systems_words_the_path_and_a_next_act(code: int) -> None:
    fault = system_errors.of(OSError(code, os.strerror(code), "there.onnx"))
    assert fault
    assert "`there.onnx`" in str(fault)
    assert os.strerror(code) in str(fault)
    assert fault.problems[0].help


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory ran out"),
        (np.exceptions.AxisError("no"), None),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B"), "9 B"),
        (RuntimeError("std::bad_alloc"), "memory ran out"),
        (RuntimeError("Failed to allocate memory for requested buffer of size 8"), "size 8"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "libtorch_cpu.so"),
        (ImportError("libgomp.so.1: cannot allocate memory in static TLS block"), "memory ran out"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out"),
        (RuntimeError("can't start new thread"), "no thread can be started"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no process can be started"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "TMPDIR"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"), "No space left"),
        (OSError("3590 requested and 992 written"), "No space left"),
        (Exception('IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'), "No sp"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (KeyError("defect"), None),
        (OSError(errno.EBADF, "Bad file descriptor"), None),
    ],
)  # fmt: skip
def test_a_librarys_words_are_recognized_and_a_defect_stays_one(error: Exception, words: str | None) -> None:
    fault = system_errors.of(error)
    assert words in str(fault) if words else fault is None


def test_a_process_that_is_lost_is_no_defect_of_the_one_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [::1]:9")
    assert system_errors.of(error) is None, "one process has no other"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "another of the 2 processes cannot be reached any more: [/pytorch" in str(system_errors.of(error))


def test_a_file_that_is_blamed_for_a_full_disk_is_not_and_the_place_stays() -> None:
    place = Place(Path("r.yaml"), 4, 11, source="  - {use: load, name: float}")
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "tmp/x")
        except OSError as error:
            raise UserError(Problem("onnxruntime cannot run `m.onnx`", "mend the graph", place)) from error
    except UserError as error:
        fault = system_errors.of(error)
    assert str(fault).startswith("r.yaml:4:11: `tmp/x` cannot be written: No space left on device")


def test_words_of_its_own_and_errors_of_the_users_code_stay() -> None:
    for error in (
        UserError("`x.npz` needs 9 TB of memory"),
        OwnCodeError("`f` of `a.py` failed: MemoryError", "a.py:1"),
    ):
        error.__cause__ = MemoryError()
        assert system_errors.of(error) is None


def test_a_circle_of_causes_ends() -> None:
    error = KeyError("a")
    error.__cause__ = error
    assert system_errors.of(error) is None


def test_what_writes_a_file_names_it_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, temporary = tmp_path / "report.json", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # also where this repository is in one
    with pytest.raises(UserError, match=r"`.*report\.json` cannot be written: No space left"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(UserError, match=r"TMPDIR"), scratch() as folder:
        raise RuntimeError("unexpected pos 64 vs 0")
    assert not Path(folder).exists()
    path.mkdir()
    with pytest.raises(UserError, match=r"`.*report\.json` cannot be used: Is a directory"), replacing(path):
        pass
    assert sorted(tmp_path.iterdir()) == [path, temporary]


def test_folders_are_tried_before_and_are_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    require_writable(Destination(tmp_path / "a" / "b"), Destination(tmp_path))
    for name, words in {"file": "Not a directory", "loop": "symbolic links", "l" * 256: "name too long"}.items():
        with pytest.raises(UserError, match=words) as caught:
            require_writable(Destination(tmp_path / name / "runs", "choose another folder"))
        assert "choose another folder" in str(caught.value)
    with pytest.raises(UserError) as both:
        require_writable(*(Destination(tmp_path / "file" / name) for name in ("cache", "runs")))
    assert len(both.value.problems) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]


_WRITERS = {
    "torch": "import torch; torch.save(torch.zeros(99999), path)",
    "safetensors": "import torch; from safetensors.torch import save_file; save_file({'a': torch.zeros(99999)}, path)",
    "numpy": "import numpy; numpy.savez(path, a=numpy.zeros(99999))",
    "onnx": "import onnx; onnx.save(onnx.ModelProto(producer_name='x' * 99999), path)",
    "python": "path.write_bytes(bytes(99999))",
}


@pytest.mark.parametrize("library", _WRITERS)
def test_what_libraries_raise_where_a_file_may_not_grow(library: str, tmp_path: Path) -> None:
    """A limit on the size of a file fails a write in the middle, as a full disk does, without a file system for it."""
    code = f"""
import resource, signal
from pathlib import Path
from edgepress.core import system_errors
path = Path("m.bin")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
try:
    with system_errors.naming(path):
        {_WRITERS[library]}
except system_errors.SystemFault as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "cannot be written: " in done.stdout, done.stderr[-800:]
    assert "m.bin" in done.stdout
