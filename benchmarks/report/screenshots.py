"""Pictures of the report for the documentation: desktop, dark, phone.

python -m benchmarks.report.screenshots [WORK]     # else the project with a planted law
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.report.page import planted
from playwright.sync_api import sync_playwright

from leadsman.report import write_report

OUT = Path(__file__).parents[2] / "docs/img"
VIEWS = {
    "report": (1000, 1130, "light"),
    "report-dark": (1000, 1130, "dark"),
    "report-phone": (390, 844, "light"),
}


def main() -> None:
    """Write docs/img/report*.png."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        work = Path(sys.argv[1]) if len(sys.argv) > 1 else planted(Path(place))
        page_file = write_report(work, Path(place) / "report.html")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (width, height, scheme) in VIEWS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page.goto(page_file.resolve().as_uri())
            page.screenshot(path=OUT / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
