"""The chosen recipe for other trainers; one file a tool."""

from leadsman.plan.export.export import TOOLS, export_recipe, read_chosen

__all__ = ["TOOLS", "export_recipe", "read_chosen"]
