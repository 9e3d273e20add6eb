"""Where a repair goes, in which form, and how it gets there: written, read back, confirmed, and only then in place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from forgetaudit.audits.network import Network
from forgetaudit.checkpoints.align import NameAlignment
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.digest import digest
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.placing import Place, refuse_full
from forgetaudit.checkpoints.torch_file import TorchFile
from forgetaudit.checkpoints.write_safetensors import Values
from forgetaudit.errors import MismatchError, OutputError, UsageError, listing
from forgetaudit.models.adapter_files import open_adapter_weights
from forgetaudit.models.adapters import AdaptedCheckpoint
from forgetaudit.models.evidence import is_adapter
from forgetaudit.models.model_source import ModelSource
from forgetaudit.models.sidecars import folder_of
from forgetaudit.paths import looked_up_output
from forgetaudit.progress import Progress
from forgetaudit.remedies.adapting import adapter_values, merged_values, why_merged
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.remedies.writing import Sources, files_beside, repaired_values, write_repaired
from forgetaudit.renderers.repair_card import CARD, repair_card
from forgetaudit.report.inputs import Digest
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.values import NotMeasured

__all__ = ["Output", "refuse_reshaped", "refuse_taken", "refuse_tied", "sources_of", "stored_types"]

OPTION = "-o"
REPORT = "forgetaudit-repair.json"


class _RequirementsNotMet(Exception):
    def __init__(self, report: AuditReport) -> None:
        super().__init__()
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A place for the result, which takes the form of tuned: a folder or a file, an adapter where that can be."""

    place: Place
    tuned: Path
    folder: Path | None

    @classmethod
    def of(cls, out: Path | None, path: Path, tuned: Checkpoint, *, force: bool) -> "Output | None":
        """None where nothing is to be written. OutputError for a full disk."""
        if out is None:
            return None
        folder = _folder(path)
        place = Place(out, OPTION, force=force, folder=folder is not None)
        pattern = tuned.base if isinstance(tuned, AdaptedCheckpoint) else tuned
        n_bytes = sum(file.stat().st_size for file in pattern.files)
        if folder is not None:
            n_bytes += sum(file.stat().st_size for file in files_beside(folder, tuned))
        refuse_full(place, n_bytes)
        return cls(place=place, tuned=path, folder=folder)

    def written(
        self,
        sources: Sources,
        remedy: Remedy,
        confirm: Callable[[Path], AuditReport],
        progress: Progress,
    ) -> AuditReport:
        """What `confirm` says of the files, which are in place if it says that every demand is met."""
        try:
            with self.place.filling() as made:
                notes = self._write(made, sources, remedy)
                progress.note("written; now read back and confirmed")
                report = confirm(made)
                if report.repair is None or not report.repair.met:
                    raise _RequirementsNotMet(report)
                report = self._told(report, made, notes)
                if self.folder is not None:
                    (made / CARD).write_text(repair_card(report), encoding="utf-8")
                    (made / REPORT).write_text(report.to_json(), encoding="utf-8")
                else:
                    self._card_beside(report)
        except _RequirementsNotMet as told:
            return told.report
        return report

    def _write(self, made: Path, sources: Sources, remedy: Remedy) -> tuple[str, ...]:
        tuned = sources.tuned
        if not isinstance(tuned, AdaptedCheckpoint):
            _write_checked(tuned, made, repaired_values(sources, remedy), self.folder)
            return ()
        with open_adapter_weights(self.tuned) as weights:
            why = why_merged(self.tuned, weights, sources, remedy)
            if why is None:
                values = adapter_values(weights, sources, remedy)
                write_repaired(weights, made, values, folder=self.folder)
                with open_adapter_weights(made) as again:
                    _check(again, weights, values)
                return ("written as an adapter again: each B is scaled",)
        if set(sources.base_names.values()) != set(sources.base.tensors):
            raise OutputError(
                f"the remedy of {self.tuned} can be written neither as an adapter nor as weights like base's",
                details=[why, "base and tuned have not the same tensors"],
                hint="merge the adapter first: model.merge_and_unload().save_pretrained(DIRECTORY)",
            )
        _write_checked(sources.base, made, merged_values(sources, remedy), folder_of(sources.base.path))
        return (f"written merged into base's weights, not as an adapter: {why}",)

    def _told(self, report: AuditReport, made: Path, notes: tuple[str, ...]) -> AuditReport:
        assert report.repair is not None  # noqa: S101
        with open_adapter_weights(made) if is_adapter(made) else open_checkpoint(made) as written:
            found = digest(written, whole=False)
            section = report.repair.model_copy(
                update={
                    "form": written.format,
                    "digest": Absent(not_measured=found.reason)
                    if isinstance(found, NotMeasured)
                    else Digest(method="sha256", value=found),
                    "notes": (*report.repair.notes, *notes),
                }
            )
        return report.model_copy(update={"repair": section})

    def _card_beside(self, report: AuditReport) -> None:
        _card_path(self.place.target).write_text(repair_card(report), encoding="utf-8")


def refuse_taken(out: Path | None, tuned: Path, *, force: bool) -> None:
    """OutputError, UsageError before any work, where the result could not be put there in the end."""
    if out is None:
        return
    looked_up_output(out, OPTION)
    folder = _folder(tuned)
    if folder is None and out.suffix != tuned.suffix:
        raise UsageError(
            f"{OPTION} {out}: tuned is {tuned.name}, and what is written is of its form",
            hint=f"name a file that ends in {tuned.suffix}",
        )
    place = Place(out, OPTION, force=force, folder=folder is not None)
    real = place.target.resolve()
    if folder is not None and (real == folder.resolve() or real.is_relative_to(folder.resolve())):
        raise OutputError(
            f"{OPTION} {out} lies in tuned's own folder, which is read", hint="name a folder beside it"
        )
    if real == tuned.resolve():
        raise OutputError(f"{OPTION} {out} is tuned itself, which is read", hint="name another file")
    card = _card_path(place.target)
    if folder is None and card.exists() and not force:
        raise OutputError(
            f"{OPTION} {out}: {card.name} is there already", hint="name another place, or pass --force"
        )


def sources_of(family: ModelSource, base: Checkpoint, tuned: Checkpoint, alignment: NameAlignment) -> Sources:
    """Which tensors of the files go together. MismatchError where some have other shapes: they cannot be mixed."""
    names = family.model_names(tuned)
    slots = {name: names.get(name, name) for name in tuned.tensors} if names else {}
    # A head that base ties has no name of its own in base's file, and base's embedding is what it is mixed with.
    hung = family.slot_sources(base)
    tied = {name: hung[slot] for name, slot in slots.items() if slot in hung}
    return Sources(
        base=base,
        tuned=tuned,
        base_names=tied | {theirs: ours for ours, theirs in alignment.pairs},
        slots=slots,
    )


def refuse_tied(family: ModelSource, tuned: Checkpoint, network: Network) -> None:
    """MismatchError where tuned's file has one tensor for two of base's: no mixture of them can be written as it is."""
    base = network.variants[0].tensors
    first: dict[str, str] = {}
    apart = [
        f"{first[source]} and {slot}"
        for slot, source in family.slot_sources(tuned).items()
        if first.setdefault(source, slot) != slot and base[first[source]] is not base[slot]
    ]
    if apart:
        raise MismatchError(
            "tuned ties what base has apart, which cannot be mixed and written as tuned is",
            details=[listing("one tensor in tuned, two in base", apart, shown=4)],
            hint="untie tuned first: tie_word_embeddings = False, and save it with both",
        )


def refuse_reshaped(alignment: NameAlignment, sources: Sources, network: Network) -> None:
    """MismatchError for tensors of another shape, but for those of a head that is base's while it is audited."""
    grafted = network.grafted["tuned"]
    odd = [theirs for _, theirs in alignment.reshaped if sources.slots.get(theirs, theirs) not in grafted]
    if odd:
        raise MismatchError(
            "base and tuned have tensors of other shapes, which cannot be mixed",
            details=[listing("of another shape", odd, shown=4)],
            hint="repair needs the same vocabulary on both sides",
        )


def stored_types(sources: Sources, network: Network) -> dict[str, torch.dtype]:
    """The type that each slot's tensor has in tuned's file, where the two are one tensor."""
    known = network.variants[0].tensors
    return {
        slot: getattr(torch, sources.tuned.tensors[name].dtype)
        for name, slot in sources.slots.items()
        if slot in known and sources.tuned.tensors[name].shape == tuple(known[slot].shape)
    }


def _folder(tuned: Path) -> Path | None:
    """The folder whose form the result takes; None for a single file."""
    if tuned.is_dir():
        return tuned
    return tuned.parent if tuned.name.endswith(".index.json") else None


def _card_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.card.md")


def _write_checked(pattern: Checkpoint, made: Path, values: Values, folder: Path | None) -> None:
    write_repaired(pattern, made, values, folder=folder)
    weights = pattern.weights if isinstance(pattern, TorchFile) else None
    with open_checkpoint(made, weights=weights) as again:
        _check(again, pattern, values)


def _check(again: Checkpoint, pattern: Checkpoint, values: Values) -> None:
    """What was written, read from the files: the same tensors, each with the bytes that it was to have."""
    wrong = [name for name, info in pattern.tensors.items() if again.tensors.get(name) != info]
    wrong += [name for name in again.tensors if name not in pattern.tensors]
    for name, info in pattern.tensors.items():
        if name in wrong:
            continue
        wanted = values(info)
        if (_bytes(pattern, name) if wanted is None else wanted) != _bytes(again, name):
            wrong.append(name)
    if wrong:
        raise OutputError(
            "what was written does not read back as it was meant",
            details=[listing("other tensors", wrong, shown=4)],
            hint="check the disk, and try another",
        )


def _bytes(checkpoint: Checkpoint, name: str) -> memoryview:
    found = memoryview(bytearray(checkpoint.tensors[name].n_bytes))
    if found.nbytes:
        checkpoint.read(name, 0, found)
    return found
