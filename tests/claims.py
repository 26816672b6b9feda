"""Words that a report may not use unless it has shown what they say."""

import re
from collections.abc import Iterator

from bakeoff.records import Comparison

BANNED = {
    "significance without its test": r"significan",
    "proof": r"\bprove",
    "equality without a test": r"\b(equivalent|same)\b",
    "a winner without scope": r"best optimizer",
    "a denial of difference": r"no difference(?!( in epochs)? was shown)",
    "speed without a clock": r"\bfaster\b",
    "robustness": r"\brobust",
    "convergence": r"\bconverge",
}
"""What no sentence of a verdict says."""

CLAIMS = re.compile(
    r"\b(beats|is under-tuned|leads? on test|ranks? above"
    r"|is ahead of|a difference( in epochs)? was shown between)\b",
    re.IGNORECASE,
)
"""What is said only of arms between which a difference was shown."""

EQUALITY = re.compile(r"\bare equal to within\b", re.IGNORECASE)
"""What is said only of arms that a test found equal."""


def sentences_of(comparison: Comparison) -> Iterator[str]:
    """Every sentence that a comparison was put into: verdict, pairs, search, hints, flags."""
    verdict = comparison.verdict
    yield from (verdict.headline, *verdict.sentences, *verdict.tie_breakers)
    yield from (pair.sentence for pair in comparison.pairs)
    yield from comparison.effort
    for flag in comparison.flags:
        yield f"{flag.title}. {flag.detail} {flag.advice}"


def banned_in(text: str) -> list[str]:
    """The names of the banned words in a text."""
    return [name for name, pattern in BANNED.items() if re.search(pattern, text, re.IGNORECASE)]
