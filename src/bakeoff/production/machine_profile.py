"""Where the time goes, for one configuration on this machine, and what to do about it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from bakeoff.child_process import num_cores
from bakeoff.driver import POLL_SECONDS, InterruptedStudyError, StopRequest
from bakeoff.engines.local import LocalEngine, default_layout
from bakeoff.engines.protocol import Died, Failed, Profile, Profiled
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.production.folder import RunFacts
from bakeoff.production.run import default_seed, trial_config
from bakeoff.records import StudyConfig, TrialConfig
from bakeoff.session import check_data, check_packages, choose_precision, probe

WARMUP_SECONDS = 0.2
"""Each worker trains this long before all are timed together."""
LARGE_SHARE = 0.25
"""Of a step or an epoch: a part that takes more, and need not, is worth a recommendation."""
SLOW_FORWARD = 1.5
"""Forward passes usually take half as long as backward passes; this many times as long is odd."""
MIN_GAIN = 0.10
"""Share of the trials per hour that another layout must add to be recommended."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """So many workers of so many threads each, training at the same time."""

    workers: int
    threads: int
    trials_per_hour: float
    """Of full length, evaluation included."""
    steps_per_second: float
    """Of all workers together."""
    peak_memory_bytes: int
    """Of the largest worker."""


@dataclass(frozen=True, kw_only=True)
class MachineProfile:
    """A profile of one configuration on this machine."""

    step: Profiled
    """Of one worker of the default layout, alone."""
    precision: str
    batch_size: int
    layouts: tuple[Layout, ...]
    """The default one first."""

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of each part in a step; they add up to 1."""
        return {part: seconds / self.step.step_seconds for part, seconds in self.step.parts.items()}

    @property
    def evaluate_share(self) -> float:
        """Share of evaluation in an epoch."""
        return self.step.evaluate_seconds / self.step.epoch_seconds


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """Something that was measured, and what to do about it."""

    finding: str
    advice: str


def layouts_of(device: str) -> list[tuple[int, int]]:
    """Workers and threads that are worth comparing, the default first."""
    cores, default = num_cores(), default_layout(device)
    if device != "cpu":
        return [default]
    middle = [(cores // 2, 2)] if cores >= 4 else []  # noqa: PLR2004 - else it is one of the others
    return list(dict.fromkeys([default, *middle, (1, cores)]))


def profile_study(config: StudyConfig, device: str, seconds: float) -> MachineProfile:
    """Measure a study of one configuration in workers, for about so many seconds each time.

    Raises:
        InterruptedStudyError: It was asked to stop.
        BakeoffError: Data or model are unusable.
    """
    check_packages(config)
    summary = check_data(config)
    layouts: list[Layout] = []
    step: Profiled | None = None
    with StopRequest().listening() as stop:
        for workers, threads in layouts_of(device):
            engine = LocalEngine(num_workers=workers, threads=threads, device=device)
            with closing(engine):
                if step is None:
                    precision = choose_precision(config, probe(config, engine, stop)).precision
                    trial = _trial(config, precision, device, summary.fingerprint)
                    (step,) = _measure(engine, trial, 1, seconds, stop)
                _measure(engine, trial, workers, WARMUP_SECONDS, stop)
                measured = _measure(engine, trial, workers, seconds, stop)
            layouts.append(_layout(measured, threads, config.training.epochs))
    if step is None:
        raise ValueError("there is at least the default layout")
    return MachineProfile(
        step=step,
        precision=precision,
        batch_size=config.training.batch_size,
        layouts=tuple(layouts),
    )


def _trial(config: StudyConfig, precision: str, device: str, fingerprint: str) -> TrialConfig:
    facts = RunFacts(
        seed=default_seed(config),
        precision=precision,
        threads=1,
        device=device,
        data_fingerprint=fingerprint,
    )
    return trial_config(config, facts)


def _measure(
    engine: LocalEngine, trial: TrialConfig, workers: int, seconds: float, stop: StopRequest
) -> list[Profiled]:
    """Profiles of so many workers at the same time."""
    for index in range(workers):
        engine.submit(Profile(run=f"profile-{index}", config=trial, seconds=seconds))
    found: list[Profiled] = []
    while len(found) < workers:
        for event in engine.events(POLL_SECONDS):
            match event:
                case Profiled():
                    found.append(event)
                case Failed():
                    raise UsageError(f"the model cannot be profiled: {event.reason}")
                case Died():
                    raise BakeoffError(f"the model cannot be profiled: {event.reason}")
        if stop.count:
            raise InterruptedStudyError(stop.exit_code)
    return found


def _layout(measured: Sequence[Profiled], threads: int, epochs: int) -> Layout:
    return Layout(
        workers=len(measured),
        threads=threads,
        trials_per_hour=sum(3600 / (epochs * one.epoch_seconds) for one in measured),
        steps_per_second=sum(1 / one.step_seconds for one in measured),
        peak_memory_bytes=max(one.peak_memory_bytes for one in measured),
    )


# ---------------------------------------------------------------- what to do about it


def recommend(profile: MachineProfile) -> list[Recommendation]:
    """One recommendation for each finding; empty if nothing stands out."""
    shares = profile.shares
    found = [
        (shares["data"], "data takes {:.0%} of a step", DATA_ADVICE),
        (shares["optimizer"], "the optimizer takes {:.0%} of a step", OPTIMIZER_ADVICE),
        (shares["rest"], "{:.0%} of a step is neither model nor data nor optimizer", REST_ADVICE),
        (profile.evaluate_share, "evaluation takes {:.0%} of an epoch", EVALUATE_ADVICE),
    ]
    recommendations = [
        Recommendation(finding=text.format(share), advice=advice)
        for share, text, advice in found
        if share > LARGE_SHARE
    ]
    ratio = shares["forward"] / shares["backward"] if shares["backward"] else 0.0
    if ratio > SLOW_FORWARD:
        finding = f"the forward pass takes {ratio:.1f} times as long as the backward pass"
        recommendations.append(Recommendation(finding=finding, advice=FORWARD_ADVICE))
    return [*recommendations, *_recommend_layout(profile.layouts)]


def _recommend_layout(layouts: Sequence[Layout]) -> list[Recommendation]:
    default = layouts[0]
    best = max(layouts, key=lambda layout: layout.trials_per_hour)
    gain = best.trials_per_hour / default.trials_per_hour - 1
    if gain <= MIN_GAIN:
        return []
    finding = (
        f"{_shown(best)} train {gain:.0%} more trials per hour than the default, {_shown(default)}"
    )
    advice = f"run the study with --workers {best.workers} --threads {best.threads}"
    return [Recommendation(finding=finding, advice=advice)]


def _shown(layout: Layout) -> str:
    workers = f"{layout.workers} worker{'s' if layout.workers > 1 else ''}"
    return f"{workers} of {layout.threads} thread{'s' if layout.threads > 1 else ''}"


DATA_ADVICE = (
    "use fewer augmentations, or keep decoded samples as arrays (npz:PATH, or a folder:PATH, which"
    " is decoded once)"
)
OPTIMIZER_ADVICE = (
    "a larger batch_size makes fewer steps of the same cost; `study optimizers` lists cheaper ones"
)
REST_ADVICE = (
    "steps are so short that their surroundings count; a larger batch_size or accumulation_steps"
    " makes fewer of them"
)
EVALUATE_ADVICE = "a smaller validation_fraction leaves more time to train"
FORWARD_ADVICE = (
    "it is usually half as long: look in the model's forward for Python loops, .item(), printing"
    " or work that does not depend on the weights"
)
