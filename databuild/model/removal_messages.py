"""Conversion between removals and their messages."""

from __future__ import annotations

from databuild.model.removal import Cleaning, Deletion, RemovedData
from databuild.v1 import service_pb2 as sv


def deletion_to_message(deletion: Deletion) -> sv.DeletePartitionsResponse:
    return sv.DeletePartitionsResponse(
        data=map(_data_to_message, deletion.data), next_page_token=deletion.next_after, author=deletion.author
    )


def deletion_from_message(message: sv.DeletePartitionsResponse) -> Deletion:
    return Deletion(tuple(map(_data_from_message, message.data)), message.next_page_token, message.author)


def cleaning_to_message(cleaning: Cleaning) -> sv.CleanPartitionsResponse:
    return sv.CleanPartitionsResponse(
        deleted=cleaning.deleted,
        bytes=cleaning.bytes,
        refused=cleaning.refused,
        kept=cleaning.kept,
        leftovers=cleaning.leftovers,
        leftover_bytes=cleaning.leftover_bytes,
        data=map(_data_to_message, cleaning.data),
        more=cleaning.more,
    )


def cleaning_from_message(message: sv.CleanPartitionsResponse) -> Cleaning:
    return Cleaning(
        deleted=int(message.deleted),
        bytes=int(message.bytes),
        refused=int(message.refused),
        kept=int(message.kept),
        leftovers=int(message.leftovers),
        leftover_bytes=int(message.leftover_bytes),
        data=tuple(map(_data_from_message, message.data)),
        more=message.more,
    )


def _data_to_message(one: RemovedData) -> sv.RemovedData:
    return sv.RemovedData(ref=one.ref, uri=one.uri, size_bytes=one.size, fault=one.fault)


def _data_from_message(message: sv.RemovedData) -> RemovedData:
    return RemovedData(message.ref, message.uri, int(message.size_bytes), message.fault)
