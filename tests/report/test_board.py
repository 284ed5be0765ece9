"""The live page while a plan writes: it follows without a reload, and changes nothing."""

import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from leadsman.errors import InputError
from leadsman.report import write_report
from leadsman.report.board import State, make_server
from leadsman.runs import Ledger, Run


@pytest.fixture
def serve():
    started = []

    def go(work, narrowing=None):
        server = make_server(State(work, narrowing))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield go
    for server in started:
        server.shutdown()
        server.server_close()


def state_at(address: str) -> dict:
    with urllib.request.urlopen(address + "state.json") as answer:
        return json.load(answer)


def digest(work) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(work.rglob("*")) if path.is_file()}  # fmt: skip


def progress(work, tokens: int, loss: float = 3.0) -> None:
    place = work / "training/progress"
    place.mkdir(parents=True, exist_ok=True)
    plain = {"trunk_id": "t", "label": "selected 0.1M", "tokens": tokens, "total_tokens": 1000,
             "loss": loss, "seconds": 1.0}  # fmt: skip
    (place / "t.json").write_text(json.dumps(plain))


def request(address: str, method: str = "GET", path: str = "/", **headers) -> int:
    host = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host)
    connection.request(method, path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_state_follows_what_the_plan_writes(own_project, serve):
    address = serve(own_project)
    before = state_at(address)
    assert before["stages"][0]["state"] == "done"
    progress(own_project, 400)
    Ledger(str(own_project / "ledger")).add(
        Run(id="new", settings={"flops": 1e12, "params": 1e5}, bpb={"target": 2.5})
    )
    after = state_at(address)
    assert after["trunks"][0]["tokens"] == 400
    assert len(after["runs"]) == len(before["runs"]) + 1
    assert [run["result"] for run in after["runs"] if run["id"] == "new"] == [2.5]


def test_the_head_is_the_reports(own_project, serve):
    state = state_at(serve(own_project))
    page = write_report(own_project, own_project / "report.html").read_text()
    assert f"<h1>{state['plan']['head']}</h1>" in page
    assert {"title": "Small runs", "state": "done"} in state["stages"]


def test_board_reads_only(own_project, serve):
    before = digest(own_project)
    address = serve(own_project)
    assert request(address) == 200
    state_at(address)
    for method in ("POST", "PUT", "DELETE"):
        assert request(address, method) == 501
    assert request(address, path="/../plan.json") == 404
    assert digest(own_project) == before


def test_page_of_another_name_cannot_read_it(own_project, serve):
    address = serve(own_project)
    assert request(address, Host="evil.example:80") == 403
    assert request(address, Host="localhost:80") == 200


def test_half_written_and_foreign_files_do_not_stop_it(own_project, serve):
    progress(own_project, 10, loss=float("nan"))
    (own_project / "training/progress/half.json").write_text('{"label":')
    (own_project / "plan.json").write_text("[]")
    (own_project / "ledger/runs/bad").mkdir()
    (own_project / "ledger/runs/bad/run.json").write_text("{")
    state = state_at(serve(own_project))
    assert [trunk["loss"] for trunk in state["trunks"]] == [None]
    assert state["plan"] is None


def test_forecast_is_made_again_when_runs_finish(own_project, serve):
    told = iter([{"runs": 1, "why": "few"}, {"runs": 2, "intervals": []}, None])
    address = serve(own_project, lambda: next(told))

    def history(length):
        for _ in range(100):
            found = state_at(address)["history"]
            if len(found) == length:
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    assert history(1)[0]["why"] == "few"
    state_at(address)
    Ledger(str(own_project / "ledger")).add(Run(id="new", bpb={"target": 2.5}))
    assert history(2)[1]["runs"] == 2


PROJECT = """
sources: [{name: web, path: web.jsonl}]
target: {path: target.jsonl}
budget: {flops: 2.0e+13}
soundings: {mixtures: [natural, uniform, selected]}
"""


def test_too_few_runs_are_said(own_project):
    from leadsman.plan.interim import interim_forecast

    (own_project / "project.yaml").write_text(PROJECT)
    for path in (own_project / "ledger/runs").iterdir():
        run = json.loads((path / "run.json").read_text())
        if run["recipe"]["mixture"]["name"] == "uniform":
            (path / "run.json").write_text(json.dumps(run | {"status": "failed"}))
    told = interim_forecast(own_project)
    assert told["why"] == (
        "0 finished runs of the uniform mixture are too few to forecast; 6 are needed."
    )
    (own_project / "project.yaml").write_text("name: [")
    assert interim_forecast(own_project)["why"].startswith("No forecast yet: ")


@pytest.mark.slow
def test_interim_forecast_finds_the_planted_truth(own_project, planted_truth):
    from leadsman.plan.interim import interim_forecast

    (own_project / "project.yaml").write_text(PROJECT)
    told = interim_forecast(own_project)
    assert told["runs"] == 48
    for each in told["intervals"]:
        assert each["low"] < each["median"] < each["high"]
        # of any size near the best, bpb differs by less than 3 %: the law is flat there
        assert each["median"] == pytest.approx(planted_truth(each["mixture"]), rel=0.04)


def test_no_directory_and_taken_port_are_one_sentence(tmp_path, own_project):
    with pytest.raises(InputError, match="there is no such directory"):
        State(tmp_path / "nowhere")
    server = make_server(State(own_project))
    with pytest.raises(InputError, match="cannot be served"):
        make_server(State(own_project), port=server.server_address[1])
    server.server_close()


@pytest.mark.browser
def test_page_follows_without_a_reload(own_project, serve, open_page):
    (own_project / "plan.json").unlink()
    progress(own_project, 100)
    forecast = {"runs": 12, "intervals": [
        {"mixture": "selected", "low": 1.9, "median": 2.0, "high": 2.1}]}  # fmt: skip
    page = open_page(serve(own_project, lambda: forecast))
    page.wait_for_function("document.querySelector('#trunks').innerText.includes('10 %')")
    page.evaluate("window.kept = true")
    progress(own_project, 700, loss=2.5)
    page.wait_for_function("document.querySelector('#trunks').innerText.includes('70 %, loss 2.5')")
    page.wait_for_selector("#narrowing svg .dot")
    assert page.locator("#results svg .dot").count() == 50
    assert page.evaluate("window.kept")
    assert page.inner_text("h1") == "A plan is being made"
    assert "Ahead so far: best quarter, with a forecast of 2.000" in page.inner_text("#now")
    progress(own_project, 1000)
    page.wait_for_function("document.querySelector('#finished').innerText.includes('done: 1')")
    assert page.inner_text("#trunks") == ""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_command_ends_gracefully(own_project, ending):
    process = subprocess.Popen(
        [sys.executable, "-m", "leadsman", "board", str(own_project), "--port", "0",
         "--no-forecast"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    line = process.stdout.readline()
    assert line.startswith("Board: http://127.0.0.1:")
    assert state_at(line.split()[1])["name"] == "planted"
    process.send_signal(ending)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "the plan goes on" in out
    assert not err
