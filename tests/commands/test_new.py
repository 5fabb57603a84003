"""`new` writes two files that work, or none and says why."""

from __future__ import annotations

import io
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress import __version__
from edgepress.commands import catalog, templates
from edgepress.config import recipe
from edgepress.core import yamlio
from edgepress.data.source import Source

from tests.conftest import Said, edgepress
from tests.data.made import photo

WISHES = {"data": "fashion-mnist-10k", "target": "raspberry-pi-4", "latency": "20 ms", "size": "2 MB"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(name: str = "my-thing", *more: str, **changes: str) -> Said:
    options = [part for option, value in {**WISHES, **changes}.items() for part in (f"--{option}", value)]
    return edgepress("new", name, *options, *more)


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_two_files_that_are_valid(here: Path) -> None:
    said = make()
    assert (said.code, said.err) == (0, "")
    assert (
        said.out
        == """\
wrote my-thing.yaml
wrote .github/workflows/edgepress-my-thing.yml
next: edgepress run my-thing.yaml
"""
    )
    assert edgepress("validate", "my-thing.yaml").out == "1 file valid\n"
    found = recipe.load(Path("my-thing.yaml"))
    assert (found.name, found.task.data) == ("my-thing", "fashion-mnist-10k")
    (board,) = found.load_targets()
    assert board.name == "raspberry-pi-4"
    assert board.file == catalog.find("raspberry-pi-4", "targets"), "no copied profile"
    assert board.budgets.latency
    assert board.budgets.size
    assert (board.budgets.latency.limit, board.budgets.size.limit) == (0.02, 2e6)
    assert board.budgets.memory, "what was not asked for stays"


def test_comments_and_stages_stay(here: Path) -> None:
    make(recipe="resnet")
    diff = edgepress("diff", "my-thing.yaml").out.splitlines()
    assert [line for line in diff if line[0] in "+-"][2:] == [
        "-targets: [{use: host, budgets: {size: 200 kB}}] # the teacher is larger",
        "+targets: [{use: raspberry-pi-4, budgets: {latency: 20 ms, size: 2 MB}}]",
    ]


@pytest.mark.parametrize("folder", [".", "ml/a b", "../beside"])
@pytest.mark.parametrize("repository", [False, True])
def test_the_job_runs_the_recipe_from_the_top_of_the_repository(
    folder: str, repository: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = here / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    if repository:
        (work if folder != "../beside" else here).joinpath(".git").mkdir()
    said = make("my-thing", "--folder", folder)
    assert said.code == 0, said
    (job,) = here.rglob("edgepress-my-thing.yml")
    found: dict[str, Any] = yamlio.read(job).data
    assert found["on"] == ["pull_request"]
    *_, install, run = found["jobs"]["compress"]["steps"]
    done = subprocess.run(["sh", "-ec", install["run"]], capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the public index may have a stranger's package of that name"
    assert done.stdout.startswith("::error::write here where edgepress is installed from, pinned, such as: pip install")
    assert f"@v{__version__}'" in done.stdout
    program, verb, path, *options = shlex.split(run["run"])
    assert options[::2] == ["--format"] * 3
    assert (program, verb) == ("edgepress", "run")
    top = job.parents[2]
    assert (top / path).resolve() == (work / folder / "my-thing.yaml").resolve()
    assert (top / ".git").exists() or not repository
    assert edgepress("validate", top / path).code == 0


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "place",
    [
        "git+https://git.example.com/team/edgepress@v1.2.3",
        f"git+https://git.example.com:8443/team/edgepress.git@{COMMIT}#subdirectory=tools",
        "git+ssh://git@git.example.com/team/edgepress.git@v1.2.3",
        "edgepress[efficientnet] @ git+https://git.example.com/team/edgepress@v1.2.3",
        f"https://files.example.com/edgepress-0.1.0-py3-none-any.whl#sha256={'a' * 64}",
    ],
)
def test_the_job_installs_from_a_pinned_place(place: str, here: Path) -> None:
    said = make("my-thing", "--install", place)
    assert said.code == 0, said
    job: dict[str, Any] = yamlio.read(Path(".github/workflows/edgepress-my-thing.yml")).data
    *_, install, _ = job["jobs"]["compress"]["steps"]
    assert shlex.split(install["run"]) == ["pip", "install", place]


@pytest.mark.parametrize(
    "place",
    [
        "edgepress", "edgepress==0.1.0", "git+https://git.example.com/team/edgepress", ".", "./edgepress.whl",
        "git+https://git.example.com/team/edgepress@", "git+https://git.example.com/team/edgepress@main",
        "git+https://git.example.com/team/edgepress@HEAD", "git+http://git.example.com/team/edgepress@v1.2.3",
        "git+https://token@git.example.com/team/edgepress@v1.2.3", "https://files.example.com/edgepress.whl",
        "git+https://git.example.com/team/edgepress@v1; curl x", "git+https://h/o/r@v1 --index-url https://evil",
        "git+https://git.example.com/${{ secrets.X }}/edgepress@v1", "git+https://git.example.com/o/$(id)@v1",
        "git+https://h/o/r@--upload-pack=x", "git+https://h/o/r@v1\n",
    ],
)  # fmt: skip
def test_a_place_that_is_not_pinned_or_more_than_a_place_is_refused(place: str, here: Path) -> None:
    said = make("my-thing", "--install", place)
    assert said.code == 2, said
    assert "--install: " in said.err
    assert written(here) == []


@pytest.mark.parametrize("name", catalog.files("targets"))
def test_every_profile_and_its_own_budgets(name: str, here: Path) -> None:
    said = make(target=name, latency="0.5x timm/resnet18@28" if name == "host" else "33 ms")
    assert said.code == 0, said
    assert edgepress("validate", "my-thing.yaml").code == 0


def test_a_profile_of_ones_own(here: Path) -> None:
    text = "name: desk\nruntime: onnxruntime\nreach: local\nbudgets:\n  latency: {limit: 1 s, percentile: 90} # slow\n"
    (here / "desk.yaml").write_text(text)
    assert make(target="desk.yaml").code == 0
    assert (
        "{use: ./desk.yaml, budgets: {latency: {limit: 20 ms, percentile: 90}, size: 2 MB}}"
        in (here / "my-thing.yaml").read_text()
    )
    (board,) = recipe.load(Path("my-thing.yaml")).load_targets()
    assert board.budgets.size
    assert board.budgets.latency
    assert (board.budgets.size.limit, board.budgets.latency.limit, board.budgets.latency.percentile) == (2e6, 0.02, 90)


def test_all_that_is_wrong_at_once_and_nothing_is_written(here: Path) -> None:
    said = make(data="fashion-mnst", latency="20", size="2 mb")
    assert said.code == 2
    assert (
        said.err
        == """\
--data:1:1: `data`: there is no such data set, got `fashion-mnst`
   1 | fashion-mnst
     | ^^^^^^^^^^^^
     = help: did you mean `fashion-mnist`?

--latency:1:1: `latency`: a number needs a unit here, got `20`
   1 | 20
     | ^^
     = help: for example `40 ms`; the units are us, ms, s, min

--size:1:1: `size`: `mb` is not a unit that fits here, got `2 mb`
   1 | 2 mb
     | ^^^^
     = help: did you mean `2 MB`?
"""
    )
    assert written(here) == []


@pytest.mark.parametrize(
    ("name", "changes", "shown"),
    [
        ("a/b", {}, "cannot be a name"),
        ("../x", {}, "cannot be a name"),
        ("x" * 100, {}, "cannot be a name"),
        ("x", {"target": "raspbery-pi-4"}, "did you mean `raspberry-pi-4`?"),
        ("x", {"target": "no.yaml"}, "there is no file `no.yaml`"),
        ("x", {"recipe": "resnt"}, "did you mean `resnet`?"),
        ("x", {"recipe": "host"}, "there is no recipe `host`"),
        ("x", {"latency": "0.5x timm/resnet18@28"}, "has to be measured"),
        ("x", {"size": "["}, "--size:1:"),
        ("x", {"data": "[a]"}, "--data:1:1: "),
    ],
)
def test_what_is_wrong(name: str, changes: dict[str, str], shown: str, here: Path) -> None:
    said = make(name, **changes)
    assert said.code == 2, said
    assert shown in said.err
    assert "my-thing" not in said.err
    assert written(here) == []


@pytest.mark.parametrize("there", ["my-thing.yaml", ".github/workflows/edgepress-my-thing.yml"])
def test_nothing_is_overwritten(there: str, here: Path) -> None:
    (here / there).parent.mkdir(parents=True, exist_ok=True)
    (here / there).write_text("precious")
    said = make()
    assert said.code == 2
    assert f"`{there}` is there already" in said.err
    assert written(here) == [there]
    assert (here / there).read_text() == "precious"


def test_without_a_terminal_nobody_is_asked(here: Path) -> None:
    said = edgepress("new", "--data", "digits")
    assert said.code == 2
    assert "missing: a NAME, `--target`, `--latency`, `--size`" in said.err
    assert said.out == ""


def test_at_a_terminal_what_is_missing_is_asked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("asked\nandroid-pixel\n\n1 MB\n"))
    said = edgepress("new", "--data", "digits", "--recipe", "resnet")
    assert said.code == 0, said
    (board,) = recipe.load(Path("asked.yaml")).load_targets()
    assert board.budgets.latency
    assert board.budgets.size
    assert (board.budgets.latency.limit, board.budgets.size.limit) == (0.016, 1e6), "the profile's own by default"
    assert "Target (android-midrange, " in said.out
    assert "Latency at most [16 ms]" in said.out
    assert "Where CI installs edgepress from, such as git+https://HOST/OWNER/edgepress@v" in said.out


@pytest.mark.parametrize(("sides", "size"), [((96,), 96), ((300, 640, 200, 260), 224), ((17,), 32)])
def test_photos_are_read_at_a_size_that_fits_them(sides: tuple[int, ...], size: int, here: Path) -> None:
    for number, side in enumerate(sides):
        photo(here / f"photos/cat/{number}.png", (side + 40, side))
    photo(here / "photos/dog/1.png", (sides[0], sides[0]))
    (here / "photos/dog/2.png").write_text("no picture")
    assert make(data="./photos").code == 0
    found = recipe.load(Path("my-thing.yaml"))
    assert isinstance(found.task.data, Source)
    assert (found.task.data.source, found.task.data.size, found.task.data.color) == ("./photos", size, "rgb")
    assert found.task.data.normalize is not None, "what the published weights expect"
    text = Path("my-thing.yaml").read_text()
    assert text.count("pretrained: true # from ImageNet, downloaded once; without a network: `pretrained: false`") == 1


def test_a_recipe_of_ones_own_here_is_no_template_unless_named(here: Path) -> None:
    (here / "resnet.yaml").write_text("name: resnet\ntask: {data: digits}\nstages: []\n")
    assert make(data="digits").code == 0
    assert "recipe resnet" in (here / "my-thing.yaml").read_text(), "the shipped one"
    assert make("mine", recipe="resnet").code == 2, "it has no stages"


def test_what_was_written_runs_by_its_name(here: Path) -> None:
    assert make("pets").code == 0
    assert edgepress("plan", "pets").code == 0
    assert edgepress("validate", "pets").out == "1 file valid\n"


def test_data_of_a_mapping_is_as_it_was_said(here: Path) -> None:
    photo(here / "photos/cat/1.png")
    assert make(data="{from: ./photos, color: grey, size: 32}").code == 0
    assert "  data: {from: ./photos, color: grey, size: 32}\n" in Path("my-thing.yaml").read_text()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("fashion-mnist-10k", "mobilenet"),
        ("sensor", "sensor"),
        ("recommend", "recommend"),
        ("text", "text"),
        ("digits", "resnet"),
        ("./photos", "mobilenet-imagefolder"),
        ({"from": "./photos", "size": 96}, "mobilenet-imagefolder"),
        ({"from": "./labels.csv", "image": "path"}, "mobilenet-imagefolder"),
        ("./mine.py:load", "resnet"),
    ],
)
def test_the_recipe_to_start_from_fits_the_data(data: Any, name: str, here: Path) -> None:
    """One that needs no teacher of other data."""
    found = templates.shipped(data, templates.facts(data, here))
    assert found == catalog.paths.folder_of("recipes") / f"{name}.yaml"


@pytest.mark.parametrize(
    ("x", "y", "arch", "metric"),
    [
        (np.zeros((60, 8), np.float32), np.arange(60) % 3, "edgepress/mlp", "accuracy"),
        (np.zeros((60, 8), np.float32), np.linspace(0, 1, 60, dtype=np.float32), "edgepress/mlp", "mae"),
        (np.zeros((60, 3, 50), np.float32), np.arange(60) % 3, "edgepress/conv1d", "accuracy"),
    ],
)
def test_numbers_and_series_get_a_recipe_of_their_own(
    x: np.ndarray, y: np.ndarray, arch: str, metric: str, here: Path
) -> None:
    """No photographs, and no target of another product: it is valid, and the engine has nothing against its data."""
    np.savez(here / "x.npz", x=x + np.random.default_rng(0).random(x.shape, np.float32), y=y)
    said = make(data="./x.npz")
    assert said.code == 0, said
    text = (here / "my-thing.yaml").read_text()
    assert f"arch: {arch}" in text
    assert f"metric: {metric}" in text
    assert "timm" not in text
    assert edgepress("plan", "my-thing").code == 0


def test_an_npz_of_images_is_trained_on_as_images(here: Path) -> None:
    np.savez(
        here / "x.npz", x=np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), np.uint8), y=np.arange(60) % 3
    )
    assert make(data="./x.npz").code == 0
    assert "recipe resnet" in (here / "my-thing.yaml").read_text()


def test_an_npz_that_cannot_be_read_is_said_of_its_option(here: Path) -> None:
    np.savez(here / "x.npz", a=np.zeros(3))
    said = make(data="./x.npz")
    assert said.code == 2
    assert said.err.startswith("--data:1:1: ")
