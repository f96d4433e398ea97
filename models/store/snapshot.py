"""An immutable snapshot of the stores: versions, aliases, and their resolution. No file access.

The registry replaces it atomically. If the version of an alias is refused or missing, the alias keeps its previous
version while that is served; then it falls back to the newest served version of its architecture, and `default`, if
there is none, to the served version of the data set with the lowest dev loss. A number never means another version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from models.errors import CheckpointError, ModelError, OptionError, unknown
from models.store.aliases import DEFAULT, LATEST, STABLE, Aliases, DatasetAliases, Reason, merged
from models.store.files import Key
from models.store.version import Version

DEFAULT_DATASET = "human"
# Data set, architecture (nothing for `default`), alias.
AliasKey = tuple[str, str, str]


@dataclass(frozen=True)
class Snapshot:
    """The state of the stores.

    `refusals`: versions that are not served, with reasons; `files`: the alias files, later ones win; `read_errors`:
    unreadable parts of the stores; `previous_targets`: the target of each alias in the previous snapshot.
    """

    versions_by_key: Mapping[Key, Version] = field(default_factory=dict)
    refusals: Mapping[Key, str] = field(default_factory=dict)
    files: Sequence[Aliases] = ()
    read_errors: Sequence[str] = ()
    previous_targets: Mapping[AliasKey, Key] = field(default_factory=dict)

    @property
    def refused(self) -> dict[str, str]:
        """Untrusted versions of the stores, with reasons."""
        return {key.reference: reason for key, reason in self.refusals.items()}

    @cached_property
    def declared(self) -> dict[str, DatasetAliases]:
        """The combined alias files of each data set, whether or not it can be served."""
        return {dataset: merged(self.files, dataset) for dataset in sorted({key.dataset for key in self._keys})}

    @cached_property
    def alias_targets(self) -> dict[AliasKey, Key]:
        """The target of each alias; the declared one if nothing can replace it."""
        targets = {alias_key: self._served_target(alias_key, key) for alias_key, key in self._declared_targets.items()}
        for key in self._keys:
            served = [each for each in self.versions_by_key if each[:2] == key[:2]]
            newest = max(served or [each for each in self._keys if each[:2] == key[:2]])
            targets[*key[:2], LATEST] = newest
            # A publisher that was killed before it set the aliases of a first version leaves none.
            targets.setdefault((*key[:2], STABLE), newest)
        for dataset in self.declared:
            targets.setdefault((dataset, "", DEFAULT), self._best(dataset))
        return targets

    @cached_property
    def fallbacks(self) -> list[str]:
        """One line for each alias that falls back to another version, and for each unreadable store."""
        lines = list(self.read_errors)
        for alias_key, declared in self._declared_targets.items():
            target, name = self.alias_targets[alias_key], alias_name(alias_key)
            if target != declared and target in self.versions_by_key:
                why = "is refused" if declared in self.refusals else "no store has"
                lines.append(f"{name}: {target.reference} serves instead of {declared.reference}, which {why}.")
        return lines

    @cached_property
    def versions_by_label(self) -> dict[str, dict[str, dict[str, int]]]:
        """The version of each label, the part after the @, by data set and architecture, sorted."""
        labels: dict[str, dict[str, dict[str, int]]] = {dataset: {} for dataset in self.declared}
        for key in self._keys:
            labels[key.dataset].setdefault(key.architecture, {})[str(key.version)] = key.version
        for (dataset, architecture, alias), key in self.alias_targets.items():
            if architecture:
                labels[dataset][architecture][alias] = key.version
        return labels

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a served version."""
        return sorted({key.dataset for key in self.versions_by_key})

    def versions(self, dataset: str | None = None) -> list[Version]:
        """Return all versions, or those of one data set. Raises `UnknownReference`."""
        if dataset is not None and dataset not in self.datasets():
            raise unknown("dataset", dataset, self.datasets(), "There is no data set")
        return [version for key, version in self.versions_by_key.items() if dataset in (None, key.dataset)]

    def aliases(self, dataset: str) -> DatasetAliases:
        """Return the current targets of the data set's aliases."""
        mine = {alias_key: key for alias_key, key in self.alias_targets.items() if alias_key[0] == dataset}
        default = mine.pop((dataset, "", DEFAULT), None)
        versions: dict[str, dict[str, int]] = {}
        for (_, architecture, alias), key in mine.items():
            versions.setdefault(architecture, {})[alias] = key.version
        target = f"{default.architecture}@{default.version}" if default else None
        return DatasetAliases(default=target, versions=versions)

    def reasons(self) -> list[Reason]:
        """Return the last manual move of each alias, later stores winning, and each removal."""
        last = {reason.alias: reason for aliases in self.files for reason in aliases.reasons}
        return list(last.values())

    def resolve(self, dataset: str | None = None, model: str | None = None) -> Version:
        """Return the version that a request selects. See `ModelRegistry.resolve`."""
        if version := self._resolved.get((dataset, model)):
            return version
        key = self.key_for(dataset, model)
        if key in self.versions_by_key:
            self._resolved[dataset, model] = self.versions_by_key[key]
            return self.versions_by_key[key]
        reason = self.refusals.get(key, "an alias points to it, but no store has it")
        raise CheckpointError(f"{key.reference} is not served: {reason}", field="model")

    def problems(self) -> list[str]:
        """Return one line for each data set without a served version; an empty list means ready.

        This includes data sets of which only aliases are left. An empty store is also a problem.
        """
        lines = [] if self._keys else ["No store holds a model."]
        for dataset in self.versions_by_label:
            try:
                self.resolve(dataset)
            except ModelError as error:
                lines.append(str(error))
        left = {dataset: aliases.default for file in self.files for dataset, aliases in file.datasets.items()}
        for dataset in sorted(left.keys() - self.versions_by_label.keys()):
            if left[dataset]:
                lines.append(f"{dataset} is gone: its default is {left[dataset]}, but no store has a version of it.")
        return lines

    def key_for(self, dataset: str | None, model: str | None) -> Key:
        """Return the key that `resolve` selects, served or refused."""
        prefix, rest = _split_reference(model or "")
        if prefix and dataset is not None and prefix != dataset:
            raise OptionError(
                "dataset and model name different data sets.", field="model", allowed="a model of the data set"
            )
        dataset = prefix or dataset or DEFAULT_DATASET
        if dataset not in self.versions_by_label:
            raise unknown("dataset", dataset, self.versions_by_label, "There is no data set")
        return self._key(dataset, rest) if rest else self.alias_targets[dataset, "", DEFAULT]

    def _key(self, dataset: str, model: str) -> Key:
        architectures = self.versions_by_label[dataset]
        architecture, _, label = model.partition("@")
        if architecture not in architectures:
            raise unknown("model", model, architectures, f"{dataset} has no model")
        labels = architectures[architecture]
        if (label or LATEST) not in labels:
            raise unknown("model", model, [f"{architecture}@{each}" for each in labels], f"{dataset} has no model")
        return Key(dataset, architecture, labels[label or LATEST])

    @cached_property
    def _resolved(self) -> dict[tuple[str | None, str | None], Version]:
        """A cache of `resolve`; the number of references to a version is limited."""
        return {}

    @cached_property
    def _keys(self) -> list[Key]:
        return sorted({*self.versions_by_key, *self.refusals})

    @cached_property
    def _declared_targets(self) -> dict[AliasKey, Key]:
        """The declared target of each alias; `latest` is computed."""
        targets: dict[AliasKey, Key] = {}
        architectures = {key[:2] for key in self._keys}
        for dataset, aliases in self.declared.items():
            if aliases.default is not None:
                architecture, _, number = aliases.default.partition("@")
                targets[dataset, "", DEFAULT] = Key(dataset, architecture, int(number))
            for architecture, names in aliases.versions.items():
                for alias, version in names.items():
                    if alias != LATEST and (dataset, architecture) in architectures:
                        targets[dataset, architecture, alias] = Key(dataset, architecture, version)
        return targets

    def _served_target(self, alias_key: AliasKey, declared: Key) -> Key:
        if declared in self.versions_by_key:
            return declared
        previous = self.previous_targets.get(alias_key)
        if previous is not None and previous in self.versions_by_key:
            return previous
        same = [key for key in self.versions_by_key if key[:2] == declared[:2]]
        if same:
            return max(same)
        return self._best(alias_key[0]) if alias_key[2] == DEFAULT and self._served_of(alias_key[0]) else declared

    def _best(self, dataset: str) -> Key:
        """Return the served version with the lowest dev loss, the newest of equals.

        If none is served, return a refused one.
        """
        return min(
            self._served_of(dataset) or [key for key in self._keys if key.dataset == dataset],
            key=lambda key: (self._dev_loss(key), -key.version, key.architecture),
        )

    def _served_of(self, dataset: str) -> list[Key]:
        return [key for key in self.versions_by_key if key.dataset == dataset]

    def _dev_loss(self, key: Key) -> float:
        version = self.versions_by_key.get(key)
        return float("inf") if version is None else version.manifest.metrics.get("dev", float("inf"))


def alias_name(alias_key: AliasKey) -> str:
    """Return the name of an alias as text: "human default", "human/wavenet stable"."""
    dataset, architecture, alias = alias_key
    return f"{dataset}/{architecture} {alias}" if architecture else f"{dataset} {alias}"


def _split_reference(model: str) -> tuple[str, str]:
    """Split "dataset/architecture@version" into data set, if any, and the rest.

    A slash after the @ has no meaning.
    """
    before, slash, after = model.partition("/")
    return (before, after) if slash and "@" not in before else ("", model)
