"""An undo knows which family each value is of, so that one that cannot be read is not taken for one that is gone."""

from bot.store.migrations.versions.v0005_typed_looks import Json, family_of, rewrite

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    rewrite("offers", "id", "plan", plan)
    rewrite("reports", "id", "body", report)


def report(old: Json) -> Json:
    return old | {"plans": [plan(each) for each in old.get("plans", [])]}


def plan(old: Json) -> Json:
    left = old["basis"]  # of an undo: what the run left, but for what it removed
    restores = [
        {"family": family_of(name), "name": name, "before": was or None, "after": left.get(name), "announced": True}
        for name, was in old.get("restores", {}).items()
    ]
    return old | {"restores": restores}
