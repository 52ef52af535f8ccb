"""Run by Alembic: migrates within the transaction that ``upgrade`` was given."""

from alembic import context

from bot.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
