"""Fetching over real HTTP from a server on this machine: whole and verified, or not there."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from served import BODY, serving

from metalcx.corpora import KnownCorpus, KnownFile, _download, fetch, read_checksums
from metalcx.errors import CorpusError

SHA = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(_download, "PAUSE", 0.01)
    monkeypatch.setattr(_download, "TIMEOUT", 5.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as site:
        yield site


def corpus(address, name="file.bin", **stated):
    file = KnownFile(name, address, **stated)
    return KnownCorpus("toy", "A toy", "1 task", "epoch", "CC0", "none", "benchmark", True, "https://x.org", (file,))


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def stop_midway(site, folder):
    """Leave a part of a third of the file, as a fetch does that fails for good."""
    site.cuts = [300_000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_download, "TRIES", 1)
        with pytest.raises(CorpusError, match="the connection was cut after 300,000 of 900,000 bytes"):
            fetch(corpus(site.address()), folder)
    assert names(folder) == ["file.bin.part", "file.bin.part.json"]
    assert (folder / "file.bin.part").read_bytes() == BODY[:300_000]
    site.asked.clear()


@pytest.mark.parametrize("stated", [{"sha256": SHA}, {"md5": MD5}, {"size": len(BODY)}, {}], ids=str)
def test_a_file_is_fetched_once(site, tmp_path, stated):
    seen = []
    known = corpus(site.address(), "deep/er/file.bin", **stated)
    (file,) = fetch(known, tmp_path, lambda *args: seen.append(args))
    assert file.path == tmp_path / "deep" / "er" / "file.bin"
    assert file.path.read_bytes() == BODY
    assert (file.size, file.sha256, file.downloaded) == (len(BODY), SHA, True)
    assert file.verified == next(iter(stated), "")
    assert seen[-1] == ("deep/er/file.bin", len(BODY), len(BODY))
    assert names(tmp_path) == ["CHECKSUMS", "deep/er/file.bin"]
    assert read_checksums(tmp_path) == {"deep/er/file.bin": SHA}
    (again,) = fetch(known, tmp_path)
    assert (again.downloaded, len(site.asked)) == (False, 1)
    assert again.verified == next((key for key in stated if key != "size"), "first fetch")


def test_a_cut_connection_is_resumed_within_one_call(site, tmp_path):
    site.cuts = [100_000, 250_000]
    (file,) = fetch(corpus(site.address(), sha256=SHA), tmp_path)
    assert file.path.read_bytes() == BODY
    assert [headers.get("Range") for _, headers in site.asked] == [None, "bytes=100000-", "bytes=350000-"]
    assert {headers.get("If-Range") for _, headers in site.asked[1:]} == {'"one"'}


def test_the_next_call_goes_on_with_the_part(site, tmp_path):
    stop_midway(site, tmp_path)
    (file,) = fetch(corpus(site.address()), tmp_path)
    assert file.path.read_bytes() == BODY
    assert [headers["Range"] for _, headers in site.asked] == ["bytes=300000-"]
    assert names(tmp_path) == ["CHECKSUMS", "file.bin"]


def test_a_server_that_ignores_range_sends_all_again(site, tmp_path):
    stop_midway(site, tmp_path)
    site.ranges = False
    assert fetch(corpus(site.address()), tmp_path)[0].path.read_bytes() == BODY


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps to If-Range", "ignores If-Range"])
def test_a_file_that_changed_in_between_begins_anew(site, tmp_path, keeps):
    stop_midway(site, tmp_path)
    site.body, site.etag, site.keeps_if_range = BODY[::-1], '"two"', keeps
    assert fetch(corpus(site.address()), tmp_path)[0].path.read_bytes() == BODY[::-1]


def test_a_file_that_became_shorter_begins_anew(site, tmp_path):
    stop_midway(site, tmp_path)
    site.body, site.keeps_if_range = BODY[:1000], False
    assert fetch(corpus(site.address()), tmp_path)[0].path.read_bytes() == BODY[:1000]


def test_without_a_version_nothing_is_appended(site, tmp_path):
    site.etag = None
    stop_midway(site, tmp_path)
    site.body = BODY[::-1]
    assert fetch(corpus(site.address()), tmp_path)[0].path.read_bytes() == BODY[::-1]
    assert "Range" not in site.asked[0][1]


@pytest.mark.parametrize("note", ["{", "[]", '{"address": "http://elsewhere/", "version": "\\"one\\""}', None])
def test_a_part_of_unknown_origin_is_not_gone_on_with(site, tmp_path, note):
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    if note is not None:
        (tmp_path / "file.bin.part.json").write_text(note)
    assert fetch(corpus(site.address()), tmp_path)[0].path.read_bytes() == BODY


def test_a_whole_part_only_gets_its_name(site, tmp_path):
    stop_midway(site, tmp_path)
    (tmp_path / "file.bin.part").write_bytes(BODY)
    (file,) = fetch(corpus(site.address(), size=len(BODY), sha256=SHA), tmp_path)
    assert (file.path.read_bytes(), site.asked) == (BODY, [])


@pytest.mark.parametrize("stated", [{"sha256": "0" * 64}, {"md5": "0" * 32}], ids=str)
def test_what_fails_its_checksum_is_thrown_away(site, tmp_path, stated):
    with pytest.raises(CorpusError, match=rf"was fetched and thrown away: its {next(iter(stated))} is "):
        fetch(corpus(site.address(), **stated), tmp_path)
    assert names(tmp_path) == []


def test_a_wrong_size_is_refused_before_it_is_fetched(site, tmp_path):
    with pytest.raises(CorpusError, match="has 900,000 bytes there now, and not the 900,001 that are stated"):
        fetch(corpus(site.address(), size=len(BODY) + 1), tmp_path)
    assert names(tmp_path) == []


def test_a_file_put_by_hand_is_verified_and_used(site, tmp_path):
    (tmp_path / "file.bin").write_bytes(BODY)
    (file,) = fetch(corpus("https://page.example/view", by_hand=True, md5=MD5), tmp_path)
    assert (file.downloaded, file.verified, site.asked) == (False, "md5", [])
    assert read_checksums(tmp_path) == {"file.bin": SHA}
    (tmp_path / "file.bin").write_bytes(BODY[:-1])
    with pytest.raises(CorpusError, match=r"is there, but its md5 is \w+ and not \w+; move it away"):
        fetch(corpus("https://page.example/view", by_hand=True, md5=MD5), tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == BODY[:-1]


def test_what_has_to_be_got_by_hand(tmp_path):
    with pytest.raises(CorpusError) as caught:
        fetch(corpus("https://page.example/view", by_hand=True, md5=MD5), tmp_path)
    assert str(caught.value) == (
        "toy: file.bin can be had by hand only; address: https://page.example/view; "
        f"a file put by hand would be found at {tmp_path / 'file.bin'}"
    )


def test_the_first_fetch_is_what_later_ones_are_held_against(site, tmp_path):
    known = corpus(site.address())
    fetch(known, tmp_path)
    (tmp_path / "file.bin").write_bytes(b"torn")
    with pytest.raises(CorpusError, match=r"is there, but its sha256 is .* CHECKSUMS, .* has .* from the first fetch"):
        fetch(known, tmp_path)
    (tmp_path / "file.bin").unlink()
    site.body = BODY[::-1]
    with pytest.raises(CorpusError, match="was fetched and thrown away"):
        fetch(known, tmp_path)
    (tmp_path / "CHECKSUMS").unlink()
    assert fetch(known, tmp_path)[0].verified == ""


def test_a_passing_failure_is_tried_again_and_a_lasting_one_is_not(site, tmp_path):
    site.failures = [503, 429]
    assert fetch(corpus(site.address()), tmp_path)[0].downloaded
    assert len(site.asked) == 3
    site.answers["/gone"] = (404, {}, b"")
    with pytest.raises(CorpusError, match="could not be fetched: HTTP 404 Not Found; address: http://127"):
        fetch(corpus(site.address("/gone"), "other.bin"), tmp_path)
    assert len(site.asked) == 4
    site.failures = [500] * 9
    with pytest.raises(CorpusError, match=r"HTTP 500 .*\(4 tries\)"):
        fetch(corpus(site.address(), "other.bin"), tmp_path)
    assert names(tmp_path) == ["CHECKSUMS", "file.bin"]


def test_a_refused_connection(site, tmp_path):
    address = site.address()
    site.shutdown()
    site.server_close()
    with pytest.raises(CorpusError) as caught:
        fetch(corpus(address), tmp_path / "new")
    assert "Connection refused (4 tries)" in str(caught.value)
    assert f"address: {address}; a file put by hand would be found at {tmp_path / 'new' / 'file.bin'}" in str(
        caught.value
    )
    assert names(tmp_path) == []


def test_a_server_that_says_nothing(site, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "TIMEOUT", 0.1)
    monkeypatch.setattr(_download, "TRIES", 2)
    site.hold = threading.Event()
    with pytest.raises(CorpusError, match=r"timed out \(2 tries\)"):
        fetch(corpus(site.address()), tmp_path)
    site.hold.set()


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "/etc/hostname"])
def test_other_schemes_are_refused(tmp_path, address):
    with pytest.raises(CorpusError, match="only http and https are fetched"):
        fetch(corpus(address), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_redirects_to_other_schemes_are_refused(site, tmp_path, target):
    site.answers["/moved"] = (302, {"Location": target}, b"")
    with pytest.raises(CorpusError, match=r"only http and https are fetched|is not allowed"):
        fetch(corpus(site.address("/moved")), tmp_path)
    assert names(tmp_path) == []


def test_a_redirect_that_gives_up_encryption_is_refused():
    request = _download.urllib.request.Request("https://a.example/x")
    with pytest.raises(CorpusError, match=r"redirected to http://a\.example/x, which is not encrypted"):
        _download._HttpOnly().redirect_request(request, None, 302, "Found", {}, "http://a.example/x")


def test_a_redirect_is_followed_and_still_resumes(site, tmp_path):
    site.answers["/moved"] = (302, {"Location": site.address()}, b"")
    site.cuts = [200_000]
    assert fetch(corpus(site.address("/moved")), tmp_path)[0].path.read_bytes() == BODY
    assert site.asked[-1][1]["Range"] == "bytes=200000-"


@pytest.mark.parametrize(
    ("headers", "said"),
    [({"Content-Type": "text/html"}, "leads to a web page"), ({"Content-Encoding": "gzip"}, "is sent compressed")],
)
def test_what_is_not_the_file_is_refused(site, tmp_path, headers, said):
    site.answers["/page"] = (200, headers, b"<html>sign in")
    with pytest.raises(CorpusError, match=said):
        fetch(corpus(site.address("/page")), tmp_path)
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written(site, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CorpusError, match=rf"cannot be read or written .*address: http://.*{tmp_path}/taken/in/file"):
        fetch(corpus(site.address()), tmp_path / "taken" / "in")
    assert site.asked == []


def test_no_permission_to_write(site, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(CorpusError, match=r"Permission denied.*address: http://"):
            fetch(corpus(site.address()), tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert names(tmp_path) == []


def test_a_full_disk_leaves_nothing_under_the_name(site, tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    stop_midway(site, tmp_path)
    part = tmp_path / "file.bin.part"
    part.unlink()
    part.symlink_to("/dev/full")  # its size is 0, so the fetch begins anew; the kernel refuses every write
    monkeypatch.setattr(_download, "_note", lambda *_: None)
    with pytest.raises(CorpusError, match="No space left on device"):
        fetch(corpus(site.address()), tmp_path)
    assert not (tmp_path / "file.bin").exists()


def test_two_at_once_do_not_corrupt_it(site, tmp_path):
    site.hold = threading.Event()
    known = corpus(site.address(), sha256=SHA)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fetch, known, tmp_path) for _ in range(2)]
        wait(both, return_when=FIRST_COMPLETED)  # the second is told at once; the first waits for the server
        site.hold.set()
    errors = [one.exception() for one in both if one.exception()]
    assert len(errors) == 1
    assert "another process is writing the same files; wait for it" in str(errors[0])
    assert len(site.asked) == 1
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert names(tmp_path) == ["CHECKSUMS", "file.bin"]
    assert fetch(known, tmp_path)[0].verified == "sha256"


def test_a_killed_fetch_leaves_a_part_with_which_the_next_goes_on(site, tmp_path):
    site.hold, site.held_after = threading.Event(), 500_000
    code = (
        "from metalcx.corpora import KnownFile, KnownCorpus, fetch\n"
        f"file = KnownFile('file.bin', {site.address()!r})\n"
        "fetch(KnownCorpus('toy', '', '', '', '', '', 'benchmark', True, '', (file,)), '.')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    part = tmp_path / "file.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "file.bin").exists()
    here = part.stat().st_size
    assert 0 < here <= 500_000
    site.hold.set()
    site.hold = site.held_after = None
    site.asked.clear()
    assert fetch(corpus(site.address()), tmp_path)[0].path.read_bytes() == BODY
    assert [headers["Range"] for _, headers in site.asked] == [f"bytes={here}-"]
    assert names(tmp_path) == ["CHECKSUMS", "file.bin"]
