"""`recommend`: synthetic likes of users for items, drawn from a latent-factor model.

2,000 users rate 1,000 items about 50 times each. Every user and item has a place in a space of `RANK` tastes; what a
user thinks of an item is the product of the two, the item's quality, the user's mildness and noise. Popular items
and those that suit the user are rated more often than others, as in logs of real services, and activity is
log-normal. The public sets of ratings forbid to pass them on. Knowing the tastes, one would be right for 84% of the
ratings; the noise hides the rest.
"""

from __future__ import annotations

import numpy as np

from .dataset import Dataset, Input, Split

USERS, ITEMS, RANK = 2_000, 1_000, 4
RATINGS = 50
"""Mean number of ratings of a user."""
LABELS = ("dislike", "like")
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}

ROW = np.dtype([("user", np.int64, (1,)), ("item", np.int64, (1,))])


def read() -> Dataset:
    x, like, _ = generate()
    cuts = np.cumsum([int(len(x) * share) for share in SHARES.values()][:-1])
    parts = zip(SHARES, np.split(x, cuts), np.split(like.astype(np.int64), cuts), strict=True)
    inputs = (Input("user", "tokens", (1,), vocabulary=USERS), Input("item", "tokens", (1,), vocabulary=ITEMS))
    return Dataset(
        "recommend", LABELS, {name: Split(*part) for name, *part in parts}, inputs, source="synthetic, seed 0"
    )


def generate() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw rows (n,) in random order, each pair once; whether the user likes the item; and whether that is expected."""
    random = np.random.default_rng(0)
    users, items = random.standard_normal((USERS, RANK)), random.standard_normal((ITEMS, RANK))
    suits = users @ items.T / np.sqrt(RANK)
    opinion = 1.5 * suits + 0.5 * random.standard_normal(ITEMS) + 0.4 * random.standard_normal((USERS, 1))
    popularity = -0.8 * np.log(random.permutation(ITEMS) + 10)
    # The highest of Gumbel noise + log weight is a draw without replacement by that weight (Kool et al., 2019).
    keys = popularity + 0.5 * suits + random.gumbel(size=(USERS, ITEMS))
    counts = np.clip(random.lognormal(np.log(RATINGS) - 0.18, 0.6, USERS), 10, ITEMS / 2).astype(int)
    seen = keys.argsort(1).argsort(1) >= ITEMS - counts[:, None]
    user, item = np.nonzero(seen)
    x = np.zeros(len(user), ROW)
    x["user"][:, 0], x["item"][:, 0] = user, item
    expected = opinion[seen] > np.median(opinion[seen])
    score = opinion[seen] - np.median(opinion[seen]) + 0.8 * random.standard_normal(len(x))
    order = random.permutation(len(x))
    return x[order], score[order] > 0, expected[order]
