from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from edgepress.core.errors import Mistake
from edgepress.core.units import (
    Bytes,
    Factor,
    Latency,
    Points,
    Relative,
    Seconds,
    Share,
    like,
    show_bytes,
    show_count,
    show_seconds,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError


def parse(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


def parse_plain(value: Any) -> float:
    try:
        return float(parse(Seconds, value))
    except ValidationError as error:
        raise error.errors()[0]["ctx"]["error"] from None


def mistake(kind: Any, value: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        parse(kind, value)
    error = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(error, Mistake)
    return error.message, error.help


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (Seconds, "40 ms", 0.040),
        (Seconds, "40ms", 0.040),
        (Seconds, " 1.5 s ", 1.5),
        (Seconds, "250 us", 0.00025),
        (Seconds, "10 min", 600),
        (Bytes, "5 MB", 5e6),
        (Bytes, "512 KiB", 2**19),
        (Bytes, "17 B", 17),
        (Share, "30%", 0.3),
        (Share, ".5 %", 0.005),
        (Points, "1.5 points", 1.5),
        (Points, "1 point", 1),
        (Latency, "2 ms", 0.002),
        (Latency, "0.5x timm/mobilenetv2_100@224", Relative(0.5, "timm/mobilenetv2_100@224")),
        (Factor, "x2", 2),
    ],
)
def test_quantities_come_in_base_units(kind: Any, written: str, value: Any) -> None:
    assert parse(kind, written) == (value if isinstance(value, Relative) else pytest.approx(value))


@pytest.mark.parametrize(
    ("kind", "value", "message", "help"),
    [
        (Seconds, 40, "a number needs a unit here", "for example `40 ms`; the units are us, ms, s, min"),
        (Share, 0.3, "a number needs a unit here", "for example `30%`"),
        (Share, "30", "a number needs a unit here", "for example `30%`"),
        (Bytes, "5 mb", "`mb` is not a unit that fits here", "did you mean `5 MB`?"),
        (Bytes, "5kb", "`kb` is not a unit that fits here", "did you mean `5kB`?"),
        (Seconds, "40 msec", "`msec` is not a unit that fits here", "did you mean `40 ms`?"),
        (Seconds, "5 sec", "`sec` is not a unit that fits here", "did you mean `5 s`?"),
        (Points, "5 pionts", "`pionts` is not a unit that fits here", "did you mean `5 points`?"),
        (Share, "30 ms", "`ms` is not a unit that fits here", "for example `30%`"),
        (Points, "-1 points", "write a number and its unit", "for example `1.5 points`"),
        (Points, "1,5 points", "write a number and its unit", "for example `1.5 points`"),
        (Seconds, "ms", "write a number and its unit", "for example `40 ms`; the units are us, ms, s, min"),
        (Seconds, "", "write a number and its unit", "for example `40 ms`; the units are us, ms, s, min"),
        (Seconds, None, "write a number and its unit", "for example `40 ms`; the units are us, ms, s, min"),
        (Bytes, "9" * 400 + " GB", "this number is too large", ""),
    ],
)
def test_what_is_no_quantity_says_what_to_write(kind: Any, value: Any, message: str, help: str) -> None:
    assert mistake(kind, value) == (message, help)


@pytest.mark.parametrize("kind", [Seconds, Bytes, Share, Points])
@pytest.mark.parametrize("value", ["40 ms", "5MB", "30%", "1.5 points", "1. s", ".5 s", "5 mb", "5", "x", "1e3 ms"])
def test_the_schema_accepts_what_the_parser_does(kind: Any, value: str) -> None:
    try:
        parse(kind, value)
        parsed = True
    except ValidationError:
        parsed = False
    assert bool(re.search(TypeAdapter(kind).json_schema()["pattern"], value)) == parsed


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_mistake(text: str) -> None:
    with suppress(Mistake):
        assert parse_plain(text) >= 0


def test_like_writes_a_value_in_the_unit_of_another() -> None:
    assert like(0.5, "30%") == "50%"
    assert like(0.04, "1 ms") == "40 ms"
    assert like(2e6, "512 KiB") == "1953.12 KiB"
    assert like(3, "text") == "3"


@pytest.mark.parametrize(
    ("value", "text"), [(0.00021, "0.210 ms"), (0.0461, "46.1 ms"), (0.2, "200 ms"), (1.5, "1.5 s"), (600, "600 s")]
)
def test_show_seconds(value: float, text: str) -> None:
    assert show_seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(17, "17 B"), (1500, "1.5 kB"), (612345, "0.61 MB"), (2e6, "2.00 MB"), (3.2e9, "3.20 GB")]
)
def test_show_bytes(value: float, text: str) -> None:
    assert show_bytes(value) == text


@pytest.mark.parametrize(("value", "text"), [(12, "12"), (687000, "687 k"), (2.23e6, "2.23 M"), (1.8e9, "1.8 G")])
def test_show_count(value: float, text: str) -> None:
    assert show_count(value) == text
