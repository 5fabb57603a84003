"""Draw what foreign ONNX files are fed: lines of text, voices, files, and features of sounds."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import numpy as np
from edgepress.data.text import VOCABULARY
from PIL import Image, ImageDraw, ImageFont

PADDING = 256
"""Magika's token for no byte."""


def line(words: list[str], random: np.random.Generator) -> Image.Image:
    """Some words in a colour and size of their own on uneven, noisy paper."""
    size = int(random.integers(14, 40))
    font = ImageFont.load_default(size)
    text = " ".join(random.choice(words, int(random.integers(3, 6))))
    left, top, right, bottom = font.getbbox(text)
    margin = random.integers(1, size // 3 + 2, 4)
    high = int(bottom - top + margin[0] + margin[1])
    wide = max(int(right - left + margin[2] + margin[3]), 4 * high)
    paper = random.uniform(0, 255, 3)
    ink = (paper + random.uniform(90, 165, 3)) % 256
    light = Image.fromarray(random.integers(0, 256, (3, 6), dtype=np.uint8)).resize((wide, high), 3)
    ground = paper + 0.15 * (np.asarray(light, np.float32)[..., None] - 128)
    page = Image.new("L", (wide, high))
    ImageDraw.Draw(page).text((int(margin[2]) - left, int(margin[0]) - top), text, 255, font)
    cover = np.asarray(page, np.float32)[..., None] / 255
    drawn = cover * ink + (1 - cover) * ground + random.normal(0, 6, (high, wide, 3))
    return Image.fromarray(np.clip(np.round(drawn), 0, 255).astype(np.uint8))


def voice(length: int, random: np.random.Generator, rate: int = 16000) -> np.ndarray:
    """A window of a vowel, three formants over a buzz (Klatt, 1980), louder or softer in noise; or of noise alone."""
    time = np.arange(length) / rate
    pitch = random.uniform(90, 250)
    sound = np.zeros(length)
    for formant, width in zip(random.uniform([300, 900, 2200], [900, 2200, 3200]), (90, 110, 170), strict=True):
        for harmonic in np.arange(pitch, 4000, pitch):
            sound += np.sin(2 * np.pi * harmonic * time) / (1 + ((harmonic - formant) / width) ** 2)
    sound *= random.uniform(0, 0.5) / np.abs(sound).max() * random.integers(0, 2)
    found: np.ndarray = (sound + random.normal(0, random.uniform(0.001, 0.05), length)).astype(np.float32)
    return found


def words() -> list[str]:
    """What people write about: the frequent words of dictionary definitions, some of them with a capital."""
    words = [each for each in json.loads(VOCABULARY.read_text("utf-8"))["words"] if 3 <= len(each) <= 9]
    return [each.capitalize() if number % 3 == 0 else each for number, each in enumerate(words)]


def files(length: int, count: int) -> np.ndarray:
    """Of files of Python's own library the first and the last bytes, half of `length` each, as Magika takes them."""
    half, rows = length // 2, []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*")):
        if path.is_file() and "site-packages" not in path.parts and path.stat().st_size > 8:
            rows.append(path)
    chosen = [rows[place] for place in np.linspace(0, len(rows) - 1, count).astype(int)]
    return np.stack([_ends(path.read_bytes(), half) for path in chosen])


def _ends(data: bytes, half: int) -> np.ndarray:
    first, last = data[:4096].lstrip()[:half], data[-4096:].rstrip()[-half:]
    row = np.full(2 * half, PADDING, np.int64)
    row[: len(first)] = list(first)
    row[2 * half - len(last) :] = list(last)
    return row


def features(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Standardized numbers that change slowly along both axes, as stacked frames of a spectrogram do."""
    coarse = random.normal(size=tuple(max(side // 8, 1) for side in shape))
    smooth = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC))
    found: np.ndarray = smooth + random.normal(0, 0.3, shape).astype(np.float32)
    return found
