"""Prose on the terminal: broken between words where a line is longer than the window."""

from __future__ import annotations

import shutil
import sys
import textwrap

import typer


def echo_wrapped(text: str, *, indent: str = "") -> None:
    """Print a sentence; whole on one line where the output is no terminal (``grep`` reads it).

    Args:
        text: to print.
        indent: before every line after the first.
    """
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(
            text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    typer.echo(text)
