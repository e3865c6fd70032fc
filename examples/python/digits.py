"""Trains a small convolutional network on scikit-learn's handwritten digits: 1,797 real images of 8 by 8 pixels.

    python examples/python/digits.py [--seeds 0 1 2 3 4] [--epochs 20] [--out out/digits]

A quarter of the images is the test part. The network, the learning rate and the number of epochs were chosen by
cross-validation within the other three quarters. The run ends with a list of goals and what was reached; the exit
status says whether all of them were.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tenflowers as tf
from tenflowers import nn
from tenflowers.utils.data import DataLoader, TensorDataset

BATCH = 32
LEARNING_RATE = 3e-3


class Net(nn.Module):
    """Two convolutions, and a linear layer on what the pooling leaves of them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.4), nn.Linear(32 * 4 * 4, 10))

    def forward(self, images: tf.Tensor) -> tf.Tensor:
        return self.classifier(self.features(images))


@dataclass
class Digits:
    """Images `[n, 1, 8, 8]` from 0 to 1 and labels `[n]`, of the training and of the test part."""

    train: TensorDataset
    test_images: tf.Tensor
    test_labels: tf.Tensor


def load() -> Digits:
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.int64)
    split = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = map(tf.from_numpy, split)
    return Digits(TensorDataset(train_images, train_labels), test_images, test_labels)


class Progress:
    """A bar with loss and accuracy: redrawn on a terminal, four lines a run elsewhere."""

    WIDTH = 24

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.live = sys.stdout.isatty()
        self.start = time.perf_counter()

    def step(self, loss: float, accuracy: float) -> None:
        self.done += 1
        last = self.done == self.total
        if self.live or last or self.done % -(-self.total // 4) == 0:
            filled = self.WIDTH * self.done // self.total
            bar = "#" * filled + "." * (self.WIDTH - filled)
            figures = f"loss {loss:.4f}  accuracy {accuracy:7.2%}  {time.perf_counter() - self.start:5.1f} s"
            end = "\r" if self.live and not last else "\n"
            print(f"{self.title} [{bar}] {100 * self.done // self.total:3d} %  {figures}", end=end, flush=True)


@dataclass
class Run:
    """A model on its way: the same seed, and the same epoch, always give the same numbers."""

    seed: int
    epochs: int
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        tf.manual_seed(self.seed)
        self.model = Net()
        self.optimizer = tf.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self.schedule = tf.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=self.epochs)

    def train(self, digits: Digits, title: str, halfway: Path | None = None) -> None:
        """Trains to the end; on the way, writes the state in the middle to `halfway`."""
        criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
        loader: DataLoader[Any] = DataLoader(digits.train, batch_size=BATCH, shuffle=True)
        progress = Progress(title, (self.epochs - self.epoch) * len(loader))
        start = time.perf_counter()
        self.model.train()
        while self.epoch < self.epochs:
            if halfway is not None and self.epoch == self.epochs // 2:
                self.save(halfway)
            # Every epoch has random numbers of its own, so that one can go on from a file.
            tf.manual_seed(1_000_003 * (self.seed + 1) + self.epoch)
            correct = seen = 0
            for images, labels in loader:
                self.optimizer.zero_grad()
                outputs = self.model(images)
                loss = criterion(outputs, labels)
                loss.backward()
                self.optimizer.step()
                correct += int((outputs.argmax(dim=1) == labels).sum())
                seen += len(labels)
                self.losses.append(loss.item())
                progress.step(self.losses[-1], correct / seen)
            self.schedule.step()
            self.epoch += 1
        self.seconds += time.perf_counter() - start

    def outputs(self, images: tf.Tensor) -> tf.Tensor:
        self.model.eval()
        with tf.no_grad():
            return self.model(images)

    def accuracy(self, digits: Digits) -> float:
        predicted = self.outputs(digits.test_images).argmax(dim=1)
        return (predicted == digits.test_labels).float().mean().item()

    def bits(self) -> dict[str, bytes]:
        """Every parameter and buffer, byte by byte."""
        return {name: tensor.numpy().tobytes() for name, tensor in self.model.state_dict().items()}

    def save(self, path: Path) -> None:
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        tf.save(state, path)

    def restore(self, path: Path) -> None:
        state = tf.load(path)
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def picture(run: Run, digits: Digits, path: Path) -> None:
    """Draws the loss curve, the confusion matrix and the test images that were misread."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    labels = digits.test_labels.numpy()
    predicted = run.outputs(digits.test_images).argmax(dim=1).numpy()
    wrong = np.flatnonzero(predicted != labels)
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)

    figure = plt.figure(figsize=(12, 7.5), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[3, 1.2]).ravel()
    curve, matrix = above.subplots(1, 2)
    batches = np.array(run.losses).reshape(run.epochs, -1)
    epochs = np.arange(1, batches.size + 1) / batches.shape[1]
    curve.plot(epochs, batches.ravel(), linewidth=0.6, alpha=0.5, label="batch")
    curve.plot(np.arange(1, run.epochs + 1), batches.mean(axis=1), marker=".", label="mean of the epoch")
    curve.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy, labels smoothed by 0.1", ylim=(0, None))
    curve.legend()
    curve.grid(alpha=0.3)
    matrix.imshow(np.log1p(confusion), cmap="Blues")
    matrix.set(title="Confusion matrix of the test part", xlabel="read as", ylabel="is")
    matrix.set(xticks=range(10), yticks=range(10))
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            color = "white" if row == column else "black"
            matrix.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)

    shown = wrong[:12]
    below.suptitle(f"{len(wrong)} of {len(labels)} test images were misread" + ", the first 12:" * (len(wrong) > 12))
    for index, axes in zip(shown, np.ravel(below.subplots(1, max(len(shown), 1))), strict=False):
        axes.imshow(digits.test_images[int(index), 0].numpy(), cmap="gray_r")
        axes.set_title(f"{labels[index]} as {predicted[index]}", fontsize=9)
    for axes in below.axes:
        axes.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def check_files(first: Run, digits: Digits, halfway: Path, final: Path) -> tuple[bool, bool]:
    """Whether a fresh model gives the same outputs from the final file, and the same end from the one in the middle."""
    loaded = Run(seed=first.seed + 1, epochs=first.epochs)
    loaded.restore(final)
    same = loaded.outputs(digits.test_images).numpy().tobytes() == first.outputs(digits.test_images).numpy().tobytes()

    resumed = Run(seed=first.seed, epochs=first.epochs)
    tf.manual_seed(first.seed + 1)  # nothing may depend on what came before the file
    resumed.restore(halfway)
    resumed.train(digits, "resumed ")
    return same and loaded.bits() == first.bits(), resumed.bits() == first.bits()


def check_threads(first: Run, digits: Digits) -> bool:
    """Whether the run gives the same bits for one and for two threads."""
    before = tf.get_num_threads()
    same = True
    for threads in {1, 2} - {before}:
        tf.set_num_threads(threads)
        again = Run(seed=first.seed, epochs=first.epochs)
        again.train(digits, f"{threads} thread{'s' * (threads > 1)}".ljust(8))
        same &= again.bits() == first.bits() and again.losses == first.losses
    tf.set_num_threads(before)
    return same


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="one run for each (0 to 4)")
    parser.add_argument("--epochs", type=positive, default=20, help="passes over the training part (20)")
    parser.add_argument("--out", type=Path, default=Path("out/digits"), help="folder for the files (out/digits)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    halfway, final, png = (options.out / name for name in ("halfway.safetensors", "final.safetensors", "digits.png"))

    digits = load()
    parts = f"{len(digits.train)} images to train on, {len(digits.test_labels)} to test on"
    print(f"{parts}; threads: {tf.get_num_threads()}")
    runs: list[Run] = []
    for seed in options.seeds:
        run = Run(seed=seed, epochs=options.epochs)
        run.train(digits, f"seed {seed:<3}", halfway=None if runs else halfway)
        runs.append(run)
    first = runs[0]
    first.save(final)
    same, resumed = check_files(first, digits, halfway, final)
    threads = check_threads(first, digits)
    picture(first, digits, png)

    accuracies = [run.accuracy(digits) for run in runs]
    median, lowest = statistics.median(accuracies), min(accuracies)
    slowest = max(run.seconds for run in runs)
    goals = [
        (median >= 0.98, f"median test accuracy {median:.2%} (98 % or more)"),
        (lowest >= 0.975, f"lowest test accuracy {lowest:.2%} (97.5 % or more)"),
        (slowest < 20, f"slowest run {slowest:.1f} s (under 20 s)"),
        (same, "a fresh model with the saved weights gives the same answers, bit for bit"),
        (resumed, "a fresh model with the state saved halfway ends with the same weights, bit for bit"),
        (threads, "1 and 2 threads give the same weights, bit for bit"),
    ]
    by_seed = "  ".join(f"{seed}: {accuracy:.2%}" for seed, accuracy in zip(options.seeds, accuracies, strict=True))
    print(f"\ntest accuracy by seed: {by_seed}")
    for reached, text in goals:
        print(f"  {'reached' if reached else 'MISSED '}  {text}")
    print(f"picture: {png}\nweights and optimizer: {final}, and halfway: {halfway}")
    return int(not all(reached for reached, _ in goals))


if __name__ == "__main__":
    sys.exit(main())
