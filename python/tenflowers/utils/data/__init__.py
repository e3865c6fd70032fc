"""Data sets, and the loader that makes batches of them, in threads if asked to.

>>> from tenflowers.utils.data import DataLoader, TensorDataset
>>> data = TensorDataset(tf.arange(4.0), tf.arange(4))
>>> for inputs, labels in DataLoader(data, batch_size=2):
...     print(inputs, labels)
tensor([0., 1.]) tensor([0, 1])
tensor([2., 3.]) tensor([2, 3])
"""

from __future__ import annotations

from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import ChainDataset, ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .worker import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
