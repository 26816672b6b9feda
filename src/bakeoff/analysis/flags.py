"""The flags: what each says, how it limits the verdict, what to do about it.

The severity decides what the verdict may say: `withholds` forbids statements made from search
scores, `provisional` weakens "is better" for the arms concerned, `blocks` forbids the claim, `note`
is printed beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bakeoff.records import Flag, Severity


@dataclass(frozen=True)
class FlagText:
    """What a flag always says."""

    title: str
    severity: Severity
    advice: str


FLAG_TEXTS: Mapping[str, FlagText] = {
    "W01": FlagText(
        "One sampler proposed for all arms",
        "withholds",
        "Run a study in which every arm has its own sampler and as many trials.",
    ),
    "W02": FlagText(
        "Pruned trials",
        "withholds",
        "Read search scores as observed only; for curves and probabilities search at random "
        'with pruner = "none". The confirmed verdict is not affected.',
    ),
    "W03": FlagText(
        "Pruning that may cut good runs",
        "withholds",
        "Prune at fractions of the schedule, after warm-up: slow starters are cut otherwise.",
    ),
    "W04": FlagText(
        "Unequal budgets",
        "provisional",
        "Give every arm as many trials and epochs as the others, then report again.",
    ),
    "W05": FlagText(
        "No confirmation runs",
        "blocks",
        "Run the configurations found again on fresh seeds, one list of them for all arms.",
    ),
    "W06": FlagText(
        "The test set was read before confirmation",
        "blocks",
        "Repeat the study with a test set that no search or shortlist run has seen.",
    ),
    "W07": FlagText(
        "Seeds are not paired or not fresh",
        "note",
        "Confirm all arms on one list of seeds, none of them a seed of the search.",
    ),
    "W08": FlagText(
        "Too few confirmation runs",
        "blocks",
        'Add confirmation seeds; seeds = "auto" is the smallest number that can decide.',
    ),
    "W09": FlagText(
        "Many runs failed",
        "provisional",
        "Mend the cause and continue the study, so that these runs are repeated.",
    ),
    "W10": FlagText(
        "Chosen value at the edge of its range",
        "provisional",
        "Widen the range there and search that arm again in full.",
    ),
    "W11": FlagText(
        "An arm lost to its own special case",
        "provisional",
        "Give the more general arm a larger budget or a better range: it is under-tuned.",
    ),
    "W12": FlagText(
        "Runs planned for different numbers of epochs",
        "provisional",
        "Compare only runs planned for equally many epochs.",
    ),
    "W13": FlagText(
        "Best-epoch scores over different numbers of evaluations",
        "provisional",
        "Evaluate all arms equally often, or score the last epoch.",
    ),
    "W14": FlagText(
        "Seconds cannot be compared",
        "note",
        "Compare epochs, or repeat the runs on one idle machine.",
    ),
    "W15": FlagText(
        "Settings changed after results were seen",
        "note",
        "Adding until a difference shows makes p values too small: take them as optimistic, or"
        " repeat the study under a new name with all seeds and trials from the start.",
    ),
}


def flags_on(flags: Iterable[Flag], severity: Severity, arms: Iterable[str]) -> list[Flag]:
    """Flags of a severity that concern one of `arms`, or all arms."""
    names = set(arms)
    return [
        flag
        for flag in flags
        if flag.severity == severity and (not flag.arms or names & set(flag.arms))
    ]


def raise_flag(
    name: str, detail: str, arms: Iterable[str] = (), *, severity: Severity | None = None
) -> Flag:
    """The flag `name` with what was seen, and the arms it concerns (none means all)."""
    text = FLAG_TEXTS[name]
    return Flag(
        id=name,
        title=text.title,
        detail=detail,
        advice=text.advice,
        severity=severity or text.severity,
        arms=tuple(arms),
    )
