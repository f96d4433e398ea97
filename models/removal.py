"""Taking a version out of the user's store again: who may not go, and what goes along. Publishing is `publication`'s
job.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from models.aliases import DEFAULT, LATEST, Aliases, DatasetAliases, Reason, merged
from models.errors import OptionError
from models.store import Key, Store


def remove(key: Key, stores: Sequence[Store], reason: str, now: datetime) -> None:
    """Remove `key` from the last of `stores`. Aliases that no other version could take over go along.

    Raises `OptionError` where an alias points to it that could be moved, where the last store does not have it or is
    not the user's own beside others, and without a reason; `StoreError` where the store cannot be written.
    """
    if not reason.strip():
        raise OptionError('A removal wants a reason, which is kept with the aliases: --reason "...".', field="reason")
    store, others = stores[-1], stores[:-1]
    own = bool(others) and store.root.resolve() not in {other.root.resolve() for other in others}
    if not own or key not in store.present():
        raise OptionError(
            f"{key.reference} is not in your own store, {store.root}: what ships is released and stays as it is. "
            "An alias of yours can point past it.",
            field="model",
        )
    with store.writing():
        rest = [each for each in store.present() if each != key]
        rest += [each for other in others for each in other.present()]
        if key not in rest:
            _refuse_if_meant(key, rest, merged([each.aliases() for each in stores], key.dataset))
        entry = Reason(
            alias=key.reference, target="removed", reason=reason, at=now.astimezone(UTC).isoformat(timespec="seconds")
        )
        store.change_aliases(lambda aliases: _without(key, rest, aliases, entry))
        store.take_away(key)


def _refuse_if_meant(key: Key, rest: Sequence[Key], aliases: DatasetAliases) -> None:
    """Raise where an alias points to `key` and another version of `rest` could take it over."""
    brothers = [each for each in rest if each[:2] == key[:2]]
    relatives = [each for each in rest if each.dataset == key.dataset]
    names = aliases.versions.get(key.architecture, {})
    pointing = []
    if brothers:
        other = max(brothers)
        pointing = [f"{key.dataset}/{key.architecture} {alias} {other.version}" for alias in _at(key, names)]
    if aliases.default == f"{key.architecture}@{key.version}" and relatives:
        other = max(brothers or relatives)
        pointing.append(f"{key.dataset} {DEFAULT} {other.architecture}@{other.version}")
    if pointing:
        raise OptionError(
            f"{key.reference} is what an alias points to. Move it first, e.g. "
            + ", and ".join(f'python -m app models alias {words} --reason "..."' for words in pointing),
            field="model",
        )


def _without(key: Key, rest: Sequence[Key], aliases: Aliases, entry: Reason) -> Aliases:
    """Return `aliases` with the reason, and without those that nothing is left for. `latest` keeps the number."""
    mine = aliases.of(key.dataset)
    if key not in rest:
        names = mine.versions.get(key.architecture, {})
        kept = {alias: number for alias, number in names.items() if alias not in _at(key, names)}
        kept[LATEST] = max(key.version, names.get(LATEST, 0))
        default = None if mine.default == f"{key.architecture}@{key.version}" else mine.default
        mine = DatasetAliases(default=default, versions={**mine.versions, key.architecture: kept})
    changed = aliases.with_dataset(key.dataset, mine)
    return Aliases.model_validate(changed.model_copy(update={"reasons": (*aliases.reasons, entry)}).model_dump())


def _at(key: Key, names: dict[str, int]) -> list[str]:
    return [alias for alias, number in names.items() if number == key.version and alias != LATEST]
