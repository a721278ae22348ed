"""Weights: finding, downloading and verifying them, all without the internet."""

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from maskr import weights
from maskr.architectures import REGISTRY
from maskr.errors import DataError, WeightsError
from maskr.published import VOCABULARIES

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_own_folder(monkeypatch):
    monkeypatch.delenv("MASKR_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def server():
    """Address of a server that knows /whole.pt, breaks off in /cut.pt, and counts its answers."""

    class Handler(BaseHTTPRequestHandler):
        answers = 0

        def do_GET(self):
            Handler.answers += 1
            if self.path not in ("/whole.pt", "/cut.pt"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/whole.pt" else CONTENT[:1000])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.handler = Handler
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class TestLocate:
    def test_downloads_once_and_verifies(self, server, tmp_path):
        cache = str(tmp_path / "new" / "cache")
        before = server.handler.answers
        for checksum in (SHA256, SHA256[:8], SHA256[:8].upper(), ("00000000", SHA256)):
            path = weights.locate("whole.pt", f"{server.url}/whole.pt", checksum, cache)
            assert path == os.path.join(cache, "whole.pt")
            assert Path(path).read_bytes() == CONTENT
        assert server.handler.answers == before + 1
        assert os.listdir(cache) == ["whole.pt"]

    def test_reads_file_addresses(self, tmp_path):
        source = tmp_path / "there.pt"
        source.write_bytes(CONTENT)
        path = weights.locate("a.pt", source.as_uri(), SHA256, str(tmp_path / "cache"))
        assert Path(path).read_bytes() == CONTENT

    def test_wrong_checksum_leaves_no_file(self, server, tmp_path):
        with pytest.raises(WeightsError, match=f"SHA-256 is {SHA256}, expected 0123abcd"):
            weights.locate("whole.pt", f"{server.url}/whole.pt", "0123abcd", str(tmp_path))
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("checksum", ["", SHA256])
    def test_broken_connection_leaves_no_half_file(self, server, tmp_path, checksum):
        with pytest.raises(WeightsError, match="broke after 1000 of 10240 bytes"):
            weights.locate("cut.pt", f"{server.url}/cut.pt", checksum, str(tmp_path))
        assert os.listdir(tmp_path) == []

    def test_interrupt_leaves_no_half_file(self, tmp_path, monkeypatch):
        def interrupted(url, file):
            file.write(CONTENT[:10])
            raise KeyboardInterrupt

        monkeypatch.setattr(weights, "_fetch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            weights.locate("a.pt", "http://127.0.0.1/a.pt", SHA256, str(tmp_path))
        assert os.listdir(tmp_path) == []

    def test_absent_file_names_the_answer(self, server, tmp_path):
        with pytest.raises(WeightsError, match=r"the server answered 404 \(Not Found\)"):
            weights.locate("none.pt", f"{server.url}/none.pt", SHA256, str(tmp_path))

    def test_offline_error_says_what_to_put_where(self, tmp_path):
        # port 9 (discard) refuses connections
        with pytest.raises(WeightsError) as caught:
            weights.locate("a.pt", "http://127.0.0.1:9/a.pt", SHA256, str(tmp_path))
        assert '"a.pt" are not on this machine' in caught.value.text
        assert "could not be reached" in caught.value.text
        for part in ("http://127.0.0.1:9/a.pt", SHA256, str(tmp_path), "MASKR_WEIGHTS"):
            assert part in caught.value.hint
        assert caught.value.argument == "weights"

    def test_offline_error_says_which_part_of_the_checksum_is_known(self, tmp_path):
        with pytest.raises(WeightsError) as caught:
            weights.locate("a.pt", "http://127.0.0.1:9/a.pt", "0123abcd", str(tmp_path))
        assert "(SHA-256 begins with 0123abcd)" in caught.value.hint

    def test_a_cache_is_needed(self):
        for cache in ((), "", [""]):
            with pytest.raises(DataError, match="no folder for weights"):
                weights.locate("a.pt", cache=cache)

    def test_no_address_is_a_clear_error(self, tmp_path):
        with pytest.raises(WeightsError, match="no address is known for it"):
            weights.locate("my.pt", cache=str(tmp_path))

    def test_unwritable_cache_is_a_clear_error(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(WeightsError, match="cannot be written to") as caught:
            weights.locate("a.pt", "file:///a.pt", (), str(tmp_path / "file" / "cache"))
        assert "MASKR_CACHE" in caught.value.hint

    def test_own_folder_goes_before_cache_and_download(self, tmp_path, monkeypatch):
        own, cache = tmp_path / "own", tmp_path / "cache"
        for folder in (own, cache):
            folder.mkdir()
            (folder / "a.pt").write_bytes(CONTENT)
        monkeypatch.setenv("MASKR_WEIGHTS", str(own))
        assert weights.locate("a.pt", sha256=SHA256, cache=str(cache)) == str(own / "a.pt")
        monkeypatch.delenv("MASKR_WEIGHTS")
        assert weights.locate("a.pt", cache=[str(own), str(cache)]) == str(own / "a.pt")
        assert weights.locate("a.pt", cache=str(cache)) == str(cache / "a.pt")

    def test_damaged_file_in_cache_is_replaced(self, server, tmp_path):
        (tmp_path / "whole.pt").write_bytes(b"damaged")
        path = weights.locate("whole.pt", f"{server.url}/whole.pt", SHA256, str(tmp_path))
        assert Path(path).read_bytes() == CONTENT

    def test_damaged_file_in_own_folder_is_an_error_and_stays(self, server, tmp_path, monkeypatch):
        own = tmp_path / "own"
        own.mkdir()
        (own / "whole.pt").write_bytes(b"mine")
        monkeypatch.setenv("MASKR_WEIGHTS", str(own))
        with pytest.raises(WeightsError, match="is not the published whole.pt"):
            weights.locate("whole.pt", f"{server.url}/whole.pt", SHA256, str(tmp_path / "cache"))
        assert (own / "whole.pt").read_bytes() == b"mine"


class TestKnown:
    def test_names_bring_file_and_checksum(self, tmp_path, monkeypatch):
        monkeypatch.setattr(weights, "_fetch", lambda url, file: file.write(b"not these"))
        with pytest.raises(WeightsError, match="expected e012d006"):
            weights.locate("brain-mri", cache=str(tmp_path))

    def test_table_knows_what_is_cached(self, tmp_path):
        (tmp_path / "unet-e012d006.pt").write_bytes(b"")
        table = weights.table(str(tmp_path))
        assert list(table) == ["architecture", "name", "file", "licence", "cached", "path"]
        assert table["architecture"][:3] == ["unet", "unet", "yolo"]
        assert table["name"][:3] == ["nuclei", "brain-mri", "yolov8n-seg.pt"]
        assert table["licence"][:3] == ["MIT", "MIT", "AGPL-3.0-only"]
        assert table["cached"] == [known.name == "brain-mri" for known in weights.KNOWN.values()]
        assert table["path"][:3] == ["", str(tmp_path / "unet-e012d006.pt"), ""]

    def test_all_are_of_registered_architectures_and_their_own_classes(self):
        for known in weights.KNOWN.values():
            if known.architecture == "yolo" or not known.vocabulary:
                continue
            assert set(known.arguments) <= set(REGISTRY[known.architecture].defaults)
            assert known.url.startswith("https://")
            assert known.licence
        sizes = {name: len(classes()) for name, classes in VOCABULARIES.items()}
        assert sizes == {"glioma": 2, "voc": 21, "ade20k": 150, "cityscapes": 19}
        assert len({known.file for known in weights.KNOWN.values()}) == len(weights.KNOWN)
        assert VOCABULARIES["ade20k"]()["wall"] == 1
        assert VOCABULARIES["cityscapes"]()["road"] == 0
        assert VOCABULARIES["voc"]()["tvmonitor"] == 20

    def test_checkpoint_of_the_shared_data_is_known(self, shared_data):
        path = shared_data("yolo/yolov8n-seg.pt")
        folder = os.path.dirname(path)
        assert weights.locate("yolov8n-seg.pt", cache=folder) == str(path)


class TestVerify:
    def test_accepts_whole_and_prefix(self, tmp_path):
        path = tmp_path / "a"
        path.write_bytes(CONTENT)
        weights.verify(str(path), SHA256)
        weights.verify(str(path), ("ffffffff", SHA256[:10]))
        with pytest.raises(WeightsError, match="expected ffffffff or eeeeeeee"):
            weights.verify(str(path), ("ffffffff", "eeeeeeee"))
