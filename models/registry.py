"""The versions that can be served, found by name: two stores read together. A reference is looked up here, never made
a path.

A version that cannot be trusted is listed in `refused` with the reason; the others go on.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from models.aliases import DEFAULT, LATEST, Aliases, DatasetAliases, Reason, merged
from models.checkpoint import NAMES, WEIGHTS, load_checkpoint, read_verified
from models.errors import CheckpointError, ModelError, OptionError, UnknownReference
from models.inference import Kernels, ModelPredictor, NameGenerator, freeze
from models.manifest import Manifest
from models.publication import Draft, draft_of, golden_names, publish
from models.store import Key, Store

SHIPPED = Path(__file__).parent / "artifacts"
DEFAULT_DATASET = "human"


@dataclass(frozen=True)
class Version:
    """A verified version: its manifest, its generator, and its other files on demand."""

    manifest: Manifest
    generator: NameGenerator
    folder: Path

    @property
    def reference(self) -> str:
        """E.g. "human/wavenet@1"."""
        return self.manifest.reference

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.manifest.dataset

    @property
    def model(self) -> str:
        """What an answer calls it: the reference."""
        return self.manifest.reference

    @property
    def digest(self) -> str:
        """What the names depend on: the weights, the list, and how names are drawn."""
        files = self.manifest.files
        return f"{self.reference} {files[WEIGHTS].sha256} {files[NAMES].sha256} {self.manifest.sampling}"

    def file(self, name: str) -> bytes:
        """Return a file that the manifest lists. Raises `UnknownReference` for any other name, `CheckpointError` if
        altered.
        """
        if name not in self.manifest.files:
            raise _unknown("file", name, self.manifest.files, f"{self.reference} has no file")
        return read_verified(self.folder, self.manifest, name)


@dataclass(frozen=True)
class _Snapshot:
    """What the stores held at one moment. It is replaced whole, so that a reader never sees half of a refresh."""

    versions: Mapping[Key, Version]
    refused: Mapping[Key, str]
    aliases: Sequence[Aliases]

    @cached_property
    def merged(self) -> dict[str, DatasetAliases]:
        """The aliases of each data set over all stores."""
        return {dataset: merged(self.aliases, dataset) for dataset in sorted({key.dataset for key in self._keys()})}

    @cached_property
    def choices(self) -> dict[str, dict[str, dict[str, int]]]:
        """What may stand behind the @, and the version it means, by data set and architecture; all are sorted."""
        choices: dict[str, dict[str, dict[str, int]]] = {dataset: {} for dataset in self.merged}
        for key in sorted(self._keys()):
            choices[key.dataset].setdefault(key.architecture, {})[str(key.version)] = key.version
        for dataset, architectures in choices.items():
            for architecture, labels in architectures.items():
                aliases = self.merged[dataset].versions.get(architecture, {})
                labels.update({LATEST: max(labels.values()), **aliases})
        return choices

    def _keys(self) -> list[Key]:
        return [*self.versions, *self.refused]


class ModelRegistry:
    """Versions of several stores, the later ones' aliases winning. Empty until `refresh`."""

    def __init__(self, stores: Sequence[Store], kernels: Kernels) -> None:
        self.stores = tuple(stores)
        self.kernels = kernels
        self._now = _Snapshot({}, {}, ())

    @classmethod
    def open(cls, kernels: Kernels, user: Path | None = None, shipped: Path | None = None) -> "ModelRegistry":
        """Return a refreshed registry over the shipped store and the user's, where one is given."""
        folders = [shipped or SHIPPED] if user is None else [shipped or SHIPPED, user]
        registry = cls([Store(folder) for folder in folders], kernels)
        registry.refresh()
        return registry

    def refresh(self) -> None:
        """Read the stores again: every version not yet known is verified, frozen and made to draw its golden names.

        Raises `StoreError` where an alias file is damaged; what was served before stays.
        """
        aliases = [store.aliases() for store in self.stores]
        places = {key: store.folder(key) for store in self.stores for key in store.present()}
        # Versions of one list share its names.
        names: dict[str, frozenset[str]] = {}
        versions: dict[Key, Version] = {}
        refused: dict[Key, str] = {}
        for key, folder in sorted(places.items()):
            try:
                versions[key] = self._now.versions.get(key) or _load(key, folder, self.kernels, names)
            except ModelError as error:
                refused[key] = str(error)
        self._now = _Snapshot(versions, refused, aliases)

    @property
    def refused(self) -> dict[str, str]:
        """Versions that are in a store but not served, and why."""
        return {key.reference: reason for key, reason in self._now.refused.items()}

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a version."""
        return sorted({key.dataset for key in self._now.versions})

    def versions(self, dataset: str | None = None) -> list[Version]:
        """Return all versions, or those of one data set. Raises `UnknownReference`."""
        if dataset is not None and dataset not in self.datasets():
            raise _unknown("dataset", dataset, self.datasets(), "There is no data set")
        return [version for key, version in self._now.versions.items() if dataset in (None, key.dataset)]

    def aliases(self, dataset: str) -> DatasetAliases:
        """Return the data set's aliases over all stores."""
        return self._now.merged.get(dataset) or merged(self._now.aliases, dataset)

    def resolve(self, dataset: str | None = None, model: str | None = None) -> Version:
        """Return the version that is meant.

        `model`: None for the data set's default, "architecture" (its latest), "architecture@version",
        "architecture@alias", each also with "dataset/" before it. Raises `UnknownReference` with the nearest names,
        `OptionError` where the two data sets differ, `CheckpointError` where the version is there but refused.
        """
        now = self._now
        key = _meant(now, dataset, model)
        if key in now.versions:
            return now.versions[key]
        reason = now.refused.get(key, "an alias points to it, but no store has it")
        raise CheckpointError(f"{key.reference} is not served: {reason}", field="model")

    def problems(self) -> list[str]:
        """Return one line for each data set whose default cannot be served; none means ready. No data set at all is a
        problem.
        """
        lines = [] if self._now.versions or self._now.refused else ["No store holds a model."]
        for dataset in self._now.choices:
            try:
                self.resolve(dataset)
            except ModelError as error:
                lines.append(str(error))
        return lines

    def reasons(self) -> list[Reason]:
        """Return why each alias that was moved by hand points where it does: its last move, later stores winning."""
        last = {reason.alias: reason for aliases in self._now.aliases for reason in aliases.reasons}
        return list(last.values())

    def publish(self, draft: Draft) -> Manifest:
        """Publish `draft` into the last store and read the stores again. See `publication.publish`."""
        manifest = publish(draft, self.stores, self.kernels, datetime.now(UTC))
        self.refresh()
        return manifest

    def republish(self, model: str) -> Manifest:
        """Publish a version's weights again under a new number: what one of an earlier sampling number needs.

        Aliases that meant the old version mean the new one then. Raises `UnknownReference`, `CheckpointError`,
        `StoreError`.
        """
        key = _meant(self._now, None, model)
        if key in self._now.versions:
            raise OptionError(f"{key.reference} is served as it is; it need not be published again.", field="model")
        aliases = self.aliases(key.dataset)
        folder = next(store.folder(key) for store in reversed(self.stores) if key in store.present())
        manifest = self.publish(draft_of(folder))
        reason = f"published again for sampling {manifest.sampling}, before: {key.reference}"
        if aliases.default == f"{key.architecture}@{key.version}":
            self.alias(key.dataset, DEFAULT, f"{key.architecture}@{manifest.version}", reason)
        for name, number in aliases.versions.get(key.architecture, {}).items():
            if number == key.version and name != LATEST:
                self.alias(f"{key.dataset}/{key.architecture}", name, str(manifest.version), reason)
        return manifest

    def alias(self, place: str, alias: str, target: str, reason: str) -> Version:
        """Move an alias in the last store and return the version it now means.

        alias("human", "default", "wavenet@2", ...) or alias("human/wavenet", "stable", "2", ...). The
        target must be one that is served. Raises `UnknownReference`, `OptionError`, `StoreError`.
        """
        dataset, _, architecture = place.partition("/")
        if bool(architecture) == (alias == DEFAULT) or alias == LATEST or not reason.strip():
            raise OptionError(
                f"{place} {alias} cannot be moved so. Write: human default wavenet@2, or human/wavenet stable 2, "
                f'with a reason ("{LATEST}" moves by itself).',
                field="alias",
            )
        version = self.resolve(dataset, f"{architecture}@{target}" if architecture else target)
        number, name = version.manifest.version, version.manifest.architecture
        entry = Reason(alias=f"{place} {alias}", target=f"{name}@{number}", reason=reason, at=_now())

        def change(aliases: Aliases) -> Aliases:
            mine = aliases.of(dataset)
            moved = (
                mine.moved(name, alias, number) if architecture else mine.model_copy(update={"default": entry.target})
            )
            changed = aliases.with_dataset(dataset, moved)
            return Aliases.model_validate(
                changed.model_copy(update={"reasons": (*aliases.reasons, entry)}).model_dump()
            )

        store = self.stores[-1]
        with store.writing():
            store.change_aliases(change)
        self.refresh()
        return version


def _load(key: Key, folder: Path, kernels: Kernels, names: dict[str, frozenset[str]]) -> Version:
    checkpoint = load_checkpoint(folder)
    manifest = checkpoint.manifest
    if manifest.reference != key.reference:
        raise CheckpointError(f"{folder} says that it is {manifest.reference}: it was moved or copied.")
    listed = names.setdefault(manifest.files[NAMES].sha256, frozenset(checkpoint.names))
    model = freeze(manifest.config, checkpoint.arrays)
    if len(manifest.alphabet) != model.vocab_size:
        raise CheckpointError(f"{folder}: the vocabulary does not fit the weights.")
    predictor = ModelPredictor(model, manifest.alphabet, kernels)
    generator = NameGenerator(predictor, listed, manifest.data.longest, kernels)
    if golden_names(generator) != manifest.golden:
        raise CheckpointError(f"{folder} does not draw the golden names of its manifest.")
    return Version(manifest, generator, folder)


def _meant(now: _Snapshot, dataset: str | None, model: str | None) -> Key:
    """Return what `ModelRegistry.resolve` resolves to, whether it is served or refused."""
    before, after = _halves(model or "")
    if before and dataset is not None and before != dataset:
        raise OptionError(
            "dataset and model name different data sets.", field="model", allowed="a model of the data set"
        )
    dataset = before or dataset or DEFAULT_DATASET
    if dataset not in now.choices:
        raise _unknown("dataset", dataset, now.choices, "There is no data set")
    return _key(now, dataset, after)


def _key(now: _Snapshot, dataset: str, model: str) -> Key:
    architectures = now.choices[dataset]
    architecture, _, label = (model or now.merged[dataset].default or next(iter(architectures))).partition("@")
    if architecture not in architectures:
        raise _unknown("model", model, architectures, f"{dataset} has no model")
    labels = architectures[architecture]
    if (label or LATEST) not in labels:
        raise _unknown("model", model, [f"{architecture}@{each}" for each in labels], f"{dataset} has no model")
    return Key(dataset, architecture, labels[label or LATEST])


def _halves(model: str) -> tuple[str, str]:
    """Return the data set (or nothing) and the rest of "dataset/architecture@version"; a slash after the @ means
    nothing.
    """
    before, slash, after = model.partition("/")
    return (before, after) if slash and "@" not in before else ("", model)


def _unknown(field: str, given: str, known: Iterable[str], lead: str) -> UnknownReference:
    names = list(known)
    nearest = difflib.get_close_matches(given, names, n=3, cutoff=0.4) or names[:5]
    listed = ", ".join(names[:12])
    return UnknownReference(f"{lead} {given!r}. There is: {listed}.", field=field, allowed=listed, nearest=nearest)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
