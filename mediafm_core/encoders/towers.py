"""Networks of transformers, read from a folder that was checked: every weight in its place, or an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any

from mediafm_core.errors import WeightsError
from mediafm_core.weights.folders import ModelFolder

PRECISION = "float32"


def read_tower(network: Any, folder: ModelFolder, config: Any) -> Any:
    """A network in evaluation mode, in float32 on the CPU, with all of its weights from the folder.

    Args:
        network: a class of transformers.
        folder: the model, whose hash was checked.
        config: the network's configuration.

    Raises:
        WeightsError: the folder lacks a weight of the network, or has it in another shape; transformers would go on
            with random numbers in its place.
    """
    import torch

    with _quiet():
        try:
            tower, told = network.from_pretrained(
                folder.path,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except RuntimeError as wrong:
            raise _unfit(folder, network, "weights of other shapes") from wrong
    if told["missing_keys"] or told["mismatched_keys"]:
        lacking = sorted({*told["missing_keys"], *(str(key) for key in told["mismatched_keys"])})
        raise _unfit(folder, network, f"{len(lacking)} weights missing, the first {lacking[0]!r}")
    return tower.eval()


@contextmanager
def computing(n_threads: int) -> Iterator[None]:
    """No gradients, and so many threads; what the process had before stands again afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def tensor_shape(folder: ModelFolder, name: str) -> tuple[int, ...] | None:
    """The shape of one of the folder's tensors, from the files' headers; None where there is none of that name."""
    from safetensors import safe_open

    for file in folder.files:
        if file.path.endswith(".safetensors"):
            with safe_open(folder.path / file.path, framework="np") as tensors:
                if name in tensors.keys():  # noqa: SIM118  (it is no mapping)
                    return tuple(tensors.get_slice(name).get_shape())
    return None


def told_source(folder: ModelFolder) -> dict[str, str]:
    """Where a folder is and comes from, for a home to remember."""
    return {"folder": str(Path(folder.path).absolute()), **folder.source}


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and reports of transformers: what they tell is checked here."""
    from transformers.utils import logging

    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()


def _unfit(folder: ModelFolder, network: Any, found: str) -> WeightsError:
    return WeightsError(
        f"model folder {str(folder.path)!r}",
        found=found,
        expected=f"every weight of {network.__name__}",
        next_step="The folder holds another model than its config.json says, or a part of it: save it again, whole.",
    )
