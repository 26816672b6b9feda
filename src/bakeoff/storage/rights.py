"""What a role of a PostgreSQL server may do in a storage.

Without these questions, a person who may only read would learn it from the server's message about
the first table that the driver writes, after data, model and precision were measured.
"""

import sqlalchemy

from bakeoff.errors import StorageError

SCHEMA = "SELECT current_user, has_schema_privilege(current_schema(), 'CREATE')"
TABLES = """
SELECT current_user, bool_and(has_table_privilege(c.oid, 'INSERT')
AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
FROM pg_class c WHERE c.oid = to_regclass('studies') OR c.oid = to_regclass('trials')
"""


def check_may_write(engine: sqlalchemy.Engine, shown: str, *, has_tables: bool) -> None:
    """Refuse a role that may not store studies.

    Args:
        engine: An engine of the database; databases other than PostgreSQL have no roles.
        shown: The address without secrets, for messages.
        has_tables: Whether Optuna's tables exist.

    Raises:
        StorageError: The role may not write to the tables, or may not make them.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        question = sqlalchemy.text(TABLES if has_tables else SCHEMA)
        role, may_write = connection.execute(question).one()
    if may_write:
        return
    if has_tables:
        raise StorageError(
            f"storage {shown}: the role {role!r} may read studies and not change them; a role that"
            " runs studies needs INSERT, UPDATE and DELETE on all tables"
        )
    raise StorageError(
        f"storage {shown}: there are no tables yet, and the role {role!r} may not make them; the"
        " owner of the database makes them with `study doctor --make-tables`"
    )


def describe_rights(engine: sqlalchemy.Engine) -> str:
    """What the role of a PostgreSQL server may do; empty for other databases."""
    if engine.dialect.name != "postgresql":
        return ""
    with engine.connect() as connection:
        role, may_write = connection.execute(sqlalchemy.text(TABLES)).one()
    return f"{role} may {'read and write' if may_write else 'read'}"
