"""Where files are kept that several machines read and write: a folder, or a bucket.

protocol   what a store can do
local      a folder of this machine, or one that is mounted
remote     whatever fsspec can write: S3, Google Cloud, Azure, SFTP
services   what users set for each service
location   the place that a user names, and the store that is there
sealed     files with a manifest that says what they must contain
run_weights  the weights of a run, until the driver takes them
"""

from bakeoff.stores.local import LocalStore
from bakeoff.stores.location import (
    check_location,
    clear_store,
    is_url,
    join,
    open_store,
    try_store,
)
from bakeoff.stores.protocol import Store
from bakeoff.stores.remote import RemoteStore

__all__ = [
    "LocalStore",
    "RemoteStore",
    "Store",
    "check_location",
    "clear_store",
    "is_url",
    "join",
    "open_store",
    "try_store",
]
