"""Writes flats.csv: a made-up table whose texts matter in ways that their order does not tell.

The rent is a price per square metre of the district times the size, plus 15 % of noise. The costs
follow from the heating and the size.
"""

from pathlib import Path

import numpy as np

NUM_FLATS = 800
DISTRICTS = [f"district {number:02}" for number in range(1, 17)]
HEATINGS = {"gas": 1.6, "electric": 2.9, "district": 1.2, "wood": 0.9}
"""Cost of each per square metre and month."""


def main() -> None:
    """Write the table next to this file."""
    draws = np.random.default_rng(0)
    prices = dict(zip(DISTRICTS, draws.uniform(7, 22, len(DISTRICTS)), strict=True))
    lines = ["size,floor,district,heating,rent,costs"]
    for _ in range(NUM_FLATS):
        size, floor = draws.uniform(20, 140), draws.integers(0, 6)
        district, heating = draws.choice(DISTRICTS), draws.choice(list(HEATINGS))
        rent = prices[district] * size * (1 + 0.15 * draws.normal())
        costs = (HEATINGS[heating] + 0.05 * floor) * size * (1 + 0.05 * draws.normal())
        lines.append(f"{size:.1f},{floor},{district},{heating},{rent:.0f},{costs:.0f}")
    Path(__file__).with_name("flats.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
