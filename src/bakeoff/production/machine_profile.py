"""Measures how long one configuration takes on this machine and recommends improvements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bakeoff.child_process import num_cores
from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.devices import AUTO, choose_devices
from bakeoff.engines.follow import follow
from bakeoff.engines.open import EngineSettings, default_threads, default_workers, open_engine
from bakeoff.engines.protocol import Died, Engine, Failed, Probed, Profile, Profiled
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.production.run import default_seed, trial_config
from bakeoff.records import StudyConfig, TrialConfig
from bakeoff.session.checks import check_data, check_packages
from bakeoff.session.measuring import probe
from bakeoff.training.accelerators import CONTEXT_BYTES

WARMUP_SECONDS = 0.2
"""Each worker trains this long before all workers are timed together."""
LARGE_SHARE = 0.25
"""A part that takes more than this share of a step or an epoch gets a recommendation."""
SLOW_FORWARD = 1.5
"""A forward pass that takes this many times as long as the backward pass gets a recommendation.
It usually takes half as long."""
SHARED_BY = (2, 4, 8)
"""Numbers of workers on one accelerator to compare with the default, as long as they gain."""
MIN_GAIN = 0.10
"""Share of additional trials per hour that another layout needs to be recommended."""

RULES: tuple[tuple[str, float, str, str], ...] = (
    (
        "data",
        LARGE_SHARE,
        "data takes {:.0%} of a step",
        "use fewer augmentations, or decoded samples: npz:PATH, or folder:PATH (decoded only once)",
    ),
    (
        "optimizer",
        LARGE_SHARE,
        "the optimizer takes {:.0%} of a step",
        "use a larger batch_size (fewer steps) or a cheaper optimizer (see `study optimizers`)",
    ),
    (
        "rest",
        LARGE_SHARE,
        "{:.0%} of a step is neither model nor data nor optimizer",
        "steps are very short; a larger batch_size or accumulation_steps makes fewer, longer ones",
    ),
    (
        "evaluate",
        LARGE_SHARE,
        "evaluation takes {:.0%} of an epoch",
        "a smaller validation_fraction leaves more time for training",
    ),
    (
        "forward/backward",
        SLOW_FORWARD,
        "the forward pass takes {:.1f} times as long as the backward pass",
        "look for Python loops, .item(), printing or work without weights in the model's forward",
    ),
)
"""Measured value, its limit, the finding where it is above the limit, and what to do about it."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The speed of a number of workers that train at the same time on one device."""

    device: str = CPU.kind
    """The kind of device."""
    workers: int
    threads: int
    trials_per_hour: float
    """Trials of full length, including evaluation."""
    steps_per_second: float
    """Sum over all workers."""
    peak_memory_bytes: int
    """Memory of the largest worker."""


@dataclass(frozen=True, kw_only=True)
class MachineProfile:
    """A profile of one configuration on this machine."""

    step: Profiled
    """Profile of one worker of the default layout, without other workers."""
    precision: str
    batch_size: int
    layouts: tuple[Layout, ...]
    """The default layout comes first."""
    seconds_per_step: Mapping[str, float] = field(default_factory=dict)
    """Median of a few steps in each precision that works on the default device."""
    fastest_precision: str = ""
    """The one that `auto` chooses; empty if it was not measured."""

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of each part in a step. The shares add up to 1."""
        return {part: seconds / self.step.step_seconds for part, seconds in self.step.parts.items()}

    @property
    def evaluate_share(self) -> float:
        """Share of evaluation in an epoch."""
        return self.step.evaluate_seconds / self.step.epoch_seconds


class Recommendation(NamedTuple):
    """A finding and what to do about it."""

    finding: str
    advice: str


def layouts_of(kind: str, num_devices: int = 1) -> list[tuple[int, int]]:
    """Numbers of workers and of threads to compare on one device, the default first.

    Args:
        kind: The kind of device.
        num_devices: Devices that a study would use, whose workers share the cores.
    """
    cores, default = num_cores(), (default_workers(kind), default_threads(kind, num_devices))
    if kind != CPU.kind:
        counts = [default[0], *SHARED_BY]
        return [(one, default_threads(kind, one * num_devices)) for one in counts]
    middle = [(cores // 2, 2)] if cores >= 4 else []  # noqa: PLR2004 - else it is one of the others
    return list(dict.fromkeys([default, *middle, (1, cores)]))


def is_worth_trying(layouts: Sequence[Layout], device: Device, workers: int) -> bool:
    """Whether so many workers could be faster on a device than those that were measured on it.

    A device that is busy gains nothing from more workers, and memory must have room for all.
    """
    done = [one for one in layouts if one.device == device.kind]
    if device.kind == CPU.kind or not done:
        return True
    needed = workers * (max(one.peak_memory_bytes for one in done) + CONTEXT_BYTES)
    if device.memory_bytes and needed > device.memory_bytes:
        return False
    *earlier, last = (one.trials_per_hour for one in done)
    return not earlier or last > (1 + MIN_GAIN) * earlier[-1]


def profile_study(config: StudyConfig, device: str, seconds: float) -> MachineProfile:
    """Measure a study of one configuration in workers, each time for about `seconds`.

    With `auto` on a machine with an accelerator, the CPU is measured too. Of several devices of one
    kind the first is measured.

    Raises:
        InterruptedStudyError: A stop was requested.
        UsageError: The study has a loop of the user's own, whose steps are not known.
        BakeoffError: Data or model are unusable.
    """
    if config.training.loop is not None:
        raise UsageError(
            f"training.loop = {config.training.loop!r}: only the built-in loop can be profiled;"
            " `study plan` measures an epoch of yours"
        )
    if config.training.devices_per_trial > 1:
        raise UsageError(
            f"training.devices_per_trial = {config.training.devices_per_trial}: the steps of one"
            " device are profiled; set it to 1, and batch_size to the part that a device has"
        )
    check_packages(config)
    check_data(config)
    chosen = choose_devices(device)
    places = [(chosen.devices[0], one) for one in layouts_of(chosen.kind, len(chosen.devices))]
    if device == AUTO and chosen.kind != CPU.kind:
        places.append((CPU, layouts_of(CPU.kind)[0]))
    layouts: list[Layout] = []
    first: tuple[Profiled, Probed] | None = None
    with StopRequest().listening() as stop:
        for one, (workers, threads) in places:
            if not is_worth_trying(layouts, one, workers):
                continue
            settings = EngineSettings(
                device=one.kind, devices=(one,), workers=workers, threads=threads
            )
            with open_engine(settings) as engine:
                if not layouts or one.kind != layouts[-1].device:
                    probed = probe(config, engine, stop)
                    trial = trial_config(config, probed.precision, default_seed(config))
                    (step,) = _measure(engine, stop, trial, 1, seconds)
                    first = first or (step, probed)
                _measure(engine, stop, trial, workers, WARMUP_SECONDS)
                measured = _measure(engine, stop, trial, workers, seconds)
            layouts.append(_layout(config.training.epochs, one.kind, threads, measured))
        if first is None:
            raise AssertionError("the default layout is always measured")
        timed = _time_precisions(config, chosen.devices[0], first[1], stop)
    return MachineProfile(
        step=first[0],
        precision=first[1].precision,
        batch_size=config.training.batch_size,
        layouts=tuple(layouts),
        seconds_per_step=timed.seconds_per_step,
        fastest_precision=timed.precision,
    )


def _layout(epochs: int, kind: str, threads: int, measured: Sequence[Profiled]) -> Layout:
    hours = [epochs * one.epoch_seconds / 3600 for one in measured]
    return Layout(
        device=kind,
        workers=len(measured),
        threads=threads,
        trials_per_hour=sum(1 / each for each in hours),
        steps_per_second=sum(1 / one.step_seconds for one in measured),
        peak_memory_bytes=max(one.peak_memory_bytes for one in measured),
    )


def _time_precisions(
    config: StudyConfig, device: Device, probed: Probed, stop: StopRequest
) -> Probed:
    """A probe that has timed every precision; `probed` itself if the study named none."""
    if config.training.precision == "auto":
        return probed
    unnamed = replace(config, training=replace(config.training, precision="auto"))
    settings = EngineSettings(device=device.kind, devices=(device,))
    with open_engine(settings) as engine:
        return probe(unnamed, engine, stop)


def _measure(
    engine: Engine, stop: StopRequest, trial: TrialConfig, workers: int, seconds: float
) -> list[Profiled]:
    """Profiles of workers that train at the same time."""
    found: list[Profiled] = []
    names = [f"profile-{index}" for index in range(workers)]
    jobs = [Profile(run=name, config=trial, seconds=seconds) for name in names]
    for event in follow(engine, stop, *jobs):
        match event:
            case Profiled():
                found.append(event)
            case Failed():
                raise UsageError(f"the model cannot be profiled: {event.reason}")
            case Died():
                raise BakeoffError(f"the model cannot be profiled: {event.reason}")
    return found


def recommend(profile: MachineProfile) -> list[Recommendation]:
    """One recommendation for each finding. Empty if there is no finding."""
    shares = profile.shares
    ratio = shares["forward"] / shares["backward"] if shares["backward"] else 0.0
    measured = {**shares, "evaluate": profile.evaluate_share, "forward/backward": ratio}
    found = [
        Recommendation(finding=text.format(measured[name]), advice=advice)
        for name, limit, text, advice in RULES
        if measured[name] > limit
    ]
    return [
        *found,
        *_recommend_layout(profile.layouts),
        *_recommend_precision(profile),
    ]


def _recommend_layout(layouts: Sequence[Layout]) -> list[Recommendation]:
    default = layouts[0]
    best = max(layouts, key=lambda layout: layout.trials_per_hour)
    gain = best.trials_per_hour / default.trials_per_hour - 1
    if gain <= MIN_GAIN:
        return []
    finding = (
        f"{_shown(best)} train {gain:.0%} more trials per hour than the default, {_shown(default)}"
    )
    advice = f"run the study with {_flags(best, default)}"
    return [Recommendation(finding=finding, advice=advice)]


def _flags(best: Layout, default: Layout) -> str:
    """The options of `study run` for a layout."""
    device = "" if best.device == default.device else f"--device {best.device} "
    if best.device == CPU.kind:
        return f"{device}--workers {best.workers} --threads {best.threads}"
    return f"{device}--workers-per-device {best.workers} --threads {best.threads}"


def _recommend_precision(profile: MachineProfile) -> list[Recommendation]:
    """Another precision than the one that the study names, if it is clearly faster."""
    seconds, fastest = profile.seconds_per_step, profile.fastest_precision
    if not {fastest, profile.precision} <= seconds.keys() or fastest == profile.precision:
        return []
    gain = seconds[profile.precision] / seconds[fastest] - 1
    if gain <= MIN_GAIN:
        return []
    finding = f"{fastest} makes {gain:.0%} more steps per second than {profile.precision}"
    advice = f'set precision = "{fastest}" or "auto" under [training]'
    return [Recommendation(finding=finding, advice=advice)]


def _shown(layout: Layout) -> str:
    workers = f"{layout.workers} worker{'s' if layout.workers > 1 else ''}"
    where = "" if layout.device == CPU.kind else f" on each {layout.device} device"
    return f"{workers} of {layout.threads} thread{'s' if layout.threads > 1 else ''}{where}"
