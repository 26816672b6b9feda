"""How each service is given credentials and an address: what a message can tell a user to set."""

import logging
import re
from collections.abc import Mapping
from typing import NamedTuple


class Service(NamedTuple):
    """What users set for a service, and how its client reports what is wrong."""

    credentials: str
    address: str
    loggers: tuple[str, ...] = ()
    """Loggers whose warnings would be shown as well as the error that is raised."""


S3 = Service(
    credentials="AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    address="AWS_ENDPOINT_URL_S3 for a server that is not Amazon's, or AWS_DEFAULT_REGION",
)
GOOGLE = Service(
    credentials="GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth"
    " application-default login`",
    address="STORAGE_EMULATOR_HOST for a server that is not Google's",
    loggers=("gcsfs",),
)
AZURE = Service(
    credentials="AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and"
    " AZURE_STORAGE_ACCOUNT_KEY",
    address="AZURE_STORAGE_ACCOUNT_NAME, or BlobEndpoint in AZURE_STORAGE_CONNECTION_STRING",
    loggers=("adlfs", "azure"),
)
SERVICES: Mapping[str, Service] = {
    **dict.fromkeys(("s3", "s3a"), S3),
    **dict.fromkeys(("gs", "gcs"), GOOGLE),
    **dict.fromkeys(("az", "abfs", "abfss"), AZURE),
}
OF_CREDENTIALS = re.compile(
    r"credential|authenticat|profile|connection string|token", re.IGNORECASE
)
OF_ADDRESS = re.compile(r"endpoint|connect|timeout|timed out|name or service", re.IGNORECASE)


def advise(protocol: str, error: Exception) -> str:
    """What to set after an error of a service's client; empty if that is not known.

    The package of a service may not be installed, so its errors are recognised by their names and
    words, and not by their classes.
    """
    service = SERVICES.get(protocol)
    words = f"{type(error).__name__} {error}"
    if service is None:
        return ""
    if isinstance(error, PermissionError) or OF_CREDENTIALS.search(words):
        return f"; set {service.credentials}"
    if isinstance(error, ConnectionError | TimeoutError) or OF_ADDRESS.search(words):
        return f"; set {service.address}"
    return ""


def quiet(protocol: str) -> None:
    """Keep a client from logging what it also raises, unless the program has a log for it."""
    service = SERVICES.get(protocol)
    for name in service.loggers if service else ():
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
