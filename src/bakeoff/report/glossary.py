"""Words that a reader need not know, each with an explanation that is shown where it stands."""

import re
from collections.abc import Iterator

from markupsafe import Markup

from bakeoff.report.figures.style import printable

GLOSSARY: dict[str, str] = {
    "L0": "Level of evidence 0: what was observed in the search; nothing has been confirmed.",
    "L1": "Level of evidence 1: the configuration that one search found for each arm was trained"
    " again on fresh seeds. It speaks of these configurations, not of optimizers in general.",
    "L2": "Level of evidence 2: the search of every arm was repeated, so arms themselves are"
    " compared, each with several searches.",
    "L3": "Level of evidence 3: confirmed configurations were ranked on several workloads, and the"
    " ranks were tested.",
    "K": "The number of confirmation runs of an arm, each with a fresh seed.",
    "CI": "Confidence interval: a range that contains the true value in 95 % of such studies.",
    "SD": "Standard deviation.",
    "SE": "Standard error: the standard deviation of an estimate.",
    "delta": "The smallest difference that matters. Differences within it count as equal.",
    "selection gap": "How much better the chosen configuration scored in the search than on fresh"
    " seeds. The best of many trials owes part of its score to luck.",
    "Holm": "Holm's correction: p values are raised so that the error rate of all pairs together"
    " stays at 5 %.",
    "p": "How often a difference at least this large would appear if there were none.",
    "TOST": "Two one-sided tests, which show that a difference lies within delta.",
    "sign-flip test": "If there were no difference, the sign of each paired difference would be a"
    " coin toss. The test counts how many sign patterns give a mean at least as large.",
    "A wins": "Share of the paired runs in which A was better.",
    "Detectable": "The difference that this many runs would usually show (in 80 % of studies).",
    "Seeds to decide": "Estimated number of seeds at which the observed difference would be shown.",
    "Wilson": "An interval for a share that also holds for small counts.",
    "PED-ANOVA": "A measure of importance: how differently a parameter is distributed among the"
    " best trials.",
    "pruned": "Ended early, because other trials of the arm were better at that epoch.",
    "Pruned": "Ended early, because other trials of the arm were better at that epoch.",
    "diverged": "The loss became infinite or not a number.",
    "Diverged": "The loss became infinite or not a number.",
    "Hypervolume": "Share of the space of all objectives that is worse than the arm's best trials.",
    "Pareto front": "Trials that no other trial beats in every objective.",
    "Regret": "Share of the best trials that pruning would have ended.",
    "Audited": "Exempt from pruning, to see what pruning costs.",
    "LR sensitivity S": "How much score is lost on average when the learning rate is off by up to a"
    " factor of ten.",
    "LR tolerance": "Width of the range of learning rates that come within delta of the best.",
    "Target": "A score that counts as good: how soon it is reached shows speed.",
}
"""Word and explanation. A word counts only where it stands alone."""

_WORDS = re.compile(
    r"(?<![\w-])("
    + "|".join(re.escape(word) for word in sorted(GLOSSARY, key=len, reverse=True))
    + r")(?![\w-])"
)


COMMAND = re.compile(r"`(study [^`|\n]+)`")
"""A command in a sentence."""
_WORDS_AND_COMMANDS = re.compile(f"{COMMAND.pattern}|{_WORDS.pattern}")


def explained(text: object) -> Markup:
    """Text in which each known word carries its explanation, at its first place.

    The explanation is shown on hovering, and on a tap or with the keyboard when it has the focus.
    Commands are set as code.
    """
    seen: set[str] = set()

    def mark(found: re.Match[str]) -> Markup:
        word, command = found[0], found[1]
        if command:
            return Markup("<code>{}</code>").format(command)
        if word in seen:
            return Markup("{}").format(word)
        seen.add(word)
        return Markup('<abbr tabindex="0" title="{}">{}</abbr>').format(GLOSSARY[word], word)

    if isinstance(text, Markup):
        return text
    shown, parts, end = printable(str(text)), [], 0
    for found in _WORDS_AND_COMMANDS.finditer(shown):
        parts += [Markup("{}").format(shown[end : found.start()]), mark(found)]
        end = found.end()
    return Markup("").join([*parts, Markup("{}").format(shown[end:])])


def explanation(text: str) -> str:
    """The explanations of the known words in a short text such as a heading; empty without any."""
    return " ".join(dict.fromkeys(GLOSSARY[found[0]] for found in _WORDS.finditer(text)))


def used_words(text: str) -> Iterator[tuple[str, str]]:
    """The known words of a whole report with their explanations, in the glossary's order."""
    used = {found[0] for found in _WORDS.finditer(text)}
    shown: set[str] = set()
    for word, meaning in GLOSSARY.items():
        if word in used and meaning not in shown:
            shown.add(meaning)
            yield word, meaning
