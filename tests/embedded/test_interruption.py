import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.embedded.interruption import uninterrupted
from pipeline.embedded.process import ChildProcess


def test_an_interruption_takes_effect_at_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("the end")
    assert reached == ["the end"]


def test_without_it_an_interruption_strikes_at_once():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("the end")
    assert reached == []


def test_a_process_started_meanwhile_can_be_ended_as_any_other():
    with uninterrupted():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child.terminate()
    assert child.wait(10) == -signal.SIGTERM


def test_a_child_process_that_is_stopped_leaves_nothing_running(tmp_path: Path):
    child = ChildProcess("sleeper", "sleep 60", folder=tmp_path, log=tmp_path / "log", environment=dict(os.environ))
    child.start()
    assert child.running
    child.stop()
    assert not child.running
