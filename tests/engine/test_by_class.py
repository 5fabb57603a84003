"""Recalls and mistakes by class: of examples, of pixels, and of boxes."""

from __future__ import annotations

import numpy as np
from edgepress.core.metrics import VOID
from edgepress.engine.by_class import CONFUSED, of_boxes, of_classes

LABELS = ("cat", "dog", "cow")


def test_examples() -> None:
    y, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 2])
    found = of_classes(predicted, y, LABELS)
    assert found.recalls == {"cat": (1, 3), "dog": (1, 2), "cow": (0, 0)}
    assert found.confused == [("cat", "dog", 2), ("dog", "cow", 1)]


def test_pixels_of_masks_and_void_counts_nowhere() -> None:
    y = np.array([[[0, 0, VOID], [1, 1, VOID]]], np.uint8)
    predicted = np.array([[[0, 1, 2], [1, 1, 0]]], np.uint8)
    found = of_classes(predicted, y, LABELS)
    assert found.recalls == {"cat": (1, 2), "dog": (2, 2), "cow": (0, 0)}
    assert found.confused == [("cat", "dog", 1)]


def test_numbers_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import confusion_matrix

    random = np.random.default_rng(0)
    y, predicted = random.integers(0, 3, (2, 5, 40, 40)).astype(np.uint8)
    matrix = confusion_matrix(y.ravel(), predicted.ravel())
    found = of_classes(predicted, y, LABELS)
    assert found.recalls == {label: (matrix[k, k], matrix[k].sum()) for k, label in enumerate(LABELS)}
    assert {(a, b): many for a, b, many in found.confused} == {
        (LABELS[a], LABELS[b]): matrix[a, b] for a in range(3) for b in range(3) if a != b
    }


def test_a_thousand_classes_are_listed_by_their_most_frequent_mistakes() -> None:
    y = np.repeat(np.arange(1000), 2)
    found = of_classes((y + 1) % 1000, y, tuple(map(str, range(1000))))
    assert len(found.confused) == CONFUSED
    assert all(many == 2 for *_, many in found.confused)


def test_boxes_that_are_found_missed_or_taken_for_another_class() -> None:
    cat, dog, crowd = [0, 0, 10, 10, 0, 1], [20, 20, 40, 40, 1, 1], [50, 50, 60, 60, 2, 0]
    none = [0, 0, 0, 0, -1, 0]
    y = np.array([[cat, dog, crowd], [cat, none, none]], np.float32)
    found = np.array(
        [
            [[1, 1, 10, 10, 0.9, 0], [20, 20, 40, 41, 0.8, 2], [20, 20, 40, 39, 0.7, 0]],
            [[0, 0, 10, 10, 0.2, 0], [0, 0, 4, 4, 0.9, 0], [0, 0, 0, 0, 0, -1]],
        ],
        np.float32,
    )
    counted = of_boxes(found, y, LABELS)
    assert counted.recalls == {"cat": (1, 2), "dog": (0, 1), "cow": (0, 0)}, "a score of 0.2 is shown to nobody"
    assert counted.confused == [("dog", "cow", 1)], "the best of its matches"


def test_pictures_without_boxes_or_detections() -> None:
    none = np.full((2, 3, 6), -1, np.float32)
    assert of_boxes(none, none, LABELS).recalls == dict.fromkeys(LABELS, (0, 0))


def test_boxes_of_a_class_without_a_label_are_taken_for_none() -> None:
    y = np.array([[[0, 0, 10, 10, 0, 1]]], np.float32)
    found = np.array([[[0, 0, 10, 10, 0.9, len(LABELS)], [0, 0, 10, 11, 0.5, 1]]], np.float32)
    assert of_boxes(found[:, :1], y, LABELS) == ({"cat": (0, 1), "dog": (0, 0), "cow": (0, 0)}, [])
    assert of_boxes(found, y, LABELS).confused == [("cat", "dog", 1)]


def test_one_detection_finds_one_box() -> None:
    """The best chooses first, and what is left of both is taken for another class, one to one too."""
    one, other = [0, 0, 10, 10, 0, 1], [0, 1, 10, 11, 0, 1]
    y = np.array([[one, other]], np.float32)
    cat, dog, cow = [0, 0, 10, 10, 0.6, 0], [0, 0, 10, 10, 0.9, 1], [0, 0, 10, 10, 0.5, 2]
    found = np.array([[cat, dog, cow]], np.float32)
    assert of_boxes(found[:, :1], y, LABELS) == ({"cat": (1, 2), "dog": (0, 0), "cow": (0, 0)}, [])
    assert of_boxes(found, y, LABELS) == ({"cat": (1, 2), "dog": (0, 0), "cow": (0, 0)}, [("cat", "dog", 1)])
    twice = np.array([[cat, [0, 1, 10, 11, 0.4, 0]]], np.float32)
    assert of_boxes(twice, y, LABELS).recalls["cat"] == (2, 2)
    assert of_boxes(found[:, 1:2], y, LABELS).confused == [("cat", "dog", 1)]
