"""One training by several processes, such as `torchrun` starts them: one for each GPU.

Each process reads its share of every batch and runs it through its copy of the network. The
outputs and the targets of all are then gathered, so that each process has the loss and the metrics
of the whole batch, as one process has them: losses such as Dice are no means over images. Through
its own outputs only flows its part of the gradient; the sum of the parts is the gradient, which
all processes then follow alike. (DistributedDataParallel would do the same with the loss scaled
by the number of processes; but it must know beforehand which parameters will be trained, and
`freeze_epochs` thaws some on the way.)

Batch normalisation on GPUs takes its statistics over the whole batch. On CPUs torch cannot: each
process normalises by its own share, and the running statistics are averaged.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from maskr import device, members, storage
from maskr.arrays import IGNORE
from maskr.datasets.loader import FILLER, OUTSIDE
from maskr.files import atomically
from maskr.model import SegModel
from maskr.padding import padded
from maskr.training.fitting import fit
from maskr.training.script import Job, read

PATIENCE = timedelta(hours=1)
"""How long a process waits for the others, which may have written a checkpoint or a picture."""


class Team:
    """The processes that train one model together, as one of them sees it.

    Parameters
    ----------
    rank
        This process's number, from 0.
    size
        How many there are.
    network
        This process's copy of the network.
    """

    def __init__(self, rank: int, size: int, network: nn.Module) -> None:
        self.rank = rank
        self.size = size
        synced = {
            id(buffer)
            for module in members.modules(network)
            if isinstance(module, nn.SyncBatchNorm)
            for buffer in members.buffers(module)
        }
        self.buffers = [
            b for b in members.buffers(network) if b.is_floating_point() and id(b) not in synced
        ]

    def even(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad images `[N, C, H, W]` and targets `[N, H, W]` to the largest of all processes.

        As the loader pads those of one batch: images by reflection, targets with IGNORE.
        """
        sizes = torch.tensor(y.shape[1:], device=y.device)
        dist.all_reduce(sizes, dist.ReduceOp.MAX)
        size = sizes.tolist()
        missing = [there - here for there, here in zip(size, y.shape[1:], strict=True)]
        if any(missing):
            x = torch.stack([padded_anew(*one, size) for one in zip(x, y, strict=True)])
            y = F.pad(y, [n for length in reversed(missing) for n in (0, length)], value=IGNORE)
        return x, y.masked_fill(y == OUTSIDE, IGNORE)

    def gather(
        self, outputs: torch.Tensor | dict, y: torch.Tensor
    ) -> tuple[torch.Tensor | dict, torch.Tensor]:
        """The outputs and targets of the whole batch, in its order, without what filled it up."""
        targets = self._all(y)
        real = targets.flatten(1)[:, 0] != FILLER
        n = int(real.sum())
        if isinstance(outputs, dict):
            return {name: self._all(value)[:n] for name, value in outputs.items()}, targets[:n]
        return self._all(outputs)[:n], targets[:n]

    def _all(self, own: torch.Tensor) -> torch.Tensor:
        sent = own.detach().contiguous()
        parts: list[torch.Tensor] = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(parts, sent)
        # the gradient has its way through our own part
        parts[self.rank] = own
        return torch.cat(parts)

    def add(self, gradients: Sequence[torch.Tensor]) -> None:
        """Replace this process's part of each gradient by the sum over all.

        On the way the statistics of batch normalisation are averaged.
        """
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        _spread(flat, gradients)
        if self.buffers:
            flat = torch.cat([buffer.flatten() for buffer in self.buffers])
            dist.all_reduce(flat)
            _spread(flat / self.size, self.buffers)

    def agree(self, logs: dict[str, float]) -> dict[str, float]:
        """The first process's metrics, so that all decide alike when to stop or slow down."""
        values = [logs]
        dist.broadcast_object_list(values)
        return values[0]


def padded_anew(image: torch.Tensor, target: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """An image `[C, H, W]` without what its loader padded, padded to another size."""
    ends = (target != OUTSIDE).nonzero().amax(dim=0) + 1
    inside = image[(slice(None), *map(slice, ends.tolist()))]
    return torch.from_numpy(padded(inside.cpu().numpy(), size)).to(image)


def _spread(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    """Write the values of one long vector back into the tensors that it was made of."""
    pieces = flat.split([tensor.numel() for tensor in tensors])
    for tensor, piece in zip(tensors, pieces, strict=True):
        tensor.copy_(piece.view_as(tensor))


@contextmanager
def joined(model: SegModel) -> Iterator[tuple[int, int]]:
    """The model in the team that torchrun started; this process's number and how many there are.

    Alone where the script was started by Python itself.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield 0, 1
        return
    gpus = torch.cuda.is_available()
    where = device.choose(f"cuda:{os.environ['LOCAL_RANK']}" if gpus else "cpu")
    if gpus:
        torch.cuda.set_device(where)
        nn.SyncBatchNorm.convert_sync_batchnorm(model.module)
    dist.init_process_group("nccl" if gpus else "gloo", timeout=PATIENCE)
    try:
        model.team = Team(dist.get_rank(), size, model.module)
        yield dist.get_rank(), size
        # one that has nothing left to do must not leave while others are still arriving
        dist.barrier()
    finally:
        model.team = None
        dist.destroy_process_group()


def main(folder: str, report: Callable[[str], None] = lambda line: None) -> None:
    """Run the training that a folder describes, alone or in torchrun's team.

    The first process leaves in the folder `trained.keras` (the model as `fit()` leaves it),
    `history.csv` (epoch, metric, data, value) and `run/`, from which a training that was stopped
    goes on when it is started again. All processes must see the folder.

    Parameters
    ----------
    folder
        What `script.write()` made.
    report
        Called with a line of text for each epoch, in the first process.
    """
    job = read(folder)
    with joined(job.model) as (rank, size):
        first = rank == 0
        if first:
            report(f"{size} process(es), batches of {job.train['batch_size']} over all of them")
        result = fit(job.model, **arguments(job, rank, size), progress=lines(report, first))
        if first:
            storage.save(job.model, str(job.folder / "trained.keras"))
            atomically(str(job.folder / "history.csv"), lambda path: write_csv(path, result))
            report(f"Best epoch: {result['best_epoch']}. Written: {job.folder / 'trained.keras'}")


def arguments(job: Job, rank: int, size: int) -> dict:
    """What `fit()` is called with in one of the processes."""
    train = job.train | {"share": (rank, size)}
    validation = job.validation and job.validation | {"share": (rank, size)}
    settings = dict(job.settings)
    callbacks = settings.pop("callbacks")
    if rank > 0:
        # what writes or draws is done once; what decides is done by all
        callbacks = [one for one in callbacks if one["kind"] == "early_stopping"]
    # the shares are different images, which dropout must not treat alike
    seed = settings.pop("seed") + rank
    return {"train": train, "validation": validation, "callbacks": callbacks, "seed": seed,
            **settings}


def lines(report: Callable[[str], None], first: bool) -> Callable[[dict], None] | None:
    """What turns the events of training into lines of text."""
    if not first:
        return None

    def tell(event: dict) -> None:
        if event["event"] == "epoch":
            metrics = " ".join(f"{name} {value:.4g}" for name, value in event["metrics"].items())
            report(f"Epoch {event['epoch']}/{event['epochs']} {metrics}")

    return tell


def write_csv(path: str, result: dict) -> None:
    """Write a history, in long form."""
    import csv

    names = ("epoch", "metric", "data", "value")
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(zip(*(result[name] for name in names), strict=True))
