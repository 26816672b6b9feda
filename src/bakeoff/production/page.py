"""The page of one run: its learning curves, scores and settings."""

from bakeoff.components.metrics import metric_info
from bakeoff.files import write_atomically
from bakeoff.production.one_configuration import params_of
from bakeoff.production.run import RunReport
from bakeoff.records import as_plain
from bakeoff.report.run_page import RunPage, render_run_page


def write_page(report: RunReport) -> RunPage:
    """Write the page into the run's folder, and return what it shows."""
    config, result, facts = report.config, report.result, report.folder.load_facts()
    page = RunPage(
        study=config.name,
        run=report.folder.path.name,
        objective=metric_info(config.objective, config, facts.num_targets),
        outcome=result.outcome,
        history=report.history,
        scored_epoch=result.scored_epoch,
        validation_metrics=result.validation_metrics,
        test_metrics=result.test_metrics,
        settings={
            **params_of(config),
            **({"data": config.data.dataset} if config.data.is_given else {}),
            **({"model": config.model} if config.model else {}),
            **{f"model.{key}": value for key, value in config.model_params.items()},
            **{
                f"training.{key}": value
                for key, value in as_plain(config.training).items()
                if value is not None
            },
            "precision": facts.precision,
            "training seed": facts.seed,
            "threads": facts.threads,
        },
        note=result.note,
    )
    write_atomically(report.folder.page, render_run_page(page))
    return page
