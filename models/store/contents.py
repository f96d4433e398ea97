"""The contents of one store: its versions and aliases, or their last readable state.

The registry verifies versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.errors import StoreError
from models.store.aliases import Aliases
from models.store.files import Key, Stamp, Store


@dataclass(frozen=True)
class StoreFingerprint:
    """A cheap fingerprint of a store; it is equal while nothing is published, removed or moved.

    `manifests`: the versions with the stamps of their manifests. `aliases`: the content of the alias file, empty
    without one, because a file can change twice within one tick of its time stamp. `read_errors`: why a part could not
    be read.
    """

    manifests: Mapping[Key, Stamp] | None
    aliases: bytes | None
    read_errors: tuple[str, str]

    @classmethod
    def of(cls, store: Store) -> "StoreFingerprint":
        """Return the fingerprint of `store`; it takes some ten microseconds for each architecture."""
        manifests, aliases, unread, unlisted = None, None, "", ""
        # The aliases first: what they point to was there before them.
        try:
            aliases = store.alias_file()
        except StoreError as error:
            unread = str(error)
        try:
            manifests = store.manifests()
        except StoreError as error:
            unlisted = str(error)
        return cls(manifests, aliases, (unread, unlisted))


@dataclass(frozen=True)
class Contents:
    """The contents of a store; `read_errors` lists its problems."""

    fingerprint: StoreFingerprint | None = None
    manifests: Mapping[Key, Stamp] = field(default_factory=dict)
    aliases: Aliases = field(default_factory=Aliases)
    read_errors: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, before: "Contents") -> "Contents":
        """Read `store`; unreadable parts keep their content of `before`."""
        fingerprint = StoreFingerprint.of(store)
        manifests, aliases, read_errors = fingerprint.manifests, before.aliases, []
        if manifests is None:
            manifests = before.manifests
            earlier = "its last readable versions are served" if before.fingerprint else "it counts as empty"
            read_errors.append(f"{fingerprint.read_errors[1]} Until then {earlier}.")
        try:
            if fingerprint.read_errors[0]:
                raise StoreError(fingerprint.read_errors[0])
            aliases = store.parse(fingerprint.aliases)
        except StoreError as error:
            earlier = (
                "its last readable aliases apply" if before.fingerprint else "only the aliases of other stores apply"
            )
            read_errors.append(f"{error} Until then {earlier}.")
        return cls(fingerprint, manifests, aliases, tuple(read_errors))
