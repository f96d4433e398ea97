"""The versions that can be served, over two stores read together: what is new is verified here before anyone sees it.
What a reference means is the snapshot's job; a reference is looked up, never made a path.

A version that cannot be trusted is listed in `refused` with the reason; the others go on.
"""

import errno
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from models.errors import CheckpointError, ModelError, OptionError
from models.inference import Kernels, NameGenerator, predictor_of
from models.manifest import Manifest
from models.store.aliases import DEFAULT, LATEST, Aliases, DatasetAliases, Reason
from models.store.checkpoint import NAMES, load_checkpoint
from models.store.contents import Contents, StoreFingerprint
from models.store.files import Key, Stamp, Store, stamps
from models.store.pins import Pins
from models.store.publishing import Draft, draft_of, golden_names, publish, remove
from models.store.snapshot import Snapshot
from models.store.version import Version

SHIPPED = Path(__file__).parents[1] / "artifacts"
# These pass: a version that could not be read for one of them is tried again.
PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)

# Where a version lies and the stamp of its manifest; where one that was refused lies and the stamps of all its files.
Place = tuple[Path, Stamp]
Seen = tuple[Path, dict[str, Stamp | None]]


@dataclass(frozen=True)
class _Verified:
    """What verifying gave: the versions, why others are refused, and what each of both was read from."""

    versions: dict[Key, Version] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)
    read: dict[Key, Place] = field(default_factory=dict)
    rejected: dict[Key, Seen] = field(default_factory=dict)


class ModelRegistry:
    """Versions of several stores, the later ones' aliases winning. Empty until `refresh`.

    `now` is what is served, whole: who reads more than one thing of it reads it from there. Threads may share a
    registry.
    """

    def __init__(self, stores: Sequence[Store], kernels: Kernels, pins: Pins | None = None) -> None:
        self.stores = tuple(stores)
        self.kernels = kernels
        self.pins = pins
        self.now = Snapshot()
        self._lock = threading.Lock()
        self._contents = tuple(Contents() for _ in self.stores)
        self._verified = _Verified()

    @classmethod
    def open(
        cls, kernels: Kernels, user: Path | None = None, shipped: Path | None = None, pins: Pins | None = None
    ) -> "ModelRegistry":
        """Return a refreshed registry over the shipped store and the user's, where one is given. With `pins`, it trusts
        only what they name.
        """
        folders = [shipped or SHIPPED] if user is None else [shipped or SHIPPED, user]
        registry = cls([Store(folder) for folder in folders], kernels, pins)
        registry.refresh()
        return registry

    def changed(self) -> bool:
        """Tell whether `refresh` would find anything new: far less than a millisecond for some dozens of versions."""
        seen = any(
            c.fingerprint != StoreFingerprint.of(store) for store, c in zip(self.stores, self._contents, strict=True)
        )
        return seen or any(stamps(folder) != read for folder, read in self._verified.rejected.values())

    def refresh(self) -> None:
        """Read the stores again: every version not yet known is verified, frozen and made to draw its golden names.

        It is seen by nobody before that. What cannot be read counts as it was before, and `stand_ins` says so.
        """
        with self._lock:
            pairs = zip(self.stores, self._contents, strict=True)
            contents = tuple(Contents.of(store, before) for store, before in pairs)
            places = {
                key: (store.folder(key), manifest)
                for store, each in zip(self.stores, contents, strict=True)
                for key, manifest in each.manifests.items()
            }
            verified = self._verify(places)
            aliases = [each.aliases for each in contents]
            troubles = [line for each in contents for line in each.troubles]
            now = Snapshot(verified.versions, verified.refused, aliases, troubles, self.now.meanings)
            # Made here, it is not made by the first request.
            _ = now.choices, now.stand_ins
            self._contents, self._verified, self.now = contents, verified, now

    def _verify(self, places: Mapping[Key, Place]) -> _Verified:
        """Return what can be served, and why the rest cannot. What was verified is not read again before it changes,
        and serves as long as it is there.
        """
        # Versions of one list share its names.
        names: dict[str, frozenset[str]] = {}
        before, after = self._verified, _Verified()
        for key, place in sorted(places.items()):
            if before.read.get(key) == place:
                after.versions[key], after.read[key] = before.versions[key], place
                continue
            folder = place[0]
            seen = folder, stamps(folder)
            if before.rejected.get(key) == seen:
                reason = before.refused[key]
            else:
                try:
                    after.versions[key], after.read[key] = _load(key, folder, self.kernels, names, self.pins), place
                    continue
                # Whatever is wrong with one version, the others go on.
                except Exception as error:
                    reason = str(error) if isinstance(error, ModelError) else f"{folder} cannot be loaded: {error!r}."
                    # Nothing has such stamps: it is tried again.
                    seen = (folder, {"": None}) if _passes(error) else seen
            after.refused[key], after.rejected[key] = reason, seen
            if key in before.versions:
                after.versions[key], after.read[key] = before.versions[key], before.read[key]
        return after

    @property
    def refused(self) -> dict[str, str]:
        """Versions that are in a store but cannot be trusted, and why."""
        return self.now.refused

    @property
    def stand_ins(self) -> list[str]:
        """One line for each alias that means another version than it says, and for each store that cannot be read."""
        return self.now.stand_ins

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a version that is served."""
        return self.now.datasets()

    def versions(self, dataset: str | None = None) -> list[Version]:
        """Return all versions, or those of one data set. Raises `UnknownReference`."""
        return self.now.versions(dataset)

    def aliases(self, dataset: str) -> DatasetAliases:
        """Return what the data set's aliases mean."""
        return self.now.aliases(dataset)

    def resolve(self, dataset: str | None = None, model: str | None = None) -> Version:
        """Return the version that is meant.

        `model`: None for the data set's default, "architecture" (its latest), "architecture@version",
        "architecture@alias", each also with "dataset/" before it. Raises `UnknownReference` with the nearest names,
        `OptionError` where the two data sets differ, `CheckpointError` where the version is there but refused.
        """
        return self.now.resolve(dataset, model)

    def problems(self) -> list[str]:
        """Return one line for each data set of which nothing can be served; none means ready."""
        return self.now.problems()

    def reasons(self) -> list[Reason]:
        """Return why each alias that was moved by hand points where it does, and why versions were removed."""
        return self.now.reasons()

    def publish(self, draft: Draft) -> Manifest:
        """Publish `draft` into the last store and read the stores again. See `publishing.publish`."""
        manifest = publish(draft, self.stores, self.kernels, datetime.now(UTC))
        self.refresh()
        return manifest

    def republish(self, model: str) -> Manifest:
        """Publish a version's weights again under a new number: what one of an earlier sampling number needs.

        Aliases that meant the old version mean the new one then. Raises `UnknownReference`, `CheckpointError`,
        `StoreError`.
        """
        key = self.now.meant(None, model)
        if key in self.now.versions_by_key:
            raise OptionError(f"{key.reference} is served as it is; it need not be published again.", field="model")
        aliases = self.now.said[key.dataset]
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

    def remove(self, reference: str, reason: str) -> str:
        """Remove a version from the last store and return its reference. See `publishing.remove`.

        `reference` is "dataset/architecture@number": no alias, which may mean another version tomorrow. Raises
        `UnknownReference`, `OptionError`, `StoreError`.
        """
        key = self.now.meant(None, reference)
        if key.reference != reference:
            raise OptionError(f"{reference} may mean another version tomorrow: write {key.reference}.", field="model")
        remove(key, self.stores, reason, datetime.now(UTC))
        self.refresh()
        return key.reference


def _load(key: Key, folder: Path, kernels: Kernels, names: dict[str, frozenset[str]], pins: Pins | None) -> Version:
    checkpoint = load_checkpoint(folder, pins=pins)
    manifest = checkpoint.manifest
    if manifest.reference != key.reference:
        raise CheckpointError(f"{folder} says that it is {manifest.reference}: it was moved or copied.")
    listed = names.setdefault(manifest.files[NAMES].sha256, frozenset(checkpoint.names))
    try:
        predictor = predictor_of(manifest.config, checkpoint.arrays, manifest.alphabet, kernels)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    generator = NameGenerator(predictor, listed, manifest.data.longest, kernels)
    if golden_names(generator) != manifest.golden:
        raise CheckpointError(f"{folder} does not draw the golden names of its manifest.")
    return Version(manifest, generator, folder)


def _passes(error: BaseException) -> bool:
    cause = error.__cause__ or error
    return isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno in PASSING)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
