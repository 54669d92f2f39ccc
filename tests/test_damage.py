"""The short form of scripts/hardening/damage.py, and that it finds what it is for."""

import json
import sys
from pathlib import Path

import pytest

from fastnn.network import files as model_file

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts/hardening"
sys.path.append(str(SCRIPTS))
if not (SCRIPTS / "judge.py").exists():
    pytest.skip("fastnn is installed without its scripts", allow_module_level=True)
for module in ("sklearn", "pandas", "onnx", "h5py"):
    pytest.importorskip(module)

import damage  # noqa: E402


def test_damaged_files_are_right_or_refused():
    faults = [damage.run_example(1, number) for number in range(220)]
    assert [fault for fault in faults if fault] == []


def test_damage_that_no_checksum_finds_is_a_fault(monkeypatch):
    original = next(one for one in damage.originals() if one.name == "net.safetensors")
    content = bytearray(original.content)
    content[-2] ^= 1
    with pytest.raises(ValueError, match="its checksum does not match its content"):
        damage.read_example(original, bytes(content), True)
    n = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8:n])["__metadata__"]["fastnn"])
    monkeypatch.setattr(model_file, "_checksum", lambda *_: header["checksum"])
    with pytest.raises(damage.OtherAnswersError, match="is taken for whole, but gives other answers"):
        damage.read_example(original, bytes(content), True)
