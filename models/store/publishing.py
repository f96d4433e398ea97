"""Publish a trained model as a new version, with golden names and aliases; remove versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.casing import casing_of
from models.config import ModelConfig
from models.errors import OptionError, StoreError
from models.inference import AS_DRAWN, Kernels, NameGenerator, predictor_of
from models.kernel.int8.model import has_integers
from models.manifest import FORMAT_1, FORMAT_2, DataRecord, Manifest
from models.store.aliases import (
    DEFAULT,
    LATEST,
    REASONS,
    STABLE,
    Aliases,
    DatasetAliases,
    Reason,
    merged,
)
from models.store.checkpoint import (
    CASING,
    NAMES,
    WEIGHTS,
    load_checkpoint,
    pack,
    read_casing,
    read_verified,
    records,
    save_checkpoint,
)
from models.store.files import Key, Store, VersionTaken
from models.styles import NO_STYLES, Styles
from models.vocabulary import Vocabulary

GOLDEN_COUNT, GOLDEN_SEED = 20, 0


@dataclass(frozen=True)
class Draft:
    """A trained model without a version number.

    `names`: every distinct name of its list; `files`: card.md, plots and others; `styles`: what the network learned.
    """

    dataset: str
    config: ModelConfig
    vocabulary: Vocabulary
    parameters: int
    data: DataRecord
    seed: int
    metrics: Mapping[str, float]
    training: Mapping[str, bool | int | float | str | None]
    arrays: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    files: Mapping[str, bytes]
    styles: Styles = NO_STYLES


def golden_names(generator: NameGenerator) -> tuple[str, ...]:
    """Return the first 20 names of seed 0 at temperature 1, which a loader must reproduce exactly."""
    return tuple(generator.generate(GOLDEN_COUNT, seed=GOLDEN_SEED, constraints=AS_DRAWN).names)


def draft_generator(draft: Draft, kernels: Kernels) -> NameGenerator:
    """Return the generator of the future version, for samples before it is published."""
    predictor = predictor_of(draft.config, draft.arrays, draft.vocabulary, kernels, len(draft.styles))
    longest = draft.vocabulary.longest(draft.names, draft.data.longest)
    casing = casing_of(read_casing(draft.files.get(CASING, b"")), draft.vocabulary.locale)
    return NameGenerator(predictor, draft.names, longest, kernels, styles=draft.styles, casing=casing)


def publish(draft: Draft, stores: Sequence[Store], kernels: Kernels, now: datetime) -> Manifest:
    """Publish `draft` into the last of `stores` under the next number, and return its manifest.

    The number is above those of all stores. `latest` moves; `default` and `stable` are set if they are missing. After a
    crash the version is complete or absent. The number of a removed version is not used again, because `latest` in the
    alias file keeps the highest one. Raises `StoreError` for a reserved name, for a damaged alias file, and if the
    store is not writable.
    """
    if draft.dataset == REASONS:
        raise StoreError(f'A data set cannot be called "{REASONS}": the alias file uses the word.', field="dataset")
    target = stores[-1]
    files = pack(draft.arrays, draft.names, draft.files)
    golden = golden_names(draft_generator(draft, kernels))
    with target.writing():
        number = 1 + _highest(_place(draft), stores)
        # A bucket has no lock: another machine may take a number at any moment.
        while not _is_added(manifest := _manifest(draft, number, files, golden, now), files, target):
            number += 1
        key = Key(*_place(draft), number)
        below = [store.aliases() for store in stores[:-1]]
        target.change_aliases(lambda aliases: _announce(key, aliases, below))
    return manifest


def _is_added(manifest: Manifest, files: Mapping[str, bytes], target: Store) -> bool:
    """Add the version to `target`, and return whether its number was free."""
    key = Key(manifest.dataset, manifest.architecture, manifest.version)
    try:
        target.add(key, lambda folder: save_checkpoint(folder, manifest, files))
    except VersionTaken:
        return False
    return True


def draft_of(folder: Path) -> Draft:
    """Return a published version as a draft, with any sampling number. Raises `CheckpointError`."""
    checkpoint = load_checkpoint(folder, any_sampling=True)
    m = checkpoint.manifest
    extras = {name: read_verified(folder, m, name) for name in m.files if name not in (WEIGHTS, NAMES)}
    return Draft(
        dataset=m.dataset,
        config=m.config,
        vocabulary=m.alphabet,
        parameters=m.parameters,
        data=m.data,
        seed=m.seed,
        metrics=m.metrics,
        training=m.training,
        arrays=checkpoint.arrays,
        names=tuple(checkpoint.names),
        files=extras,
        styles=Styles(m.styles or {}),
    )


def _place(draft: Draft) -> tuple[str, str]:
    return draft.dataset, draft.config.architecture


def _highest(place: tuple[str, str], stores: Sequence[Store]) -> int:
    """Return the highest number ever used in any of `stores`, 0 if there is none."""
    present = [key.version for store in stores for key in store.present() if key[:2] == place]
    dataset, architecture = place
    given = [store.aliases().of(dataset).versions.get(architecture, {}).get(LATEST, 0) for store in stores]
    return max([*present, *given])


def _manifest(
    draft: Draft, number: int, files: Mapping[str, bytes], golden: tuple[str, ...], now: datetime
) -> Manifest:
    unsealed = Manifest(
        schema_number=FORMAT_2 if _needs_format_2(draft) else FORMAT_1,
        dataset=draft.dataset,
        version=number,
        created=now.astimezone(UTC).isoformat(timespec="seconds"),
        config=draft.config,
        vocabulary=draft.vocabulary.characters,
        parameters=draft.parameters,
        data=draft.data,
        seed=draft.seed,
        metrics=dict(draft.metrics),
        training=dict(draft.training),
        files=records(files),
        golden=golden,
        styles={name: tuple(values) for name, values in draft.styles.values.items()} or None,
        locale=draft.vocabulary.locale or None,
    )
    return unsealed.sealed()


def _needs_format_2(draft: Draft) -> bool:
    vocabulary = draft.vocabulary
    return bool(
        has_integers(draft.arrays)
        or draft.styles.values
        or vocabulary.locale
        or vocabulary.clustered
        or CASING in draft.files
    )


def _announce(key: Key, aliases: Aliases, below: Sequence[Aliases]) -> Aliases:
    """Return `aliases` with the new version as `latest`.

    It also becomes `stable` and `default` if no store has them.
    """
    together = merged([*below, aliases], key.dataset)
    mine = aliases.of(key.dataset)
    # Another machine may have announced a later version first.
    latest = max(key.version, mine.versions.get(key.architecture, {}).get(LATEST, 0))
    mine = mine.moved(key.architecture, LATEST, latest)
    if STABLE not in together.versions.get(key.architecture, {}):
        mine = mine.moved(key.architecture, STABLE, key.version)
    if together.default is None:
        mine = mine.model_copy(update={"default": f"{key.architecture}@{key.version}"})
    return aliases.with_dataset(key.dataset, mine)


def remove(key: Key, stores: Sequence[Store], reason: str, now: datetime) -> None:
    """Remove `key` from the last of `stores`, with aliases that no other version could take over.

    Raises `OptionError` if an alias that could be moved points to it, if the last store does not have it or is not the
    user's own, and without a reason; `StoreError` if the store is not writable.
    """
    if not reason.strip():
        raise OptionError('A removal wants a reason, which is kept with the aliases: --reason "...".', field="reason")
    store, others = stores[-1], stores[:-1]
    own = bool(others) and store.root.resolve() not in {other.root.resolve() for other in others}
    if not own or key not in store.present():
        raise OptionError(
            f"{key.reference} is not in your own store, {store.name}: what ships is released and stays as it is. "
            "An alias of yours can point past it.",
            field="model",
        )
    with store.writing():
        rest = [each for each in store.present() if each != key]
        rest += [each for other in others for each in other.present()]
        entry = Reason(
            alias=key.reference, target="removed", reason=reason, at=now.astimezone(UTC).isoformat(timespec="seconds")
        )

        def change(aliases: Aliases) -> Aliases:
            if key not in rest:
                _refuse_if_meant(key, rest, merged([*(other.aliases() for other in others), aliases], key.dataset))
            return _without(key, rest, aliases, entry)

        store.change_aliases(change)
        store.take_away(key)


def _refuse_if_meant(key: Key, rest: Sequence[Key], aliases: DatasetAliases) -> None:
    """Raise if an alias points to `key` and another version of `rest` could take it over."""
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
    """Return `aliases` with the reason, without aliases of nothing. `latest` keeps the number."""
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
