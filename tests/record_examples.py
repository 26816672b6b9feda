"""Synthetic studies that look like real ones: every number is drawn from a seeded toy model.

`example_record` simulates a search (random, then narrowing on the best learning rate), pruning,
divergence, library defaults, a shortlist and confirmation runs on paired seeds. Nothing is trained.
The functions below it turn one record into another: other direction, shifted scores, other order.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bakeoff.records import (
    OUTCOMES,
    ArmRecord,
    ConfirmConfig,
    MetricInfo,
    Outcome,
    StudyRecord,
    TrialRecord,
)
from toy_study import CHANCE, TOY_OPTIMIZERS, ToyStudy, metrics_of, space_of

ACCURACY = MetricInfo(
    name="accuracy", direction="maximize", low=0.0, high=1.0, title="Accuracy",
    is_mean_over_samples=True,
)  # fmt: skip
ERROR = replace(ACCURACY, name="error", direction="minimize", title="Error rate")


def example_record(
    *,
    num_arms: int = 4,
    trials_per_arm: int = 12,
    num_seeds: int = 8,
    shortlist: int = 2,
    shortlist_seeds: int = 2,
    epochs: int = 8,
    seed: int = 0,
    arm_effects: Sequence[float] = (0.0, -0.001, 0.002, -0.012, 0.0, 0.0),
    seed_sd: float = 0.0015,
    pruner: str = "halving",
    sampler: str = "tpe",
    startup_trials: int = 5,
    defaults: bool = True,
    diverged_seeds: Mapping[str, int] | None = None,
    test_scores: Mapping[str, Sequence[float]] | None = None,
) -> StudyRecord:
    """A finished study of up to six optimizers with accuracy as objective.

    Args:
        num_arms: The first arms of sgd, adam, adamw, rmsprop, nadam, radam.
        trials_per_arm: Search trials of each arm.
        num_seeds: Confirmation seeds; 0 leaves the study at level L0, without a shortlist.
        shortlist: Configurations of each arm that are compared before confirmation.
        shortlist_seeds: Runs of each of them.
        epochs: Planned epochs of every run.
        seed: Of everything random.
        arm_effects: True difference of each arm's best score from 0.93, in order.
        seed_sd: Standard deviation of a score over training seeds.
        pruner: "none" lets every trial finish.
        sampler: "random" never narrows on the best learning rate.
        startup_trials: Random trials before the sampler narrows.
        defaults: Whether each arm's library defaults are run once.
        diverged_seeds: How many of an arm's confirmation runs diverge (the last ones).
        test_scores: Test scores by arm, instead of simulated ones; their length wins over
            `num_seeds`, NaN marks a run that diverged.
    """
    toy = ToyStudy(
        seed=seed, epochs=epochs, seed_sd=seed_sd, pruner=pruner, sampler=sampler,
        startup_trials=startup_trials, rng=np.random.default_rng(seed),
    )  # fmt: skip
    optimizers = TOY_OPTIMIZERS[:num_arms]
    effects = dict(zip((o.name for o in optimizers), arm_effects, strict=False))
    trials = toy.search(optimizers, effects, trials_per_arm, defaults=defaults)
    if test_scores is not None:
        num_seeds = max(map(len, test_scores.values()))
    confirm = ConfirmConfig(
        seeds=num_seeds, shortlist=shortlist, shortlist_seeds=shortlist_seeds if num_seeds else 0
    )
    confirmations = toy.confirm(optimizers, effects, trials, confirm)
    confirmations = _override_tests(confirmations, test_scores or {}, diverged_seeds or {})
    return StudyRecord(
        name="fashion-cnn",
        question="Which optimizer suits a small CNN on Fashion-MNIST?",
        objective=ACCURACY,
        score_rule="last_epoch",
        epochs=epochs,
        arms=tuple(ArmRecord(name=o.name, space=space_of(o)) for o in optimizers),
        trials=trials,
        confirmations=confirmations,
        trials_per_arm=trials_per_arm,
        sampler=sampler,
        pruner=pruner,
        confirm=confirm,
        startup_trials=startup_trials,
        num_validation=6_000,
        num_test=10_000,
        protocol={
            "data": "fashion-mnist, 54,000 training / 6,000 validation / 10,000 test images",
            "model": "cnn (dropout 0.1)",
            "training": f"{epochs} epochs, batch size 128, clipped at norm 1.0",
            "seeds": f"study seed {seed}",
        },
        environment={
            "bakeoff": "0.1.0", "torch": "2.14.1", "device": "cpu", "threads": "1",
            "precision": "fp32",
        },
        config_hash="c0ffee" + f"{seed:058x}",
        finished=True,
    )  # fmt: skip


def repeated(parts: Sequence[StudyRecord]) -> StudyRecord:
    """One study whose repeats are these studies of the same arms, each with its own seeds."""
    trials: list[TrialRecord] = []
    confirmations: list[TrialRecord] = []
    for repeat, part in enumerate(parts):
        first, after = len(trials), len(confirmations)
        shift = repeat * 1_000_000

        def moved(run: TrialRecord, first: int, after: int, shift: int, repeat: int) -> TrialRecord:
            configuration = None if run.configuration is None else run.configuration + first
            number = run.number + (first if run.purpose == "search" else after)
            seed = None if run.seed is None else run.seed + shift
            return replace(
                run, number=number, configuration=configuration, seed=seed, repeat=repeat
            )

        trials += [moved(run, first, after, shift, repeat) for run in part.trials]
        confirmations += [moved(run, first, after, shift, repeat) for run in part.confirmations]
    return replace(
        parts[0],
        trials=tuple(trials),
        confirmations=tuple(confirmations),
        repeats=len(parts),
    )


def _override_tests(
    runs: Sequence[TrialRecord],
    test_scores: Mapping[str, Sequence[float]],
    diverged_seeds: Mapping[str, int],
) -> tuple[TrialRecord, ...]:
    """Give confirmation runs the test scores asked for; NaN marks a run that diverged."""
    arms = dict.fromkeys(run.arm for run in runs)
    changed = [run for run in runs if run.purpose != "confirm"]
    for arm in arms:
        own = [run for run in runs if (run.arm, run.purpose) == (arm, "confirm")]
        scores = list(test_scores.get(arm, [run.test_metrics["accuracy"] for run in own]))
        first_diverged = len(scores) - diverged_seeds.get(arm, 0)
        scores[first_diverged:] = [math.nan] * len(scores[first_diverged:])
        changed += [with_test_score(*pair) for pair in zip(own, scores, strict=False)]
    return tuple(sorted(changed, key=lambda run: run.number))


def with_test_score(run: TrialRecord, accuracy: float) -> TrialRecord:
    """`run` with another test score; NaN makes it a run that diverged, scored at chance."""
    if not math.isnan(accuracy):
        return replace(run, outcome="complete", test_metrics=metrics_of(accuracy))
    return replace(
        run,
        outcome="diverged",
        score=CHANCE,
        history=run.history[: len(run.history) // 2],
        test_metrics=metrics_of(CHANCE),
        stop_reason="loss is not finite",
    )


def map_scores(record: StudyRecord, change: Callable[[float], float]) -> StudyRecord:
    """`record` with `change` applied to every value of the objective."""
    name = record.objective.name

    def on_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
        return {key: change(v) if key == name else v for key, v in metrics.items()}

    def on_run(run: TrialRecord) -> TrialRecord:
        return replace(
            run,
            score=None if run.score is None else change(run.score),
            test_metrics=on_metrics(run.test_metrics),
            history=tuple(replace(r, metrics=on_metrics(r.metrics)) for r in run.history),
        )

    return replace(
        record,
        trials=tuple(map(on_run, record.trials)),
        confirmations=tuple(map(on_run, record.confirmations)),
    )


def as_error_rate(record: StudyRecord) -> StudyRecord:
    """`record` with accuracy replaced by error rate, so that lower is better."""
    flipped = map_scores(record, lambda accuracy: 1.0 - accuracy)

    def rename(metrics: Mapping[str, float]) -> dict[str, float]:
        return {("error" if key == "accuracy" else key): value for key, value in metrics.items()}

    def on_run(run: TrialRecord) -> TrialRecord:
        history = tuple(replace(r, metrics=rename(r.metrics)) for r in run.history)
        return replace(run, history=history, test_metrics=rename(run.test_metrics))

    return replace(
        flipped,
        objective=ERROR,
        trials=tuple(map(on_run, flipped.trials)),
        confirmations=tuple(map(on_run, flipped.confirmations)),
    )


def shuffled(record: StudyRecord, seed: int = 0) -> StudyRecord:
    """`record` with its runs stored in another order; numbers are unchanged."""
    rng = np.random.default_rng(seed)
    return replace(
        record,
        trials=tuple(record.trials[i] for i in rng.permutation(len(record.trials))),
        confirmations=tuple(
            record.confirmations[i] for i in rng.permutation(len(record.confirmations))
        ),
    )


def unconfirmed(record: StudyRecord) -> StudyRecord:
    """`record` as it is before any confirmation run: level L0."""
    return replace(record, confirmations=())


def damaged(record: StudyRecord, seed: int) -> StudyRecord:
    """`record` with much of it missing or broken, as no real study should be, but some are."""
    rng = np.random.default_rng(seed)
    scores = (None, math.nan, math.inf, -math.inf, 0.0, 0.93)

    def damage(run: TrialRecord) -> TrialRecord:
        score = scores[rng.integers(len(scores))]
        history = run.history[: rng.integers(len(run.history) + 1)]
        changed = replace(
            run, outcome=OUTCOMES[rng.integers(len(OUTCOMES))], score=score, history=history
        )
        tested = {} if score is None else metrics_of(score)
        changed = replace(changed, test_metrics=tested) if run.purpose == "confirm" else changed
        seed = run.seed if rng.random() < 0.7 else None
        return replace(changed, seed=seed) if rng.random() < 0.5 else run

    share = rng.random()
    return replace(
        record,
        trials=tuple(damage(run) for run in record.trials if rng.random() < share),
        confirmations=tuple(damage(run) for run in record.confirmations if rng.random() < share),
        num_test=None if rng.random() < 0.5 else 1_000,
        finished=bool(rng.random() < 0.5),
    )


def all_outcomes(record: StudyRecord, outcome: Outcome) -> StudyRecord:
    """`record` in which every search trial ended with `outcome`, and nothing was confirmed."""
    score = {"complete": 0.9, "pruned": 0.5, "diverged": CHANCE}.get(outcome)
    trials = tuple(replace(t, outcome=outcome, score=score) for t in record.trials)
    return replace(record, trials=trials, confirmations=())


def audited(record: StudyRecord) -> StudyRecord:
    """The same study with every search trial audited, after two epochs and after four."""
    trials = (replace(run, audited=True, decision_epochs=(2, 4)) for run in record.trials)
    return replace(record, trials=tuple(trials))


def with_seconds(record: StudyRecord) -> StudyRecord:
    """The same study as if it had also sought short training."""

    def on_run(run: TrialRecord) -> TrialRecord:
        seconds = run.train_seconds if run.outcome == "complete" else math.nan
        return replace(run, further_scores={"train_seconds": seconds})

    seconds = MetricInfo(
        name="train_seconds", direction="minimize", low=0.0, high=math.inf, unit="s"
    )
    return replace(
        record,
        further_objectives=(seconds,),
        trials=tuple(map(on_run, record.trials)),
        confirmations=tuple(map(on_run, record.confirmations)),
    )
