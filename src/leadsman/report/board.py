"""A live page of a running plan: progress of each sounding, and the forecast as runs finish.

The board reads the working directory and writes nothing. It answers ``GET /`` (the page) and
``GET /state.json`` (what the page asks for every second), on this machine only unless told
otherwise. Files are replaced whole by those who write them, so a half-written one is never seen;
one that disappears while it is read is looked for again a second later.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from leadsman.errors import InputError
from leadsman.humanize import DataWords, base_of
from leadsman.report.decision import what_to_run
from leadsman.report.figures import MIXTURE_COLOURS, unit_of
from leadsman.report.markup import text
from leadsman.report.page import document
from leadsman.report.read import words_of
from leadsman.runs import Ledger, Run

SCRIPTS = ("charts.js", "board.js")
STAGES = (
    ("prepare", "Read and clean"),
    ("select", "Select"),
    ("tokenise", "Tokenise"),
    ("settings", "Try settings"),
    ("forecast", "Forecast and plan"),
)
PAUSE = 4.0
"""Between two fits, in times of how long the last one took: the runs want the processor more."""
LOCAL = ("127.0.0.1", "localhost", "::1")
Narrowing = Callable[[], "dict[str, Any] | None"]
"""The forecast from the runs finished so far: ``{runs, intervals: [{mixture, low, median, high}]}``
at 80 %, with ``left_out``, names of which too little is known yet; or ``{runs, why}`` while there
are too few; ``None`` if it cannot be told."""


class State:
    """What the page shows, read anew when asked; runs are read once.

    Args:
        work: the project's working directory.
        narrowing: makes the forecast from the runs finished so far; called in a thread of its own,
            when further small runs have finished.
    """

    def __init__(self, work: Path, narrowing: Narrowing | None = None) -> None:
        if not work.is_dir():
            raise InputError(
                "there is no such directory; name a project's working directory (PROJECT/work)",
                file=work,
            )
        self.work = work
        self.narrowing = narrowing
        self.history: list[dict[str, Any]] = []
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        self._fitting = threading.Lock()
        self._fitted_on = -1
        self._rests_until = 0.0

    def read(self) -> dict[str, Any]:
        """The state as plain values."""
        with self._lock:
            self._read_runs()
        proxies = [run for run in self._runs.values() if run.role == "proxy"]
        small = [run for run in self._runs.values() if run.role in ("proxy", "setting")]
        self._narrow(sum(run.status == "finished" for run in small))
        plan = self._json("plan.json")
        words = words_of(self._json("stages/select.json").get("result") or {})
        y = plan.get("y") or next((f"bpb.{name}" for run in proxies for name in run.bpb), "")
        runs = [self._run(run, y) for run in self._runs.values()]
        return {
            "name": self._name(),
            "y": y,
            "unit": unit_of(y) if y else "",
            "stages": self._stages(),
            "trunks": self._trunks(words),
            "runs": runs,
            "history": self.history[-200:],
            "forecasting": self.narrowing is not None,
            "plan": _plan(plan, words),
            "colours": MIXTURE_COLOURS,
            "words": {run["mixture"]: words.short(run["mixture"] or "") for run in runs},
        }

    def _read_runs(self) -> None:
        ledger = Ledger(str(self.work / "ledger"))
        for run_id in ledger.ids():
            known = self._runs.get(run_id)
            if known is None or known.status != "finished":
                try:
                    self._runs[run_id] = ledger.get(run_id)
                except (InputError, FileNotFoundError):
                    continue

    def _narrow(self, finished: int) -> None:
        """Begin a fit in the background if runs have finished since the last one."""
        if self.narrowing is None or finished <= self._fitted_on or finished == 0:
            return
        if time.monotonic() < self._rests_until:
            return
        if not self._fitting.acquire(blocking=False):
            return
        self._fitted_on = finished

        def fit() -> None:
            began = time.monotonic()
            try:
                found = self.narrowing() if self.narrowing else None
                if found is not None:
                    self.history.append(found)
            finally:
                now = time.monotonic()
                self._rests_until = now + PAUSE * (now - began)
                self._fitting.release()

        threading.Thread(target=fit, daemon=True).start()

    def _stages(self) -> list[dict[str, str]]:
        """Title and state of each; a project that tries no settings has no such stage."""
        found = [(name, title, self._stage(name)) for name, title in STAGES]
        states = {name: state for name, _, state in found}
        later = {states["settings"], states["forecast"]} != {"waiting"}
        sounding = "done" if later else "begun" if states["tokenise"] == "done" else "waiting"
        found.insert(3, ("sound", "Small runs", sounding))
        planned = any(name == "forecast" and state != "waiting" for name, _, state in found)
        return [
            {"title": title, "state": state}
            for name, title, state in found
            if not (name == "settings" and state == "waiting" and planned)
        ]

    def _stage(self, name: str) -> str:
        if (self.work / f"stages/{name}.json").exists():
            return "done"
        return "begun" if (self.work / f"stages/{name}.begun").exists() else "waiting"

    def _name(self) -> str:
        prepared = self._json("stages/prepare.json").get("result") or {}
        return str(prepared.get("project") or self.work.resolve().parent.name)

    def _trunks(self, words: DataWords) -> list[dict[str, Any]]:
        found = []
        for path in sorted((self.work / "training/progress").glob("*.json")):
            plain = self._json(f"training/progress/{path.name}")
            if {"label", "tokens", "total_tokens"} <= plain.keys():
                loss = plain.get("loss")
                usable = isinstance(loss, int | float) and math.isfinite(loss)
                mixture, _, size = str(plain["label"]).rpartition(" ")
                found.append(
                    {name: plain.get(name) for name in ("tokens", "total_tokens", "seconds")}
                    | {
                        "label": f"{words.short(mixture)}: {size}" if mixture else size,
                        "loss": loss if usable else None,
                    }
                )
        return found

    def _run(self, run: Run, y: str) -> dict[str, Any]:
        row = run.row()
        value = row.get(y)
        usable = isinstance(value, int | float) and math.isfinite(value)
        keys = ("id", "role", "status", "params", "tokens", "flops")
        mixture = row.get("mixture")
        return {key: row.get(key) for key in keys} | {
            "mixture": None if mixture is None else base_of(mixture),
            "result": value if usable else None,
        }

    def _json(self, name: str) -> dict[str, Any]:
        try:
            plain = json.loads((self.work / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return plain if isinstance(plain, dict) else {}


def _plan(plan: dict[str, Any], words: DataWords) -> dict[str, Any] | None:
    try:
        recipe, forecast = plan["chosen"]["recipe"], plan["chosen"]["forecast"]
        low, high = forecast["intervals"]["0.8"]
        return {
            "head": unescape(what_to_run(plan, words)),
            "tokens": recipe["tokens"],
            "median": forecast["median"],
            "low": low,
            "high": high,
        }
    except (KeyError, TypeError, ValueError):
        return None


def board_page(name: str) -> str:
    """The page; everything it shows it asks for."""
    body = (
        f"<main id='main'><p class='eyebrow'>{text(name)}</p><h1 id='head'>A plan is being made"
        "</h1><p class='lead' id='now' role='status'></p><ol class='stages' id='stages'></ol>"
        "<section><h2>Small runs</h2><p class='soft' id='count'></p>"
        "<div id='trunks'></div><details id='finished' hidden><summary></summary><div></div>"
        "</details></section>"
        "<section><h2>Forecast</h2><p class='soft' id='why'></p>"
        "<figure id='narrowing' hidden><figcaption>The forecast as runs finish<span>80 % interval "
        "for the planned compute, from the small runs finished so far</span></figcaption>"
        "<div class='plot' style='min-height:300px'></div><ul class='legend' hidden></ul></figure>"
        "<figure id='results' hidden><figcaption>Results so far</figcaption>"
        "<div class='plot' style='min-height:340px'></div><ul class='legend' hidden></ul></figure>"
        "</section><footer>This page asks for news every second and writes nothing.</footer></main>"
    )
    return document(f"{name}: Leadsman board", body, SCRIPTS)


def make_server(state: State, *, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server that is ready to run (``serve_forever``); port 0 takes a free one.

    Raises:
        InputError: the port is taken or the host is none of this machine's.
    """

    class Handler(_Handler):
        board = state
        local = host in LOCAL

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    try:
        return Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"{host}:{port} cannot be served ({error}); choose another --port", column="--port"
        ) from error


class _Handler(BaseHTTPRequestHandler):
    board: ClassVar[State]
    local: ClassVar[bool]

    def do_GET(self) -> None:
        name = (self.headers.get("Host") or "").rpartition(":")[0].strip("[]") or "localhost"
        if self.local and name not in LOCAL:
            # a foreign page whose name was made to point here must not read the board
            self._answer(403, "text/plain", b"this board answers to localhost only")
        elif self.path == "/":
            page = board_page(self.board.read()["name"])
            self._answer(200, "text/html; charset=utf-8", page.encode())
        elif self.path == "/state.json":
            state = json.dumps(self.board.read(), allow_nan=False)
            self._answer(200, "application/json", state.encode())
        else:
            self._answer(404, "text/plain", b"there is nothing here; the page is at /")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: a line a second helps nobody."""
