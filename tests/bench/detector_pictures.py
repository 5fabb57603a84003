"""Draw what foreign detectors look for: letters on a picture, pages of a document, simple shapes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.bench.foreign_examples import words
from tests.tasks import tiny_yolo

LETTERS = "ABCDEFGHKLMNPRSTUVXYZ"


def captcha(random: np.random.Generator) -> Image.Image:
    """Four to six turned letters in colours of their own, apart from each other, on uneven ground."""
    side = 416
    ground = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((side, side), 3)
    taken: list[tuple[int, int]] = []
    for _ in range(int(random.integers(4, 7))):
        for _ in range(50):
            x, y = (int(value) for value in random.integers(10, side - 90, 2))
            if all(abs(x - a) > 85 or abs(y - b) > 85 for a, b in taken):
                break
        taken.append((x, y))
        glyph = Image.new("L", (80, 80))
        font = ImageFont.load_default(int(random.integers(50, 70)))
        ImageDraw.Draw(glyph).text((40, 40), str(random.choice(list(LETTERS))), 255, font, anchor="mm")
        turned = glyph.rotate(float(random.uniform(-40, 40)))
        ink = tuple(int(value) for value in random.choice([random.integers(0, 70, 3), random.integers(190, 256, 3)]))
        ground.paste(Image.new("RGB", (80, 80), ink), (x, y), turned)
    return ground


def page(random: np.random.Generator) -> Image.Image:
    """A page of two columns or one: titles, paragraphs, a table and a figure with captions, in a random order."""
    paper = Image.new("RGB", (608, 800), "white")
    draw, frequent = ImageDraw.Draw(paper), words()
    columns = int(random.integers(1, 3))
    width = (608 - 80 - 24 * (columns - 1)) // columns
    for column in range(columns):
        left, top = 40 + column * (width + 24), 40
        while top < 700:
            kind = str(random.choice(["title", "text", "text", "table", "figure"]))
            high = int(random.integers(60, 170))
            if kind == "title":
                high = 22
                draw.text((left, top), " ".join(random.choice(frequent, 3)), "black", ImageFont.load_default(19))
            elif kind == "text":
                _paragraph(draw, (left, top, left + width, top + high), frequent, random)
            elif kind == "table":
                _table(draw, (left, top, left + width, top + high), frequent, random)
            else:
                cells = random.integers(0, 256, (5, 8, 3), dtype=np.uint8)
                paper.paste(Image.fromarray(cells).resize((width - 20, high - 20), 3), (left + 10, top))
                caption = f"Figure {int(random.integers(1, 9))}. " + " ".join(random.choice(frequent, 3))
                draw.text(
                    (left + width // 2, top + high - 14), caption, "black", ImageFont.load_default(10), anchor="ma"
                )
            top += high + int(random.integers(14, 30))
    return paper


def shapes(random: np.random.Generator) -> Image.Image:
    """Circles and squares of 96 pixels, as the YOLO of the tests was trained on."""
    x, _ = tiny_yolo.scenes(1, 96, int(random.integers(1_000_000)))
    return Image.fromarray(x[0].transpose(1, 2, 0))


def _paragraph(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], frequent: list[str], random: np.random.Generator
) -> None:
    left, top, right, bottom = box
    font = ImageFont.load_default(11)
    for y in range(top, bottom - 10, 14):
        line = ""
        while draw.textlength(line, font) < right - left - 45:
            line += f"{random.choice(frequent)} "
        draw.text((left, y), line, "black", font)


def _table(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], frequent: list[str], random: np.random.Generator
) -> None:
    left, top, right, bottom = box
    count = int(random.integers(3, 5))
    for y in range(top, bottom, 20):
        draw.line((left, y, right, y), "black")
        for number in range(count * (y + 20 < bottom)):
            x = left + number * (right - left) // count + 5
            draw.text((x, y + 4), str(random.choice(frequent)), "black", ImageFont.load_default(10))
    last = top + (bottom - 1 - top) // 20 * 20
    for number in range(count + 1):
        draw.line((x := left + number * (right - left) // count, top, x, last), "black")
