"""Importance of each parameter of an arm: for the score of all trials and for the best trials.

Axes: n trials of one arm, P parameters of its space. Both importances are relative to the searched
ranges and describe the trials of the search, not all possible trials.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from bakeoff.analysis.arm_trials import searched_trials
from bakeoff.analysis.confirmation import finite_or_nan
from bakeoff.analysis.statistics import Scores
from bakeoff.ranges import Choice, ParamValue, Range, is_searched
from bakeoff.records import ArmRecord, Importance, StudyRecord, TrialRecord

MIN_TRIALS = 30
"""With fewer scored trials of an arm, no importance is computed."""
MIN_TRIALS_FOR_TOP = 50
"""With fewer trials, the best tenth has fewer than five."""
TOP_SHARE = 0.1
REPEATS = 5
"""Number of forests or resamples; an importance is given with its range over them."""
MAX_TRIALS = 300
"""Above this, a seeded sample of the trials is used, so that a report stays quick."""
TREES, FOLDS, LEAF = 20, 2, 3
GRID = 50
"""Number of points of the range 0 to 1 at which densities are compared."""
ABSENT = -1.0
"""Place of a conditional parameter in trials that do not have it; other places are in 0 to 1."""

Places = npt.NDArray[np.float64]


def parameter_importances(record: StudyRecord) -> tuple[Importance, ...]:
    """Importances of the searched parameters of every arm with at least 30 scored trials.

    Scored trials are those that completed, and diverged trials, which have the score of an
    untrained model. Pruned trials are left out, because their final score is unknown.
    """
    return tuple(found for arm in record.arms for found in _arm_importances(record, arm))


def _arm_importances(record: StudyRecord, arm: ArmRecord) -> Iterator[Importance]:
    trials = _sampled(_scored_trials(record, arm.name))
    searched = {name: one for name, one in arm.space.items() if is_searched(one)}
    if len(trials) < MIN_TRIALS or not searched:
        return
    scores = record.objective.sign * np.array([trial.score for trial in trials], dtype=np.float64)
    places = np.array(
        [
            [place_of(trial.params.get(name), one) for trial in trials]
            for name, one in searched.items()
        ]
    )
    whole = variance_shares(places, scores)
    top = top_shares(places, scores) if len(trials) >= MIN_TRIALS_FOR_TOP else None
    for index, name in enumerate(searched):
        yield Importance(
            arm=arm.name,
            parameter=name,
            whole=_summary(whole[:, index]),
            top=None if top is None else _summary(top[:, index]),
            n=len(trials),
            n_with=int(np.count_nonzero(places[index] != ABSENT)),
        )


def variance_shares(places: Places, scores: Scores) -> Scores:
    """Share of each parameter in the variation of the score over the whole space, [REPEATS, P].

    Random forests predict the scores of held-out trials. A parameter's part is the growth of their
    squared error when its values are shuffled. For independent parameters, that is twice the
    variance lost without the parameter (its total Sobol index). The parts are returned as shares of
    their sum: 0.9, 0.1 and 0 for y = 3 x1 + x2 + 0 x3. They are zero if nothing can be predicted.

    Args:
        places: Parameters [P, n] in 0..1, -1 where a trial does not have one.
        scores: Scores [n], finite.

    Source: Breiman 2001, section 10 (permutation importance); Gregorutti, Michel and Saint-Pierre
    2017, proposition 1 (its expectation).
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    shares = np.zeros((REPEATS, len(places)))
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        parts = np.zeros(len(places))
        for fitted, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(places.T):
            forest = RandomForestRegressor(TREES, min_samples_leaf=LEAF, random_state=seed)
            forest.fit(places.T[fitted], scores[fitted])
            # [P + 1, n, P]: unchanged, then with the values of each parameter shuffled
            copies = np.tile(places.T[held_out], (len(places) + 1, 1, 1))
            for index in range(len(places)):
                copies[index + 1, :, index] = rng.permutation(copies[index + 1, :, index])
            guessed = forest.predict(copies.reshape(-1, len(places))).reshape(len(copies), -1)
            errors = np.mean((guessed - scores[held_out]) ** 2, axis=1)
            parts += errors[1:] - errors[0]
        shares[seed] = _shares(parts)
    return shares


def top_shares(places: Places, scores: Scores) -> Scores:
    """Share of each parameter in reaching the best tenth of the trials, [REPEATS, P].

    A parameter matters if its values are distributed differently among the best trials than among
    all trials. The difference is Pearson's divergence of the two densities; the result is each
    parameter's share of the sum. The first row is for the trials themselves, the others are for
    bootstrap resamples of them.

    Args:
        places: Parameters [P, n] in 0..1, -1 where a trial does not have one.
        scores: Scores [n], higher is better, at least 50.

    Source: Watanabe, Bansal and Hutter 2023, "PED-ANOVA", equation 12.
    """
    rng = np.random.default_rng(0)
    shares = np.zeros((REPEATS, len(places)))
    for repeat in range(REPEATS):
        drawn = rng.integers(len(scores), size=len(scores)) if repeat else np.arange(len(scores))
        is_top = np.zeros(len(scores), dtype=bool)
        is_top[np.argsort(-scores[drawn], kind="stable")[: int(TOP_SHARE * len(scores))]] = True
        shares[repeat] = _shares(np.array([_divergence(own[drawn], is_top) for own in places]))
    return shares


def _divergence(places: Places, is_top: npt.NDArray[np.bool_]) -> float:
    """Pearson's divergence of the density of the top trials from that of all trials."""
    has = places != ABSENT
    if np.count_nonzero(has & is_top) < 2:  # noqa: PLR2004 - one value has no density
        return 0.0
    top, everybody = _density(places[has & is_top]), _density(places[has])
    return float(np.sum(everybody * (top / everybody - 1) ** 2))


def _density(places: Places) -> Scores:
    """Density of values in 0..1 on `GRID` points; its sum is 1, and no value is zero."""
    grid = np.linspace(0, 1, GRID)
    # Scott's rule
    width = 1.06 * max(float(np.std(places)), 1e-3) * len(places) ** -0.2
    kernel = stats.norm.pdf((grid[:, None] - places[None, :]) / width).sum(axis=1)
    # one trial is added, spread evenly over the whole range, so that no density is zero
    density = kernel / max(kernel.sum(), 1e-300) * len(places) + 1 / GRID
    return np.asarray(density / density.sum(), dtype=np.float64)


def place_of(value: ParamValue | None, searched: Range) -> float:
    """Place of `value` in its range, 0 to 1 in the scale it was drawn in; -1 if it is missing.

    For a choice, it is the place among the choices.
    """
    if isinstance(searched, Choice):
        found = searched.choices.index(value) if value in searched else -1
        return ABSENT if found < 0 else found / max(1, len(searched.choices) - 1)
    if isinstance(value, bool | str | None):
        return ABSENT
    low, high, at = float(searched.low), float(searched.high), float(value)
    inside = min(max(at, low), high)
    low, high, at = map(searched.scaled, (low, high, inside))
    return float(np.clip((at - low) / (high - low), 0.0, 1.0))


def _scored_trials(record: StudyRecord, arm: str) -> list[TrialRecord]:
    return [
        trial
        for trial in searched_trials(record, arm)
        if trial.outcome in {"complete", "diverged"} and np.isfinite(finite_or_nan(trial.score))
    ]


def _sampled(trials: Sequence[TrialRecord]) -> Sequence[TrialRecord]:
    if len(trials) <= MAX_TRIALS:
        return trials
    kept = np.random.default_rng(0).choice(len(trials), MAX_TRIALS, replace=False)
    return [trials[index] for index in np.sort(kept)]


def _shares(parts: Scores) -> Scores:
    """Parts as shares of their sum, negative parts as zero; zeros if the sum is zero."""
    kept = np.maximum(parts, 0.0)
    return kept / kept.sum() if kept.sum() > 0 else kept


def _summary(shares: Scores) -> tuple[float, float, float]:
    """Median, least and greatest of a parameter's shares [REPEATS]."""
    return float(np.median(shares)), float(np.min(shares)), float(np.max(shares))
