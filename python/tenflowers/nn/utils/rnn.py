"""Sequences of different lengths: packed one step after the other, or padded to one length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..._core import Tensor, arange, cat, empty_like, full, stack, tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """The rows of all sequences, those of the first step first, and the number of sequences at each step.

    Made by ``pack_sequence`` and ``pack_padded_sequence``; the sequences stand from the longest to the shortest.
    ``sorted_indices`` say which of those given stands where, if they were sorted for that.

    >>> packed = nn.utils.rnn.pack_sequence([tf.tensor([1, 2, 3]), tf.tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise TypeError("PackedSequence: batch_sizes are needed, or a pair of data and batch_sizes")
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _converted(self, convert: Callable[[Tensor], Tensor]) -> PackedSequence:
        data = convert(self.data)
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Convert the data as ``Tensor.to`` does; the same sequence if nothing changes."""
        return self._converted(lambda data: data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        return self._converted(lambda data: data.cpu())

    def double(self) -> PackedSequence:
        return self._converted(lambda data: data.double())

    def float(self) -> PackedSequence:
        return self._converted(lambda data: data.float())

    def half(self) -> PackedSequence:
        return self._converted(lambda data: data.half())

    def long(self) -> PackedSequence:
        return self._converted(lambda data: data.long())

    def int(self) -> PackedSequence:
        return self._converted(lambda data: data.int())

    def short(self) -> PackedSequence:
        return self._converted(lambda data: data.short())

    def char(self) -> PackedSequence:
        return self._converted(lambda data: data.char())

    def byte(self) -> PackedSequence:
        return self._converted(lambda data: data.byte())


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another.

    >>> nn.utils.rnn.invert_permutation(tf.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    count = arange(permutation.numel(), dtype=permutation.dtype)
    return empty_like(permutation).scatter_(0, permutation, count)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences (steps, batch, ...), or (batch, steps, ...) if ``batch_first``, of the given lengths.

    They stand from the longest to the shortest, or are sorted so unless ``enforce_sorted``.

    >>> padded = tf.tensor([[1, 2, 3], [4, 5, 0]])
    >>> nn.utils.rnn.pack_padded_sequence(padded, [3, 2], batch_first=True).data
    tensor([1, 4, 2, 5, 3])
    """
    sizes = [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if batch_first:
        input = input.transpose(0, 1)
    if len(sizes) != input.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={input.size(1)})"
        )
    order = None
    if not enforce_sorted:
        places = sorted(range(len(sizes)), key=lambda i: -sizes[i])
        sizes, order = [sizes[i] for i in places], tensor(places)
        input = input.index_select(1, order)
    if any(a < b for a, b in pairwise(sizes)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if sizes[0] > input.size(0):
        raise RuntimeError(f"pack_padded_sequence: a length of {sizes[0]} of {input.size(0)} steps")
    counts, pieces, first = _counts(sizes), [], 0
    # Steps with as many sequences are one piece.
    for step in range(1, len(counts) + 1):
        if step == len(counts) or counts[step] != counts[first]:
            pieces.append(input[first:step, : counts[first]].reshape(-1, *input.shape[2:]))
            first = step
    data = pieces[0] if len(pieces) == 1 else cat(pieces)
    return PackedSequence(data, tensor(counts), order, None)


def _counts(sizes: Sequence[int]) -> list[int]:
    """How many of the lengths, which fall, reach each step."""
    counts, reached = [], len(sizes)
    for step in range(sizes[0]):
        while sizes[reached - 1] <= step:
            reached -= 1
        counts.append(reached)
    return counts


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Pad packed sequences to one length, the longest or ``total_length``; gives them and their lengths.

    >>> packed = nn.utils.rnn.pack_sequence([tf.tensor([1, 2, 3]), tf.tensor([4, 5])])
    >>> nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 5, 0]]), tensor([3, 2]))
    """
    counts: list[int] = sequence.batch_sizes.tolist()
    steps = len(counts) if total_length is None else total_length
    if steps < len(counts):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={steps} and max sequence length being {len(counts)}"
        )
    batch = counts[0]
    sizes = [sum(count > place for count in counts) for place in range(batch)]
    data, rest = sequence.data, tuple(sequence.data.shape[1:])

    def padding(*shape: int) -> Tensor:
        return full((*shape, *rest), padding_value, dtype=data.dtype, device=data.device)

    pieces, first, row = [], 0, 0
    for step in range(1, len(counts) + 1):
        if step == len(counts) or counts[step] != counts[first]:
            count, span = counts[first], step - first
            piece = data[row : row + span * count].reshape(span, count, *rest)
            pieces.append(piece if count == batch else cat([piece, padding(span, batch - count)], 1))
            row += span * count
            first = step
    if steps > len(counts):
        pieces.append(padding(steps - len(counts), batch))
    padded = pieces[0] if len(pieces) == 1 else cat(pieces)
    if batch_first:
        padded = padded.transpose(0, 1)
    lengths = tensor(sizes)
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(0 if batch_first else 1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return padded, lengths


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stack sequences (length, ...), padded at one end: (steps, batch, ...), or, ``batch_first``, (batch, steps, ...).

    >>> nn.utils.rnn.pad_sequence([tf.tensor([1, 2, 3]), tf.tensor([4, 5])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 5, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: Expected padding_side to be one of left or right, but got {padding_side}.")
    given = list(sequences)
    if not given:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    steps = max(each.size(0) for each in given)

    def padded(each: Tensor) -> Tensor:
        missing = steps - each.size(0)
        if not missing:
            return each
        space = full((missing, *each.shape[1:]), padding_value, dtype=each.dtype, device=each.device)
        return cat([space, each] if padding_side == "left" else [each, space])

    return stack([padded(each) for each in given], 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """Give the sequences that ``pad_sequence`` stacked, without their padding at the end.

    >>> padded = tf.tensor([[1, 2, 3], [4, 5, 0]])
    >>> nn.utils.rnn.unpad_sequence(padded, tf.tensor([3, 2]), batch_first=True)
    [tensor([1, 2, 3]), tensor([4, 5])]
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(length)] for row, length in zip(rows.unbind(0), lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length, ...), from the longest to the shortest, or sorted so unless ``enforce_sorted``.

    >>> nn.utils.rnn.pack_sequence([tf.tensor([4, 5]), tf.tensor([1, 2, 3])], enforce_sorted=False).data
    tensor([1, 4, 2, 5, 3])
    """
    lengths = [each.size(0) for each in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Give the sequences that ``pack_sequence`` packed.

    >>> nn.utils.rnn.unpack_sequence(nn.utils.rnn.pack_sequence([tf.tensor([1, 2]), tf.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
