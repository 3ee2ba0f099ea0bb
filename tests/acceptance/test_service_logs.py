"""What a worker logs: JSON where no person reads it, one line a batch, and nothing twice."""

import json
import signal

from tests.support import sounds
from tests.support.servers.lifecycle import wait_until


def test_a_worker_logs_its_configuration_and_one_line_per_batch(
    run_cli, worker_process, redis_url, sqlite_url, tmp_path
):
    # Given three sounds, one that is none, and a worker whose log is a file
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(3):
        (folder / f"kick {number}.wav").write_bytes(sounds.encoded())
    (folder / "letter.wav").write_text("Dear Sir")
    settings = {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_LIBRARY_ROOTS": f"main={folder}",
        "CRATESORT_LOG_FORMAT": "auto",
    }
    with worker_process("--concurrency", "1", settings=settings) as worker:
        # When it has done a batch
        assert run_cli("ingest", folder, "--wait", settings=settings).code == 1
        wait_until(lambda: '"batch"' in worker.log(), "it says so", 30)
        # And is stopped with Ctrl-C
        worker.stop(signal.SIGINT)
        log = worker.log()
    # Then each line is an object, and one of them is about the batch
    records = [json.loads(line) for line in log.splitlines()]
    (batch,) = [record for record in records if "batch" in record]
    assert (batch["ingest"], batch["classified"], batch["failed"]) == (1, 3, 1)
    assert batch["model_version"]
    assert batch["headers_seconds"] >= 0
    # And the first line describes the worker without a password
    (first,) = [record for record in records if "started a worker with" in record["message"]]
    assert "for interactive, classify, housekeeping; engine onnx" in first["message"]
    # And Ctrl-C logs no error
    assert "press Ctrl-C again to stop the worker at once; its batches are requeued" in log
    # And of no file there is a line
    assert "letter.wav" not in log
