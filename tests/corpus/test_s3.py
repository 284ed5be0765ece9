"""Corpora on object storage: a real S3 API in this process, which can be told to fail."""

import json
import threading
import urllib.request

import polars as pl
import pytest

from leadsman.corpus import Corpus, convert, deduplicate, write_corpus
from leadsman.errors import InputError

pytest.importorskip("s3fs", reason="the extra 'readers' is not installed")
pytest.importorskip("moto", reason="the extra 'dev' is not installed")

ROWS = [
    {"id": f"d{i}", "text": f"text {i} {'word ' * 40}{i * 7}", "source": "s"} for i in range(300)
]


class Store:
    """The S3 server; ``failing[path]`` is (status, code, how often)."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log(self, *_):
                pass

        self.application = DomainDispatcherApplication(create_backend_app)
        self.failing = {}
        self.refused = 0
        self.server = make_server(
            "127.0.0.1", 0, self.answer, threaded=True, request_handler=Silent
        )
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, environ, start):
        status, code, times = self.failing.get(environ["PATH_INFO"], ("", "", 0))
        if environ["REQUEST_METHOD"] == "GET" and times > 0:
            self.failing[environ["PATH_INFO"]] = (status, code, times - 1)
            self.refused += 1
            start(status, [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()]
        return self.application(environ, start)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def store(monkeypatch):
    import fsspec

    server = Store()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server.port}",
        "AWS_MAX_ATTEMPTS": "2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    server.files = fsspec.filesystem("s3")
    # The server's buckets belong to the process, not to the server.
    reset = f"http://127.0.0.1:{server.server.port}/moto-api/reset"
    urllib.request.urlopen(urllib.request.Request(reset, method="POST")).close()
    server.files.mkdir("bucket")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    for part in "ab":
        rows = lines.replace('"id": "d', f'"id": "{part}')
        server.files.pipe(f"bucket/raw/{part}.jsonl", rows.encode())
    yield server
    server.files.clear_instance_cache()
    server.close()


def test_a_job_runs_on_object_storage_as_on_a_disk(store, tmp_path):
    report = convert("s3://bucket/raw/*.jsonl", "s3://bucket/corpus", shard_bytes=20_000)
    assert report.corpus.documents == 600
    assert len(report.corpus.shards) > 4
    assert Corpus.open("s3://bucket/corpus").verify() == []
    there = deduplicate(report.corpus, "s3://bucket/unique", shard_bytes=20_000)
    local = convert("s3://bucket/raw/*.jsonl", tmp_path / "corpus", shard_bytes=20_000)
    here = deduplicate(local.corpus, tmp_path / "unique", shard_bytes=20_000)
    assert there.documents_removed == here.documents_removed >= 300
    assert there.corpus.fingerprint == here.corpus.fingerprint
    assert not store.files.glob("bucket/unique/.work/**")


def test_a_busy_server_is_asked_again(store, tmp_path):
    store.failing["/bucket/raw/a.jsonl"] = ("503 Slow Down", "SlowDown", 3)
    report = convert("s3://bucket/raw", tmp_path / "out")
    assert (report.corpus.documents, report.rejected, store.refused) == (600, 0, 3)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ("503 Slow Down", "SlowDown", "SlowDown"),
        ("403 Forbidden", "AccessDenied", "AccessDenied"),
    ],
)
def test_what_stays_unreadable_is_quarantined_and_named(store, tmp_path, status, code, reason):
    store.failing["/bucket/raw/a.jsonl"] = (status, code, 10_000)
    report = convert("s3://bucket/raw", tmp_path / "out")
    assert (report.corpus.documents, report.rejected) == (300, 1)
    row = pl.read_parquet(tmp_path / "out/rejects/*.parquet").to_dicts()[0]
    assert row["file"] == "bucket/raw/a.jsonl"
    assert reason in row["reason"]


def test_a_corpus_whose_shard_cannot_be_read_says_which(store):
    corpus = write_corpus("s3://bucket/c", ROWS)
    path = f"/bucket/c/{corpus.shards[0].name}"
    store.failing[path] = ("403 Forbidden", "AccessDenied", 10_000)
    with pytest.raises(InputError, match=r"s3://bucket/c/shard-00000\.parquet: cannot be read"):
        list(Corpus.open("s3://bucket/c").batches())
