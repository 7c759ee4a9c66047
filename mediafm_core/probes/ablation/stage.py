"""The ablation of an encoder, from what is stored. Light: who lists the stages needs no torch."""

from mediafm_core.devices import DeviceOf, on_cpu
from mediafm_core.planning.state import Step
from mediafm_core.workbench import Bench, Draft


def make_ablation(bench: Bench, step: Step, device: DeviceOf = on_cpu) -> Draft:
    """What each ingredient of an encoder is worth on each task, and the post's findings judged by it.

    Row after row is made and kept in the home's work folder; a run that was killed goes on after the last one. Encoders
    read on this device.
    """
    from mediafm_core.probes.ablation.document import document_of, facts_of
    from mediafm_core.probes.ablation.going import Ablation

    ablation = Ablation(bench, step, device())
    rows = list(ablation.rows())
    document = document_of(bench.encoder(step), ablation, rows)
    return Draft(document, facts_of(document), ("scikit-learn",))


def forget_rows(bench: Bench, step: Step) -> None:
    """Remove the rows that were kept for a run which is committed now; harmless where there are none."""
    from mediafm_core.probes.ablation.keeping import forget

    forget(bench.home, step.key)
