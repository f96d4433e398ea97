"""From a trained model to a new version in a store: number, golden names, folder, aliases. Reading versions is the
registry's job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.aliases import LATEST, REASONS, STABLE, Aliases, merged
from models.checkpoint import NAMES, WEIGHTS, load_checkpoint, pack, read_verified, records, save_checkpoint
from models.config import ModelConfig
from models.errors import StoreError
from models.inference import AS_DRAWN, FrozenModel, Kernels, ModelPredictor, NameGenerator, freeze
from models.manifest import DataRecord, Manifest
from models.store import Key, Store
from models.vocabulary import Vocabulary

GOLDEN_COUNT, GOLDEN_SEED = 20, 0


@dataclass(frozen=True)
class Draft:
    """A trained model, not yet numbered. `names`: every distinct name of its list; `files`: card.md, pictures and the
    like.
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


def golden_names(generator: NameGenerator) -> tuple[str, ...]:
    """Return the first 20 names of seed 0 at temperature 1: what a loader must draw again, to the letter."""
    return tuple(generator.generate(GOLDEN_COUNT, seed=GOLDEN_SEED, constraints=AS_DRAWN).names)


def draft_generator(draft: Draft, kernels: Kernels) -> NameGenerator:
    """Return the generator that the published version will be: for samples before there is a version."""
    predictor = ModelPredictor(_frozen(draft), draft.vocabulary, kernels)
    return NameGenerator(predictor, draft.names, draft.data.longest, kernels)


def publish(draft: Draft, stores: Sequence[Store], kernels: Kernels, now: datetime) -> Manifest:
    """Put `draft` into the last of `stores` under the next number over all of them, and return its manifest.

    `latest` moves; `default` and `stable` are set where there are none. After a crash the version is there whole or
    not at all. A removed version's number is not given again: `latest` in the alias file keeps the highest one. Raises
    `StoreError` for a reserved name, for a damaged alias file and where the store cannot be written.
    """
    if draft.dataset == REASONS:
        raise StoreError(f'A data set cannot be called "{REASONS}": the alias file uses the word.', field="dataset")
    target = stores[-1]
    files = pack(draft.arrays, draft.names, draft.files)
    with target.writing():
        number = 1 + _highest(_place(draft), stores)
        unsigned = _manifest(draft, number, files, now)
        manifest = unsigned.model_copy(update={"golden": golden_names(draft_generator(draft, kernels))}).sealed()
        key = Key(*_place(draft), number)
        target.add(key, lambda folder: save_checkpoint(folder, manifest, files))
        below = [store.aliases() for store in stores[:-1]]
        target.change_aliases(lambda aliases: _announce(key, aliases, below))
    return manifest


def draft_of(folder: Path) -> Draft:
    """Return a published version as a draft again, whatever its sampling number. Raises `CheckpointError`."""
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
        names=checkpoint.names,
        files=extras,
    )


def _place(draft: Draft) -> tuple[str, str]:
    return draft.dataset, draft.config.architecture


def _highest(place: tuple[str, str], stores: Sequence[Store]) -> int:
    """Return the highest number that was given in any of `stores`, 0 if none was."""
    present = [key.version for store in stores for key in store.present() if key[:2] == place]
    dataset, architecture = place
    given = [store.aliases().of(dataset).versions.get(architecture, {}).get(LATEST, 0) for store in stores]
    return max([*present, *given])


def _frozen(draft: Draft) -> FrozenModel:
    return freeze(draft.config, draft.arrays)


def _manifest(draft: Draft, number: int, files: Mapping[str, bytes], now: datetime) -> Manifest:
    return Manifest(
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
        golden=(),
    )


def _announce(key: Key, aliases: Aliases, below: Sequence[Aliases]) -> Aliases:
    """Return `aliases` with the new version as `latest`, and as `stable` and `default` where no store has them."""
    together = merged([*below, aliases], key.dataset)
    mine = aliases.of(key.dataset).moved(key.architecture, LATEST, key.version)
    if STABLE not in together.versions.get(key.architecture, {}):
        mine = mine.moved(key.architecture, STABLE, key.version)
    if together.default is None:
        mine = mine.model_copy(update={"default": f"{key.architecture}@{key.version}"})
    return aliases.with_dataset(key.dataset, mine)
