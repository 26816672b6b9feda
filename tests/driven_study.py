"""Drives a study to its end on a simulated engine."""

from bakeoff.driver import Driver, StopRequest
from bakeoff.session.repeats import StudyRun
from bakeoff.storage import Storage
from study_examples import SilentObserver, study_facts


def drive(config, engine, url, folder, *, stop=None, observer=None, deadline=None):
    """Search and confirm as a session does; again on the same storage continues.

    Args:
        config: The study.
        engine: Where its runs train.
        url: Of the storage, made if it does not exist.
        folder: For checkpoints.
        stop: Asks the driver to stop.
        observer: Is shown what happens.
        deadline: Ends the search early.
    """
    storage = Storage(url, create=True)
    if not storage.has(config.name):
        storage.create(config, study_facts())
    observer = observer or SilentObserver()
    driver = Driver(
        config=config, facts=study_facts(), storage=storage, engine=engine,
        observer=observer, stop=stop or StopRequest(), checkpoints=folder / "checkpoints",
    )  # fmt: skip
    run = StudyRun(config, study_facts(), storage, driver, observer, deadline)
    run.run_repeats()
    storage.mark_finished(config.name)
    return storage.load_record(config.name)
