"""Whether the pages of an LMDB file hang together, looked at before LMDB itself follows them.

LMDB trusts its file: a flipped bit in a page number or a size has it read beyond the map, which ends the process, or
leave out entries without a word. So the tree is walked here first, with every number compared with what is there: the
places and sizes within pages and file, the order of the keys, and the counts that the file holds of its own entries and
pages. What the values hold is not looked at; digests do that. The layout is that of LMDB 0.9 on 64 bits, little-endian
(mdb.c, "Page structure" and "MDB_meta").
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from mini_diffuser_ros.data.errors import EpisodeFileError

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper; the last two are one count in overflow pages
_META = struct.Struct("<IIQQ")  # magic, version, address, size of the map
_TREE = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, branch, leaf and overflow pages, entries, root
_TAIL = struct.Struct("<QQ")  # last page, transaction
_NODE = struct.Struct("<HHHH")  # low and high half of a size or page number, flags, size of the key

_BRANCH, _LEAF, _OVERFLOW, _IS_META = 0x01, 0x02, 0x04, 0x08
_BIG = 0x01  # flag of a node whose value lies in pages of its own
_NO_ROOT = 2**64 - 1
_INTEGER_KEYS = 0x08


@dataclass(frozen=True)
class _Tree:
    """What a meta page says of a tree."""

    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int


@dataclass(frozen=True)
class _Meta:
    """What a meta page says."""

    page_size: int
    free: _Tree
    main: _Tree
    last_page: int
    transaction: int


class _DamageError(Exception):
    """What does not hang together."""


def check_meta(file: Path) -> None:
    """Refuse a file whose first two pages are not those of an LMDB; to be called before one is opened.

    Raises:
        EpisodeFileError: naming the file.
    """
    with _reading(file) as descriptor:
        _metas(descriptor)


def check_pages(file: Path, transaction: int | None = None) -> None:
    """Refuse a file whose pages, as a transaction sees them, do not hang together.

    Args:
        file: of the environment.
        transaction: number of one that is under way, so that nobody uses its pages anew; None for the newest, while
            nobody writes.

    Raises:
        EpisodeFileError: naming the file.
    """
    status = file.stat()
    _check(file, transaction, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _check(file: Path, transaction: int | None, *_: int) -> None:
    """Once for a state of the file: it is read thousands of times while nothing changes."""
    with _reading(file) as descriptor:
        metas = sorted(_metas(descriptor), key=lambda meta: meta.transaction)
        meta = next((meta for meta in reversed(metas) if transaction in (None, meta.transaction)), None)
        if meta is None and transaction is not None and transaction < metas[0].transaction:
            return  # a writer, which looked at the file when it began, has gone on since
        if meta is None:
            raise _DamageError(f"no meta page is of transaction {transaction}")
        size = os.fstat(descriptor).st_size
        if (meta.last_page + 1) * meta.page_size > size:
            raise _DamageError(f"it is cut off, has {size} of {(meta.last_page + 1) * meta.page_size} bytes")
        _Walk(descriptor, meta).check()


@contextmanager
def _reading(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        yield descriptor
    except (_DamageError, struct.error) as error:
        raise EpisodeFileError(file, f"not a readable LMDB ({error}); make the set anew") from error
    finally:
        os.close(descriptor)


def _metas(descriptor: int) -> tuple[_Meta, _Meta]:
    """Both meta pages. Others may commit while they are read: what does not fit has to be the same once more."""
    pages = _meta_pages(descriptor)
    while True:
        try:
            return _fitting(*map(_meta, pages))
        except (_DamageError, struct.error):
            before, pages = pages, _meta_pages(descriptor)
            if pages == before:
                raise


def _meta_pages(descriptor: int) -> tuple[bytes, bytes]:
    first = os.pread(descriptor, 4096, 0)
    return first, os.pread(descriptor, 4096, _meta(first).page_size)


def _fitting(first: _Meta, second: _Meta) -> tuple[_Meta, _Meta]:
    """Two meta pages, once they are seen to be of one file."""
    older, newer = sorted((first, second), key=lambda meta: meta.transaction)
    # Transactions take turns on the two pages; the first of all is on both.
    steps = newer.transaction - older.transaction
    turns = first.transaction % 2 == 0 and second.transaction % 2 == 1
    if first.page_size != second.page_size or not ((turns and steps == 1) or newer.transaction == 0):
        raise _DamageError("its two meta pages are not of successive transactions")
    if older.last_page > newer.last_page:
        raise _DamageError("its newer meta page knows fewer pages than its older one")
    return first, second


def _meta(page: bytes) -> _Meta:
    flags = _HEADER.unpack_from(page)[2]
    magic, version, _, _ = _META.unpack_from(page, _HEADER.size)
    if flags & _IS_META == 0 or magic != _MAGIC or version != _VERSION:
        raise _DamageError("a meta page is none, or of another version")
    place = _HEADER.size + _META.size
    (page_size, free_flags, *free), (_, main_flags, *main) = (
        _TREE.unpack_from(page, place + number * _TREE.size) for number in range(2)
    )
    last_page, transaction = _TAIL.unpack_from(page, place + 2 * _TREE.size)
    if page_size not in (2**power for power in range(9, 17)) or free_flags & ~_INTEGER_KEYS or main_flags:
        raise _DamageError("a meta page claims pages or keys of another kind")
    return _Meta(page_size, _Tree(*free), _Tree(*main), last_page, transaction)


@dataclass(frozen=True)
class _Node:
    """One entry of a page.

    Attributes:
        key: of the entry; that of the first one of a branch means nothing.
        number: page below it in a branch, first page of a large value in a leaf; 0 for a small value.
        size: bytes of the value.
        value: a small value.
    """

    key: bytes
    number: int
    size: int
    value: bytes = b""


class _Walk:
    """Follows the trees of a meta page; no page may be met twice."""

    def __init__(self, descriptor: int, meta: _Meta) -> None:
        self._descriptor, self._meta = descriptor, meta
        self._met: set[int] = set()

    def check(self) -> None:
        """Refuse both trees where they do not hang together, and free pages that are in use."""
        self._check_tree(self._meta.main, lambda key: key)
        for node in self._check_tree(self._meta.free, lambda key: struct.unpack("<Q", key)):
            value = node.value or os.pread(self._descriptor, node.size, self._place(node.number) + _HEADER.size)
            count, *pages = struct.unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8])
            if count != len(pages):
                raise _DamageError(f"a list of {len(pages)} free pages claims {count}")
            for page in pages:
                self._meet(page)

    def _check_tree(self, tree: _Tree, order: Callable[[bytes], object]) -> list[_Node]:
        """The entries of a tree, once they and its pages are as many as it claims and its keys are in order."""
        pages = {_BRANCH: 0, _LEAF: 0, _OVERFLOW: 0}
        nodes = [] if tree.root == _NO_ROOT else [*self._entries(tree.root, tree.depth, pages)]
        found = (pages[_BRANCH], pages[_LEAF], pages[_OVERFLOW], len(nodes))
        if found != (tree.branches, tree.leaves, tree.overflows, tree.entries):
            raise _DamageError(f"it has {len(nodes)} of {tree.entries} entries, in other pages than it claims")
        keys: list[Any] = [order(node.key) for node in nodes]
        if any(not before < after for before, after in pairwise(keys)):
            raise _DamageError("its keys are not in order")
        return nodes

    def _entries(self, number: int, depth: int, pages: dict[int, int]) -> Iterator[_Node]:
        """The entries at and below a page, in their order; counts the pages."""
        if depth < 1:
            raise _DamageError("its tree is deeper than it claims")
        kind, nodes = self._page(number)
        pages[kind] += 1
        if kind != (_LEAF if depth == 1 else _BRANCH):
            raise _DamageError(f"page {number} is of another kind")
        for node in nodes:
            if kind == _BRANCH:
                yield from self._entries(node.number, depth - 1, pages)
                continue
            if node.number:
                pages[_OVERFLOW] += self._large_value(node)
            yield node

    def _page(self, number: int) -> tuple[int, list[_Node]]:
        """Kind and nodes of a page of a tree."""
        self._meet(number)
        size = self._meta.page_size
        page = os.pread(self._descriptor, size, self._place(number))
        own, _, kind, lower, upper = _HEADER.unpack_from(page)
        if own != number or kind not in (_BRANCH, _LEAF) or not _HEADER.size < lower <= upper <= size or lower % 2:
            raise _DamageError(f"page {number} is none")
        offsets = struct.unpack_from(f"<{(lower - _HEADER.size) // 2}H", page, _HEADER.size)
        nodes = [self._node(page, offset, upper, kind) for offset in offsets]
        taken = sum(
            _even(_NODE.size + len(n.key) + (0 if kind == _BRANCH else 8 if n.number else n.size)) for n in nodes
        )
        if taken != size - upper or len(set(offsets)) != len(offsets):
            raise _DamageError(f"page {number}: its entries take {taken} of {size - upper} bytes")
        return kind, nodes

    def _node(self, page: bytes, offset: int, upper: int, kind: int) -> _Node:
        if not upper <= offset <= len(page) - _NODE.size:
            raise _DamageError("an entry lies outside of its page")
        low, high, flags, key_size = _NODE.unpack_from(page, offset)
        start = offset + _NODE.size
        key = page[start : start + key_size]
        if len(key) != key_size:
            raise _DamageError("a key lies outside of its page")
        if kind == _BRANCH:
            return _Node(key, low | high << 16 | flags << 32, 0)
        if flags not in (0, _BIG):
            raise _DamageError("an entry is of another kind")
        size = low | high << 16
        if flags == _BIG:
            return _Node(key, struct.unpack_from("<Q", page, start + key_size)[0], size)
        value = page[start + key_size : start + key_size + size]
        if len(value) != size:
            raise _DamageError("a value lies outside of its page")
        return _Node(key, 0, size, value)

    def _large_value(self, node: _Node) -> int:
        """How many pages a large value has, which lie one after the other."""
        header = os.pread(self._descriptor, _HEADER.size, self._place(node.number))
        own, _, kind, low, high = _HEADER.unpack(header)
        count = low | high << 16
        needed = -(-(_HEADER.size + node.size) // self._meta.page_size)
        if own != node.number or kind != _OVERFLOW or count != needed:
            raise _DamageError(f"page {node.number} holds no value of {node.size} bytes")
        for number in range(node.number, node.number + count):
            self._meet(number)
        return count

    def _meet(self, number: int) -> None:
        if not 2 <= number <= self._meta.last_page or number in self._met:
            raise _DamageError(f"page {number} is met twice, or is none of {self._meta.last_page}")
        self._met.add(number)

    def _place(self, number: int) -> int:
        return min(number, self._meta.last_page) * self._meta.page_size


def _even(size: int) -> int:
    return size + size % 2
