"""Weight of the report and time of an interaction, in headless Chromium.

    python -m benchmarks.report.page [WORK]      # a project's working directory; else a planted one

Each of 60 moves of the sliders is timed from the input event until the page has decided anew,
redrawn its charts and laid them out, two frames included (16.7 ms each at 60 Hz): at the width of a
desktop, and at that of a phone with the processor slowed down four times by Chromium. Beside it
stands the processor's own time for a move (mean), which other work on the machine does not change.
Result: benchmarks/report/results/page.json, with the load of the machine while it was measured.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from playwright.sync_api import sync_playwright

from leadsman.report import write_report
from leadsman.report.read import read_findings

SCREENS = {"desktop": (1100, 900, 1), "phone": (390, 844, 4)}
"""Width, height, and how many times slower the processor is made."""
MOVED = 60
RESULT = Path(__file__).parent / "results/page.json"
MOVES = """
async () => {
  const times = [], sliders = ["budget", "served", "price"].map((id) => document.getElementById(id))
    .filter(Boolean);
  for (let k = 0; k < 60; k += 1) {
    const slider = sliders[k % sliders.length];
    const low = Number(slider.min), high = Number(slider.max);
    slider.value = low + ((k * 37) % 100) / 100 * (high - low);
    const began = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    document.body.getBoundingClientRect();
    const own = Number(document.querySelector("#try").dataset.milliseconds);
    times.push([performance.now() - began, own]);
  }
  return times;
}
"""


def planted(place: Path) -> Path:
    """The project with a planted law that the tests use."""
    file = Path(__file__).parents[2] / "tests/report/conftest.py"
    spec = importlib.util.spec_from_file_location("planted_project", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(module.write_project(place / "work"))


def measure(work: Path, place: Path) -> dict[str, Any]:
    """Weight of the page, and time of an interaction on each screen."""
    page_file = write_report(work, place / "report.html")
    found: dict[str, Any] = {
        "project": read_findings(work).name,
        "page_bytes": page_file.stat().st_size,
    }
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (width, height, slowed) in SCREENS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(page_file.resolve().as_uri())
            found["curves"] = page.evaluate("() => window.leadsman.data.curves.length")
            page.evaluate(MOVES)  # warm
            before = processor_seconds(session)
            page.evaluate(MOVES)
            spent = 1000 * (processor_seconds(session) - before) / MOVED
            session.send("Emulation.setCPUThrottlingRate", {"rate": slowed})
            found[name] = {
                "slowed": slowed,
                "moves": MOVED,
                "processor_ms": round(spent, 1),
                "slowed_processor_ms": round(slowed * spent, 1),
            } | summary(page.evaluate(MOVES))
            page.close()
        found["chromium"] = browser.version
        browser.close()
    return found


def processor_seconds(session: Any) -> float:
    """Time of the processor that the page's main thread has taken so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def summary(times: list[list[float]]) -> dict[str, Any]:
    """Of pairs: until laid out, and the script's own share, in milliseconds."""
    whole, own = ([pair[side] for pair in times] for side in (0, 1))
    return {
        "to_layout_ms": levels(whole),
        "script_ms": levels(own),
    }


def levels(times: list[float]) -> dict[str, float]:
    """Median, nine tenths, and the slowest."""
    tenths = statistics.quantiles(times, n=10, method="inclusive")
    found = {"median": statistics.median(times), "nine tenths": tenths[-1], "max": max(times)}
    return {name: round(value, 1) for name, value in found.items()}


def main() -> None:
    """Measure and keep."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(sys.argv[1]) if len(sys.argv) > 1 else planted(Path(place))
        found = measure(work, Path(place))
    found["machine"] = machine("leadsman", "playwright")
    found["load_average"] = round(os.getloadavg()[0], 1)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
