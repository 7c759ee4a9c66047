"""Networks of transformers, read from a folder that was checked: every weight in its place, or an error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any

from mediafm_core.catalogue.suite import Instrument
from mediafm_core.errors import WeightsError
from mediafm_core.weights.folders import ModelFolder, check_folder

PRECISION = "float32"
LIBRARIES = ("pillow", "tokenizers", "torch", "transformers")
"""What the vectors of such a network hang on: pictures are scaled by pillow."""


def instrument_of(folder: ModelFolder, name: str, choices: Mapping[str, Any]) -> Instrument:
    """The record of a network in a folder: its architecture, files and precision, and the choices of its encoder."""
    settings = {"architecture": folder.model_type, "files": dict(folder.files), "precision": PRECISION, **choices}
    return Instrument(name=name, weights_sha256=folder.sha256, settings=settings)


def another_model(folder: ModelFolder, found: str, *, expected: str, next_step: str) -> WeightsError:
    """What to raise where a folder holds a model that an encoder cannot be made of."""
    return WeightsError(f"model folder {str(folder.path)!r}", found=found, expected=expected, next_step=next_step)


def read_tower(network: Any, folder: ModelFolder, config: Any, instrument: Instrument, *, part: str = "") -> Any:
    """A network in evaluation mode, in float32 on the CPU, with all of its weights from the folder.

    It is given the tensors of the files that were hashed. It looks for none itself: which files it would take hangs on
    what else lies in the folder, and on names in its configuration.

    Args:
        network: a class of transformers.
        folder: the model.
        config: the network's configuration.
        instrument: the record that the folder is to be of.
        part: what the names of its tensors begin with in a checkpoint of several networks; the others' are not read.

    Raises:
        WeightsError: the folder holds another model than the record's; or it lacks a weight of the network, or has it
            in another shape: transformers would go on with random numbers in its place.
    """
    import torch

    check_folder(folder, instrument.weights_sha256, instrument.name)
    with _quiet():
        try:
            tower, told = network.from_pretrained(
                None, config=config, state_dict=folder.state(part), dtype=torch.float32, output_loading_info=True
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
    return another_model(
        folder,
        found,
        expected=f"every weight of {network.__name__}",
        next_step="The folder holds another model than its config.json says, or a part of it: save it again, whole.",
    )
