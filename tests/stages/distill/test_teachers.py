"""Teachers' answers: kept without a change, told apart by all that shapes them, of any kind of file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.stage import Artifact, Context
from edgepress.stages.distill.teachers import teacher_logits
from edgepress.stages.distill.weighing import weighed
from edgepress.training import Examples, Rows, Schedule, logits

from tests.conftest import fresh


def test_kept_answers_are_the_live_ones_bit_for_bit_and_in_order(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    artifact, schedule = fresh(tiny, few, tmp_path / "t"), Schedule(shift=1)
    (kept,) = teacher_logits([artifact], schedule, 3, 5, context(few))
    (again,) = teacher_logits([artifact], schedule, 3, 5, context(few))
    pixels = Examples(few, "train", 5, flip=True, shift=1)
    teacher, _ = checkpoint.load(artifact.path)
    for view in range(3):
        live = torch.from_numpy(logits(teacher, pixels, view))
        assert torch.equal(kept[view], live)
        assert torch.equal(kept[view], again[view])
    assert not torch.equal(kept[0], kept[1]), "each view is another picture"
    with torch.inference_mode():
        alone = teacher(*pixels.batch(Rows(torch.tensor([17]), 2)))
    torch.testing.assert_close(kept[2][17], alone[0], atol=1e-4, rtol=1e-4)


def test_several_teachers_answer_with_their_mean_probability(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    artifacts = [fresh(tiny, few, tmp_path / str(seed), seed) for seed in range(3)]
    each = [of[0] for of in teacher_logits(artifacts, Schedule(flip=False, shift=0), 1, 0, context(few))]
    found = weighed(each, torch.full((3,), 1 / 3), "single-label")
    pixels = Examples(few, "train", 0)
    mean = torch.stack(
        [torch.from_numpy(logits(checkpoint.load(a.path)[0], pixels)).softmax(1) for a in artifacts]
    ).mean(0)
    torch.testing.assert_close(found.exp(), mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(found)))


@pytest.mark.parametrize("change", ["teacher", "seed", "shift", "flip", "views", "data"])
def test_the_key_covers_all_that_shapes_an_answer(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context], change: str
) -> None:
    keys: list[dict[str, object]] = []

    def asked(network_seed: int, schedule: Schedule, views: int, seed: int, data: Dataset) -> dict[str, object]:
        given = context(data)

        def derive(key: dict[str, object], make: Callable[[Path], None]) -> Path:
            keys.append(key)
            return given.derive(key, make)

        changed = Context(**{**vars(given), "derive": derive})
        teacher_logits([fresh(tiny, few, tmp_path / str(network_seed), network_seed)], schedule, views, seed, changed)
        return keys[-1]

    before = asked(0, Schedule(), 1, 0, few)
    after = asked(
        int(change == "teacher"),
        Schedule(shift=1 if change == "shift" else 2, flip=change != "flip"),
        2 if change == "views" else 1,
        int(change == "seed"),
        few.limited(50) if change == "data" else few,
    )
    assert before != after
    assert asked(0, Schedule(epochs=3, lr=1.0, batch=7), 1, 0, few) == before, (
        "how the student learns is not its matter"
    )


@pytest.mark.parametrize("wrong", [[0], [1, 0], [0, 1]], ids=["alone", "second", "first"])
def test_a_teacher_of_other_classes_is_told(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context], wrong: list[int]
) -> None:
    """Not first in the list as much as first."""
    other = replace(few, name="seven", labels=tuple("abcdefg"))
    artifacts = [fresh(tiny, other if k == 0 else few, tmp_path / str(k)) for k in wrong]
    with pytest.raises(UserError, match="7 classes, the data has 10"):
        teacher_logits(artifacts, Schedule(), 1, 0, context(few))


def test_answers_that_were_put_in_place_of_others_are_refused(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    """A cache whose key lies: the file itself knows what it answers."""
    given = context(few)
    first = fresh(tiny, few, tmp_path / "one", 1)
    made: list[Path] = []

    def derive(key: dict[str, object], make: Callable[[Path], None]) -> Path:
        made.append(given.derive(key, make))
        return made[0]

    lying = Context(**{**vars(given), "derive": derive})
    teacher_logits([first], Schedule(), 1, 0, lying)
    with pytest.raises(UserError, match="for other examples"):
        teacher_logits([fresh(tiny, few, tmp_path / "two", 2)], Schedule(), 1, 0, lying)


@pytest.mark.parametrize(
    ("embed", "raw"),
    [([], False), (["normalize", "softmax"], True), (["normalize"], False)],
    ids=["plain", "all embedded", "pixels as floats"],
)
def test_a_teacher_may_be_an_onnx_file(
    tiny: Network,
    few: Dataset,
    tmp_path: Path,
    context: Callable[..., Context],
    embed: list[str],
    raw: bool,
) -> None:
    torch_one = fresh(tiny, few, tmp_path / "t", 1)
    (tmp_path / "o").mkdir()
    export.export(checkpoint.load(torch_one.path)[0], few, tmp_path / "o" / "model.onnx", embed=embed, raw=raw)
    schedule = Schedule(shift=1)
    ((there,),), ((here,),) = (
        teacher_logits([each], schedule, 1, 0, context(few)) for each in (torch_one, Artifact("onnx", tmp_path / "o"))
    )
    torch.testing.assert_close(here.softmax(1), there.softmax(1), atol=1e-3, rtol=1e-2)


def test_an_onnx_teacher_of_the_same_classes_in_another_order_is_refused(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    turned = replace(few, labels=tuple(reversed(few.labels)))
    export.export(checkpoint.load(fresh(tiny, few, tmp_path / "t").path)[0], turned, tmp_path / "model.onnx")
    with pytest.raises(UserError, match="class names or their order differ"):
        teacher_logits([Artifact("onnx", tmp_path)], Schedule(), 1, 0, context(few))


def test_examples_without_labels_are_asked_about_too(
    tiny: Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    more = replace(few, unlabelled=few["validation"].x[:20])
    teacher = fresh(tiny, few, tmp_path / "t")
    ((found,),) = teacher_logits([teacher], Schedule(flip=False, shift=0), 1, 0, context(more), unlabelled=True)
    assert len(found) == len(few["train"].y) + 20
    expected = logits(checkpoint.load(teacher.path)[0], Examples(few, "validation", 0))[:20]
    torch.testing.assert_close(found[-20:], torch.from_numpy(expected), atol=1e-4, rtol=1e-4)
