"""An edit of the whole store: several resources and keys at once, all of them or none.

The two files cannot be replaced in one step. So the edit is written in stages, each of which is a sound store whatever
comes after it: new and changed keys first, then the resources, then the keys that go. A key that no resource names yet
(or any more) is a resource of its own for that moment, and watched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bindings.documents import Document
from bindings.groups import ClusterDocument
from bindings.watch import CLUSTER_FILE, METABASE_FILE

Properties = Mapping[str, object]
ResourceKey = tuple[str, str]  # (group, name)


class StoreRevisions(NamedTuple):
    """The revisions of both documents; 0 is a file that is not there or does not say."""

    metabase: int
    cluster: int


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be so afterwards; None removes. What is not named stays as its author wrote it."""

    keys: Mapping[str, Properties | None] = field(default_factory=dict)  # of the metabase
    groups: Mapping[str, Properties | None] = field(default_factory=dict)  # `possible_owners`; None: the group whole
    resources: Mapping[ResourceKey, Properties | None] = field(default_factory=dict)
    deleted: Mapping[ResourceKey, Properties | None] = field(default_factory=dict)  # remembered (S41)

    def __bool__(self) -> bool:
        return bool(self.keys or self.groups or self.resources or self.deleted)


def apply_to_cluster(edit: Edit, document: ClusterDocument) -> ClusterDocument:
    """Return the cluster document as the edit wants it. Raises StoreError when it removes what is not there."""
    for group, properties in edit.groups.items():
        if properties is not None:
            document = document.with_group(group, properties)
    for (group, name), properties in edit.resources.items():
        document = document.with_resource(group, name, properties)
    for (group, name), properties in edit.deleted.items():
        document = document.with_deleted(group, name, properties)
    for group, properties in edit.groups.items():
        if properties is None:
            document = document.with_group(group, None)
    return document


def stages(
    edit: Edit, metabase: Document, cluster: ClusterDocument
) -> Iterator[tuple[str, Document | ClusterDocument]]:
    """Lead through the stages: each time the file that is replaced, and by what. Raises as `apply_to_cluster`."""
    wanted = {key: properties for key, properties in edit.keys.items() if properties is not None}
    gone = [key for key, properties in edit.keys.items() if properties is None]
    if wanted:
        for key, properties in wanted.items():
            metabase = metabase.with_key(key, properties)
        yield METABASE_FILE, metabase
    if edit.groups or edit.resources or edit.deleted:
        yield CLUSTER_FILE, apply_to_cluster(edit, cluster)
    if gone:
        for key in gone:
            metabase = metabase.with_key(key, None)
        yield METABASE_FILE, metabase
