"""What is built and installed: contents of the wheel and the sdist, metadata, pins, and the set-up script."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import metalcx
from metalcx import _resources
from metalcx.transfer._learn2learn import INSTALL_COMMAND

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MEGABYTE = 2**20


def shipped(folder: str) -> set[str]:
    """Files of a folder that a build has to carry, relative to the repository."""
    paths = (p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(ROOT).as_posix() for p in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from that sdist as pip would."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(out), "-t"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(out, filter="data")
    unpacked = out / f"metalcx-{metalcx.__version__}"
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


def test_the_wheel_carries_package_corpora_and_checkpoints(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    bundled = {f"metalcx/_bundled/{path}" for folder in ("datasets", "pretrained") for path in shipped(folder)}
    assert {"metalcx/py.typed", *shipped("metalcx"), *bundled} <= names
    outside = {n for n in names if not n.startswith(("metalcx/", f"metalcx-{metalcx.__version__}.dist-info/"))}
    assert outside == set()


def test_the_sdist_holds_what_a_checkout_needs(built: Path) -> None:
    top = built / f"metalcx-{metalcx.__version__}"
    wanted = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"}
    wanted |= {"Makefile", "mkdocs.yml", "docs/index.md", "docs/assets/forecast.png", ".ci/setup", ".ci/docs_pages.py"}
    wanted |= {path for folder in ("metalcx", "datasets", "pretrained", "requirements") for path in shipped(folder)}
    assert {path for path in wanted if not (top / path).is_file()} == set()


def test_metadata(wheel: zipfile.ZipFile) -> None:
    info = f"metalcx-{metalcx.__version__}.dist-info"
    meta = message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert (meta["Version"], meta["License-Expression"], meta["Requires-Python"]) == (
        metalcx.__version__,
        "Apache-2.0",
        ">=3.11",
    )
    assert b"metalcx = metalcx.cli:main" in wheel.read(f"{info}/entry_points.txt")
    assert b"Apache License" in wheel.read(f"{info}/licenses/LICENSE")


def test_a_bundle_is_small_and_holds_no_code_and_no_pickle() -> None:
    paths = [ROOT / path for folder in ("datasets", "pretrained") for path in shipped(folder)]
    plain = {".json", ".md", ".parquet", ".safetensors", ".csv", ".svg", ".png", ".toml", ""}
    assert {p.suffix for p in paths} <= plain
    # `CHECKSUMS` beside a corpus is the one file without an ending.
    assert {p.name for p in paths if not p.suffix} <= {"CHECKSUMS"}
    assert sum(p.stat().st_size for p in (ROOT / "datasets").rglob("*") if p.is_file()) < 28 * MEGABYTE
    assert sum(p.stat().st_size for p in (ROOT / "pretrained").rglob("*") if p.is_file()) < 8 * MEGABYTE


def test_the_changelog_begins_with_this_version() -> None:
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == metalcx.__version__


def pins(lists: str = "*") -> dict[str, str]:
    lines = [line for path in (ROOT / "requirements").glob(f"{lists}.txt") for line in path.read_text().splitlines()]
    found = [re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [
        Requirement(li) for li in [*PROJECT["dependencies"], *(li for e in ("test", "dev", "docs") for li in extras[e])]
    ]


@pytest.mark.parametrize("requirement", [r for r in declared() if r.name != "metalcx"], ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_what_is_pinned_needs_nothing_that_is_not() -> None:
    """A package that the lists forget would come in whatever version is the newest."""
    # CUDA builds of torch need packages that CPU builds do not; learn2learn is installed without what it names.
    listed = {name: version for name, version in pins().items() if name not in ("torch", "learn2learn")}
    if installed("pandas") != pins("lock")["pandas"]:
        pytest.skip("other versions than the pinned ones are installed")
    needed = {name: requires(name) or [] for name in listed if installed(name)}
    assert {"hatchling", "pandas", "scikit-learn"} <= needed.keys()
    wanted = {(name, Requirement(line)) for name, lines in needed.items() for line in lines}
    here = {(name, canonicalize_name(r.name)) for name, r in wanted if not r.marker or r.marker.evaluate({"extra": ""})}
    assert {(name, other) for name, other in here if other not in pins()} == set()


def installed(name: str) -> str | None:
    """Which version is; the hosts of the slow tests may not be there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def test_torch_has_an_upper_bound_and_learn2learn_is_no_requirement() -> None:
    (torch,) = (r for r in declared() if r.name == "torch")
    assert not torch.specifier.contains("2.14.0")
    assert "learn2learn" not in {r.name for r in declared()}


def test_learn2learn_is_installed_by_the_same_command_everywhere() -> None:
    words = INSTALL_COMMAND.split()
    line = [li for li in (ROOT / "requirements" / "learn2learn.txt").read_text().splitlines() if "==" in li]
    assert line == [f"{words[-1]} {words[3]}"]
    assert INSTALL_COMMAND in (ROOT / "docs" / "install.md").read_text()


def test_resources_of_a_checkout_and_of_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "metalcx"
    (package / "_bundled" / "pretrained" / "inside").mkdir(parents=True)
    (tmp_path / "pretrained" / "beside").mkdir(parents=True)
    (tmp_path / "datasets" / "of-another-library").mkdir(parents=True)
    monkeypatch.setattr(_resources, "_INSTALLED", package / "_bundled")
    monkeypatch.setattr(_resources, "_CHECKOUT", tmp_path)
    assert _resources.bundled_names("pretrained") == ["inside"]
    assert _resources.bundled("pretrained", "inside") == package / "_bundled" / "pretrained" / "inside"
    assert _resources.bundled("pretrained", "../../../pretrained/beside") is None
    assert _resources.bundled_names("datasets") == []
    shutil.rmtree(package / "_bundled")
    (tmp_path / "pyproject.toml").touch()
    assert _resources.bundled_names("pretrained") == ["beside"]
    assert _resources.bundled_names("datasets") == ["of-another-library"]


# The set-up script, tried with stand-ins for Python and pip: what it decides, not what pip does.

FAKE_PYTHON = """#!/bin/sh
echo "$*" >>"$FAKE_LOG"
case "$*" in
*ensurepip*) exit ${FAKE_OLD:-0} ;;
*learn2learn*-c*|*'version("learn2learn")'*) exit 1 ;;
"-m venv"*) for last; do :; done; rm -rf "$last"; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
*"-r requirements/lock.txt"*) exit ${FAKE_LOCK:-0} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare checkout, and a machine whose only Python is the stand-in."""
    for name in (".ci", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / "repo" / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "repo")
    machine = tmp_path / "bin"
    machine.mkdir()
    (machine / "python3").write_text(FAKE_PYTHON)
    (machine / "python3").chmod(0o755)
    for tool in ("sh", "cat", "cksum", "head", "mv", "rm", "mkdir", "cp", "dirname"):
        (machine / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setattr(os, "environ", {"PATH": str(machine), "FAKE_LOG": str(tmp_path / "log")})
    return tmp_path / "repo"


def set_up(checkout: Path, **environment: str) -> tuple[int, list[str], str]:
    """Exit code, pip's arguments by call, and what was said."""
    log = Path(os.environ["FAKE_LOG"])
    log.write_text("")
    done = subprocess.run(
        ["sh", ".ci/setup"], cwd=checkout, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    calls = [line for line in log.read_text().splitlines() if " install " in line or "-m venv" in line]
    return done.returncode, calls, done.stderr


def test_set_up_installs_torch_first_and_the_second_time_nothing(checkout: Path) -> None:
    code, calls, _ = set_up(checkout)
    assert code == 0
    wanted = ["-m venv", "pip>=", "torch.txt", "lock.txt", "--no-deps -r requirements/learn2learn.txt", "--editable ."]
    assert len(calls) == len(wanted)
    assert all(part in call for part, call in zip(wanted, calls, strict=True))
    assert set_up(checkout)[:2] == (0, [])


def test_changed_requirements_install_again_into_the_same_environment(checkout: Path) -> None:
    set_up(checkout)
    with (checkout / "requirements" / "lock.txt").open("a") as lock:
        lock.write("another==1\n")
    code, calls, _ = set_up(checkout)
    assert code == 0
    assert calls
    assert not any("venv" in call for call in calls)


def test_an_interrupted_installation_is_made_anew(checkout: Path) -> None:
    code, _, _ = set_up(checkout, FAKE_LOCK="1")
    assert code != 0
    code, calls, said = set_up(checkout)
    assert code == 0
    assert "-m venv --clear" in calls[0]
    assert "unfinished" in said
    assert set_up(checkout)[:2] == (0, [])


def test_a_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    set_up(checkout)
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert "-m venv --clear" in set_up(moved)[1][0]


def test_torch_index_is_used_once_and_kept(checkout: Path) -> None:
    index = "https://download.pytorch.org/whl/cpu"
    set_up(checkout)
    _, calls, _ = set_up(checkout, TORCH_INDEX=index)
    assert f"--force-reinstall --no-deps --index-url {index} -r requirements/torch.txt" in " ".join(calls)
    assert set_up(checkout, TORCH_INDEX=index)[:2] == (0, [])
    assert set_up(checkout)[:2] == (0, [])


def test_without_a_python_that_runs_set_up_says_what_is_wanted(checkout: Path) -> None:
    code, _, said = set_up(checkout, FAKE_OLD="1")
    assert code != 0
    assert "no Python 3.11 or newer" in said
    code, _, said = set_up(checkout, PYTHON="/nowhere/python")
    assert code != 0
    assert "PYTHON=/nowhere/python does not run" in said
    assert not (checkout / ".venv").exists()
