"""Downloads from a server on this machine that breaks off, lies, and does not know ranges."""

import gzip
import hashlib
import http.server
import os
import threading

import numpy as np
import pytest

from numgrad.vision import datasets
from numgrad.vision.datasets.download import checksum, fetch

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; breaks off after `limits` bytes, one limit for each request as long as there are any."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.limits, self.requests, self.ranges = {}, [], [], True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        content = self.server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        start = 0
        if wanted and self.server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        limit = self.server.limits.pop(0) if self.server.limits else len(content)
        self.wfile.write(content[start : start + limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "folder" / "file")


def test_plain(server, path):
    server.files["a"] = CONTENT
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT
    assert os.listdir(os.path.dirname(path)) == ["file"]
    assert checksum(path) == MD5
    fetch([server.url + "a"], path, MD5)
    assert len(server.requests) == 1


def test_goes_on_where_it_broke_off(server, path):
    server.files["a"] = CONTENT
    server.limits = [100_000, 50_000]
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_goes_on_with_what_an_earlier_process_left(server, path):
    server.files["a"] = CONTENT
    os.makedirs(os.path.dirname(path))
    with open(path + ".part", "wb") as file:
        file.write(CONTENT[:1000])
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT
    assert [wanted for _, wanted in server.requests] == ["bytes=1000-"]


def test_server_without_ranges_sends_all_again(server, path):
    server.files["a"], server.limits, server.ranges = CONTENT, [100_000], False
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT


@pytest.mark.parametrize("leftover", [b"not the beginning", CONTENT + b"more", b"x" * len(CONTENT)])
def test_leftover_of_something_else_is_thrown_away(server, path, leftover):
    server.files["a"] = CONTENT
    os.makedirs(os.path.dirname(path))
    with open(path + ".part", "wb") as file:
        file.write(leftover)
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT


def test_complete_leftover_is_kept(server, path):
    server.files["a"] = CONTENT
    os.makedirs(os.path.dirname(path))
    with open(path + ".part", "wb") as file:
        file.write(CONTENT)
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT


def test_next_mirror_takes_over(server, path):
    server.files["good"], server.files["bad"] = CONTENT, b"<html>sorry</html>"
    server.files["broken"] = CONTENT
    server.limits = [100_000, 0]
    fetch([server.url + name for name in ("broken", "none", "bad", "good")], path, MD5)
    assert content_of(path) == CONTENT


def test_what_went_wrong_everywhere_is_told(server, path):
    server.files["bad"] = b"<html>sorry</html>"
    urls = [server.url + "none", server.url + "bad", "http://127.0.0.1:1/closed"]
    with pytest.raises(
        RuntimeError, match=r"(?s)could not download .*file:.*404.*checksum is .* but should be .*refused"
    ):
        fetch(urls, path, MD5)
    assert not os.path.exists(path)


def test_interrupted_for_good_keeps_what_there_is(server, path):
    server.files["a"] = CONTENT
    server.limits = [100_000, 0]
    with pytest.raises(RuntimeError, match="the connection ended 200000 bytes early"):
        fetch([server.url + "a"], path, MD5)
    assert content_of(path + ".part") == CONTENT[:100_000]
    fetch([server.url + "a"], path, MD5)
    assert content_of(path) == CONTENT


def test_several_at_once_take_turns(server, path):
    server.files["a"] = CONTENT
    server.limits = [50_000] * 3
    errors = []

    def run():
        try:
            fetch([server.url + "a"], path, MD5)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert content_of(path) == CONTENT
    assert os.listdir(os.path.dirname(path)) == ["file"]


def test_only_http(path):
    with pytest.raises(ValueError, match="only http and https"):
        fetch(["file:///etc/passwd"], path)


def small_mnist():
    files = {}
    for part, count in (("train", 3), ("t10k", 2)):
        images, labels = bytes(count * 784), bytes(range(count))
        shape = count.to_bytes(4, "big")
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(b"\0\0\x08\x03" + shape + b"\0\0\0\x1c" * 2 + images)
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(b"\0\0\x08\x01" + shape + labels)
    return files


class SmallMNIST(datasets.MNIST):
    checksums: dict = {}


def test_mnist_download(server, tmp_path, monkeypatch):
    server.files = small_mnist()
    monkeypatch.setattr(
        SmallMNIST, "checksums", {name: hashlib.md5(content).hexdigest() for name, content in server.files.items()}
    )
    dataset = SmallMNIST(tmp_path, download=True, mirrors=["http://127.0.0.1:1", server.url])
    assert dataset.targets.tolist() == [0, 1, 2]
    assert len(SmallMNIST(tmp_path, train=False)) == 2
    assert os.path.isfile(tmp_path / "SmallMNIST" / "raw" / "t10k-images-idx3-ubyte.gz")
    asked = len(server.requests)
    SmallMNIST(tmp_path, download=True, mirrors=[server.url])
    assert len(server.requests) == asked == 4


def test_mnist_download_is_checked(server, tmp_path):
    server.files = small_mnist()
    with pytest.raises(RuntimeError, match="should be f68b3c2dcbeaaa9fbdd348bbdeb94873"):
        datasets.MNIST(tmp_path, download=True, mirrors=[server.url])


def test_own_files_are_not_checked_against_the_original(server, tmp_path):
    for name, content in small_mnist().items():
        (tmp_path / name).write_bytes(content)
    assert len(datasets.MNIST(tmp_path, download=True, mirrors=[server.url])) == 3
    assert server.requests == []


def test_cifar_download(server, tmp_path, monkeypatch):
    import io
    import pickle
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("train", "test"):
            content = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [99, 0]})
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    server.files["cifar-100-python.tar.gz"] = buffer.getvalue()
    server.limits = [100]
    with pytest.raises(RuntimeError, match="should be eb9058c3a382ffc7106e4002c42a8d85"):
        datasets.CIFAR100(tmp_path, download=True, mirrors=[server.url])
    md5 = hashlib.md5(buffer.getvalue()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR100, "archives", {"cifar-100-python.tar.gz": md5, "cifar-100-binary.tar.gz": ""})
    assert datasets.CIFAR100(tmp_path, download=True, mirrors=[server.url]).targets == [99, 0]
    asked = len(server.requests)
    assert datasets.CIFAR100(tmp_path, train=False, download=True, mirrors=[server.url]).targets == [99, 0]
    assert len(server.requests) == asked
