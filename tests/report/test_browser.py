"""The page in a real browser: it draws, its sliders decide as Python does, and all can use it."""

import json

import numpy as np
import polars as pl
import pytest

from leadsman.report import write_report

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def report(planted, tmp_path_factory):
    return write_report(planted, tmp_path_factory.mktemp("page") / "report.html")


def decision_of(page) -> dict:
    return json.loads(page.evaluate("document.querySelector('#try').dataset.decision"))


def move(page, slider: str, value: int) -> None:
    page.evaluate(
        """([id, value]) => { const input = document.getElementById(id); input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true })); }""",
        [slider, value],
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def python_choice(table: pl.DataFrame, budget: float, served: float, quantile: float | None):
    """The same decision, made with numpy over the same stored draws."""
    best, wins = None, []
    for (mixture, width), curve in table.sort("flops").group_by(
        ["mixture", "width"], maintain_order=True
    ):
        limit = budget - curve["serve_flops_per_token"][0] * served
        flops = curve["flops"].to_numpy()
        if limit < flops[0]:
            continue
        draws = np.array(curve["draws"].to_list(), dtype=np.float32).astype(np.float64)
        rows = [draws[k] for k in range(len(flops)) if flops[k] <= limit]
        if limit < flops[-1]:
            at = np.searchsorted(flops, limit, side="right")
            part = np.log(limit / flops[at - 1]) / np.log(flops[at] / flops[at - 1])
            rows.append(draws[at - 1] + part * (draws[at] - draws[at - 1]))
        values = [row.mean() if quantile is None else np.quantile(row, quantile) for row in rows]
        own = int(np.argmin(values))
        wins.append((mixture, width, rows[own], values[own]))
    if wins:
        winners = np.argmin([each[2] for each in wins], axis=0)
        index = int(np.argmin([each[3] for each in wins]))
        mixture, width, _, value = wins[index]
        best = (mixture, width, value, float((winners == index).mean()))
    return best


@pytest.mark.parametrize(
    ("budget", "served", "quantile"),
    [(0, -300, None), (-100, -300, None), (30, -300, None), (0, 0, None), (0, 60, None),
     (-40, 20, None), (20, 80, None), (0, -300, 0.9), (-70, 10, 0.9), (40, 90, 0.5)],
)  # fmt: skip
def test_sliders_decide_as_python_does(report, planted, open_page, budget, served, quantile):
    page = open_page(report)
    page.select_option("#objective", "mean" if quantile is None else str(quantile))
    move(page, "budget", budget)
    move(page, "served", served)
    told = decision_of(page)
    table = pl.read_parquet(planted / "plan_draws.parquet")
    mixture, width, value, chance = python_choice(table, told["budget"], told["served"], quantile)
    assert (told["label"], told["width"]) == (mixture, width)
    assert told["value"] == pytest.approx(value, rel=1e-7)
    assert told["probability_best"] == pytest.approx(chance, abs=1e-9)


def test_sliders_start_at_the_plan(report, planted, open_page):
    page = open_page(report)
    plan = json.loads((planted / "plan.json").read_text())
    told = decision_of(page)
    assert told["width"] == plan["chosen"]["recipe"]["shape"]["width"]
    assert told["label"] == plan["chosen"]["recipe"]["mixture"]["name"]
    assert told["flops"] == pytest.approx(plan["budget_flops"])
    # stored as compute levels, so the end of the curve is interpolated: 0.1 % off at most
    assert told["value"] == pytest.approx(plan["chosen"]["forecast"]["mean"], rel=1e-3)
    assert page.inner_text("#answer").split(" on ")[0] == page.inner_text("h1").split(" on ")[0]


def test_serving_much_makes_the_model_smaller(report, open_page):
    page = open_page(report)
    before = decision_of(page)["params"]
    move(page, "served", 95)
    assert decision_of(page)["params"] < before


def test_price_buys_less_compute_at_the_same_money(report, open_page):
    page = open_page(report)
    before = decision_of(page)["budget"]
    move(page, "price", 30)
    assert decision_of(page)["budget"] == pytest.approx(before / 10**0.3)
    page.click("#reset")
    assert decision_of(page)["budget"] == pytest.approx(before)


def test_budget_below_every_candidate_is_said(report, open_page):
    page = open_page(report)
    move(page, "budget", -160)
    move(page, "served", 100)
    assert "Nothing stored is this cheap" in page.inner_text("#answer")


def test_keyboard_alone_reaches_and_moves_the_sliders(report, open_page):
    page = open_page(report)
    before = decision_of(page)["budget"]
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "budget":
            break
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "before => JSON.parse(document.querySelector('#try').dataset.decision).budget < before",
        arg=before,
    )
    assert decision_of(page)["budget"] == pytest.approx(before * 10**-0.1)
    assert page.get_attribute("#budget", "aria-valuetext") == page.inner_text("#budget-said")


def test_every_chart_draws_and_is_described(report, open_page):
    page = open_page(report)
    charts = page.locator("figure .plot svg")
    assert charts.count() == page.locator("figure .plot").count() >= 9
    for index in range(charts.count()):
        assert len(charts.nth(index).get_attribute("aria-label")) > 20
    assert page.locator("svg path[d*=NaN], svg [x1=NaN], svg [width=NaN]").count() == 0


def test_hovering_tells_the_value(report, open_page):
    page = open_page(report)
    dot = page.locator("figure[data-chart] .plot svg path.dot").last
    dot.scroll_into_view_if_needed()
    dot.hover(force=True)
    assert page.locator(".tip:visible").count() == 1


def test_dark_mode_repaints_page_and_charts(report, open_page):
    looks = {}
    for scheme in ("light", "dark"):
        page = open_page(report, color_scheme=scheme)
        looks[scheme] = page.evaluate(
            "() => [document.body, document.querySelector('.plot svg text')].map((each, at) => "
            "getComputedStyle(each)[at ? 'fill' : 'backgroundColor'])"
        )
    assert looks["light"][0] == "rgb(255, 255, 255)"
    assert all(a != b for a, b in zip(looks["light"], looks["dark"]))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_sticks_out_on_a_small_screen(report, open_page, width):
    page = open_page(report, viewport={"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_prints_to_pdf_with_everything_unfolded(report, open_page, tmp_path):
    page = open_page(report, color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    pdf = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") >= 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1100, "height": 900}, PHONE])
def test_axe_finds_no_serious_issue(report, open_page, scheme, viewport):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(report, color_scheme=scheme, viewport=viewport)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["target"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_half_done_page_opens_on_a_phone(planted, open_page, tmp_path):
    work = tmp_path / "work"
    (work / "stages").mkdir(parents=True)
    (work / "stages/prepare.json").write_bytes((planted / "stages/prepare.json").read_bytes())
    page = open_page(write_report(work, tmp_path / "report.html"), viewport=PHONE)
    assert page.inner_text("h1") == "No decision yet"
    assert page.locator("figure .plot svg").count() == 1
