"""Contracts of import-linter about features, which `.importlinter` names: they are strangers, and
what they share knows none of them."""

from collections.abc import Iterable
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.application import contract_utils
from importlinter.application.contract_utils import AlertLevel


class Breaches(Contract):
    """One that lists what it found in `metadata`."""

    def render_broken_contract(self, check: ContractCheck) -> None:
        for breach in check.metadata["breaches"]:
            output.print_error(f"- {breach}", bold=False)
        output.new_line()


class StrangersContract(Breaches):
    """No module of a service's folder imports another folder's `rooms`: the files of these names.
    What sits beside the folders (app.py) may. `collectors` are folders that gather all features."""

    rooms = fields.SetField(subfield=fields.StringField())
    collectors = fields.SetField(subfield=fields.StringField(), required=False)
    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        chosen: Any = self.ignore_imports
        ignored = contract_utils.remove_ignored_imports_and_report(graph, chosen, AlertLevel.ERROR)
        rooms, collectors = set[str](self.rooms), set[str](self.collectors or ())  # pyright: ignore
        breaches = [
            f"{importer} -> {imported}"
            for imported in sorted(graph.modules)
            if len(parts := imported.split(".")) == 3 and parts[2] in rooms
            for importer in sorted(graph.find_modules_that_directly_import(imported))
            if stranger(importer.split("."), parts, collectors)
        ]
        return ContractCheck(
            kept=not breaches,
            warnings=list(ignored.warnings),
            ignored_import_count=ignored.ignored_import_count,
            metadata={"breaches": breaches},
        )


class SharedContract(Breaches):
    """No module outside of a feature imports one, nor the `collectors`: those may. It holds for
    every service that has features, and for what it imports through others, as these are held too.
    """

    collectors = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        collectors = set[str](self.collectors)  # pyright: ignore
        features = features_of(graph.modules)
        services = {feature.partition(".")[0] for feature in features}
        breaches = [
            f"{importer} -> {imported}"
            for importer in sorted(graph.modules)
            if importer.partition(".")[0] in services
            if folder(importer) not in features and importer not in collectors
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if folder(imported) in features or imported in collectors
        ]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})


def features_of(modules: Iterable[str]) -> set[str]:
    return {folder(name) for name in modules if name.endswith(".manifest")}


def folder(module: str) -> str:
    """Of a service, or the module beside the folders."""
    return ".".join(module.split(".")[:2])


def stranger(importer: list[str], imported: list[str], collectors: set[str]) -> bool:
    inside = len(importer) > 2 and importer[0] == imported[0]
    return inside and importer[1] != imported[1] and ".".join(importer[:2]) not in collectors
