"""The versions that can be served from two stores. New versions are verified before they are visible.

The snapshot resolves references; a reference is looked up and never becomes a path. An untrusted version is listed in
`refused` with the reason; the others are served.
"""

import errno
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from models.casing import casing_of
from models.errors import CheckpointError, ModelError, OptionError
from models.inference import Kernels, ListedNames, NameGenerator, predictor_of
from models.manifest import Manifest
from models.store.aliases import DEFAULT, LATEST, Aliases, DatasetAliases, Reason
from models.store.bucket import Location, open_store
from models.store.checkpoint import CASING, load_checkpoint
from models.store.files import Contents, Key, Stamp, Store, StoreFingerprint, stamps
from models.store.pins import Pins
from models.store.publishing import Draft, draft_of, golden_names, publish, remove
from models.store.snapshot import Snapshot
from models.store.version import Version
from models.styles import Styles

SHIPPED = Path(__file__).parents[1] / "artifacts"
# Transient errors: the next refresh tries the version again.
TRANSIENT_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)

# A version's folder with the stamp of its manifest, and a refused version's folder with the stamps of all its files.
ManifestStamp = tuple[Path, Stamp]
FolderStamps = tuple[Path, dict[str, Stamp | None]]


@dataclass(frozen=True)
class _Verified:
    """The versions, the reasons for refusals, and the stamps of the files of both."""

    versions: dict[Key, Version] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)
    read: dict[Key, ManifestStamp] = field(default_factory=dict)
    rejected: dict[Key, FolderStamps] = field(default_factory=dict)


class ModelRegistry:
    """The versions of several stores; aliases of later stores win. Empty until `refresh`.

    `now` is an immutable snapshot: read several things from the same one. Threads may share a registry.
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
        cls, kernels: Kernels, user: Location | None = None, shipped: Path | None = None, pins: Pins | None = None
    ) -> "ModelRegistry":
        """Return a refreshed registry over the shipped store and the user's, if given: a folder or a bucket's URL.

        With `pins`, it trusts only pinned versions. Raises `StoreError` for a bucket that was never read before and
        cannot be read now.
        """
        stores = [Store(shipped or SHIPPED)]
        if user is not None:
            stores.append(open_store(user))
        registry = cls(stores, kernels, pins)
        registry.pull()
        registry.refresh()
        return registry

    def pull(self) -> None:
        """Copy what changed in buckets; then `changed` and `refresh` see it. Raises what `Store.pull` does."""
        for store in self.stores:
            store.pull()

    def changed(self) -> bool:
        """Return whether `refresh` would find changes. It takes far less than a millisecond."""
        seen = any(
            c.fingerprint != StoreFingerprint.of(store) for store, c in zip(self.stores, self._contents, strict=True)
        )
        return seen or any(stamps(folder) != read for folder, read in self._verified.rejected.values())

    def refresh(self) -> None:
        """Read the stores again. New versions are verified, frozen, and reproduce their golden names.

        They are visible only after that. Unreadable parts keep their last state, and `fallbacks` lists them.
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
            read_errors = [line for each in contents for line in each.read_errors]
            now = Snapshot(verified.versions, verified.refused, aliases, read_errors, self.now.alias_targets)
            # Computed here, so that the first request does not have to.
            _ = now.versions_by_label, now.fallbacks
            self._contents, self._verified, self.now = contents, verified, now

    def _verify(self, places: Mapping[Key, ManifestStamp]) -> _Verified:
        """Return the versions that can be served, and why others cannot.

        A verified version is not read again until it changes, and serves as long as it exists.
        """
        # Versions of one list share its names.
        lists: dict[str, ListedNames] = {}
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
                    after.versions[key], after.read[key] = _load(key, folder, self.kernels, lists, self.pins), place
                    continue
                # Any error of one version must not affect the others.
                except Exception as error:
                    reason = str(error) if isinstance(error, ModelError) else f"{folder} cannot be loaded: {error!r}."
                    # No file has these stamps, so the next refresh tries it again.
                    seen = (folder, {"": None}) if _is_transient(error) else seen
            after.refused[key], after.rejected[key] = reason, seen
            if key in before.versions:
                after.versions[key], after.read[key] = before.versions[key], before.read[key]
        return after

    @property
    def refused(self) -> dict[str, str]:
        """Untrusted versions of the stores, with reasons."""
        return self.now.refused

    @property
    def fallbacks(self) -> list[str]:
        """One line for each alias that falls back to another version, and for each unreadable store."""
        return self.now.fallbacks

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a served version."""
        return self.now.datasets()

    def versions(self, dataset: str | None = None) -> list[Version]:
        """Return all versions, or those of one data set. Raises `UnknownReference`."""
        return self.now.versions(dataset)

    def aliases(self, dataset: str) -> DatasetAliases:
        """Return the current targets of the data set's aliases."""
        return self.now.aliases(dataset)

    def resolve(self, dataset: str | None = None, model: str | None = None) -> Version:
        """Return the version that a request selects.

        `model`: None for the data set's default, "architecture" (its latest), "architecture@version", or
        "architecture@alias", each also with "dataset/" before it. Raises `UnknownReference` with the nearest names,
        `OptionError` if the two data sets differ, and `CheckpointError` if the version exists but is refused.
        """
        return self.now.resolve(dataset, model)

    def problems(self) -> list[str]:
        """Return one line for each data set without a served version; an empty list means ready."""
        return self.now.problems()

    def reasons(self) -> list[Reason]:
        """Return the reasons of alias moves and removals."""
        return self.now.reasons()

    def publish(self, draft: Draft) -> Manifest:
        """Publish `draft` into the last store and read the stores again. See `publishing.publish`."""
        manifest = publish(draft, self.stores, self.kernels, datetime.now(UTC))
        self.refresh()
        return manifest

    def republish(self, model: str) -> Manifest:
        """Publish a version's weights again under a new number, after a change of the sampling number.

        Aliases of the old version move to the new one. Raises `UnknownReference`, `CheckpointError`, `StoreError`.
        """
        key = self.now.key_for(None, model)
        if key in self.now.versions_by_key:
            raise OptionError(f"{key.reference} is served as it is; it need not be published again.", field="model")
        aliases = self.now.declared[key.dataset]
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
        """Move an alias in the last store and return its new version.

        Examples: alias("human", "default", "wavenet@2", ...) or alias("human/wavenet", "stable", "2", ...). The target
        must be served. Raises `UnknownReference`, `OptionError`, `StoreError`.
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

        `reference` is "dataset/architecture@number", not an alias, whose version may change. Raises `UnknownReference`,
        `OptionError`, `StoreError`.
        """
        key = self.now.key_for(None, reference)
        if key.reference != reference:
            raise OptionError(f"{reference} may mean another version tomorrow: write {key.reference}.", field="model")
        remove(key, self.stores, reason, datetime.now(UTC))
        self.refresh()
        return key.reference


def _load(key: Key, folder: Path, kernels: Kernels, lists: dict[str, ListedNames], pins: Pins | None) -> Version:
    checkpoint = load_checkpoint(folder, pins=pins, lists=lists)
    manifest = checkpoint.manifest
    if manifest.reference != key.reference:
        raise CheckpointError(f"{folder} says that it is {manifest.reference}: it was moved or copied.")
    try:
        styles = Styles(manifest.styles or {})
        predictor = predictor_of(manifest.config, checkpoint.arrays, manifest.alphabet, kernels, len(styles))
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    try:
        casing = casing_of(checkpoint.casing, manifest.locale or "")
    except ValueError as error:
        raise CheckpointError(f"{folder / CASING}: {error}.") from error
    longest = predictor.vocabulary.longest(checkpoint.names, manifest.data.longest)
    generator = NameGenerator(predictor, checkpoint.names, longest, kernels, styles=styles, casing=casing)
    if golden_names(generator) != manifest.golden:
        raise CheckpointError(f"{folder} does not draw the golden names of its manifest.")
    return Version(manifest, generator, folder)


def _is_transient(error: BaseException) -> bool:
    cause = error.__cause__ or error
    return isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno in TRANSIENT_ERRORS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
