"""Drives a study to its end on a simulated engine."""

from bakeoff.driver import Driver, StopRequest
from bakeoff.search.arms import Search
from bakeoff.search.confirm import Confirmation
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from study_examples import SilentObserver, study_facts


def drive(config, engine, url, folder, *, stop=None, wrap=lambda source: source):
    """Search and confirm as a session does; again on the same storage continues.

    Args:
        config: The study.
        engine: Where its runs train.
        url: Of the storage, made if it does not exist.
        folder: For checkpoints.
        stop: Asks the driver to stop.
        wrap: Makes of the search, or of the confirmation, what is driven.
    """
    storage = Storage(url, create=True)
    if not storage.has(config.name):
        storage.create(config, study_facts())
    driver = Driver(
        config=config, facts=study_facts(), storage=storage, engine=engine,
        observer=SilentObserver(), stop=stop or StopRequest(), checkpoints=folder / "checkpoints",
    )  # fmt: skip
    arms = build_arms(config)
    driver.drive(wrap(Search(config, arms, "maximize")), "search")
    if config.confirm.seeds:
        record = storage.load_record(config.name)
        confirmation = Confirmation(config, arms, record.trials, record.objective)
        driver.drive(wrap(confirmation), "confirm")
    storage.mark_finished(config.name)
    return storage.load_record(config.name)
