"""`vibebox monitoring write`: the files of the monitoring, elsewhere."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import shipped
from app.cli.main import main

REPORT = "Wrote to {}:\n"


def write(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["monitoring", "write", str(directory), *options])


def tree(directory: Path) -> dict[str, bytes]:
    """What is in a directory, by relative path."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_writes_all_files_once_and_says_the_next_step(tmp_path: Path) -> None:
    target = tmp_path / "to" / "monitoring"
    first, second = write(target), write(target)

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    written, source = tree(target), shipped.root()
    for file in shipped.monitoring_files(source):
        content = written.pop(str(file).removeprefix("monitoring/"))
        # The links of documents follow where they are written.
        assert file.suffix == ".md" or content == (source / file).read_bytes()
    assert written == {}
    assert first.output.startswith(REPORT.format(target))
    assert f"Next: put your addresses into {target}/prometheus/prometheus.yml and " in first.output
    assert f"{target}/alertmanager/alertmanager.yml" in first.output
    assert second.output == (
        f"{target} has all files of this release already; nothing was written.\n"
    )


def test_links_of_what_is_written_lead_to_what_is_written(tmp_path: Path) -> None:
    write(tmp_path)
    documents = list(tmp_path.rglob("*.md"))
    links = [
        (document, link)
        for document in documents
        for link in re.findall(r"\]\((?!https?://|#)([^)\s#]+)", document.read_text())
    ]
    assert [(str(page), link) for page, link in links if not (page.parent / link).exists()] == []
    assert (tmp_path / "README.md", "deploy/prometheus/usage.yml") in links
    text = (tmp_path / "README.md").read_text()
    # What is not written is named as the sources have it.
    assert "(how (`docs/opentelemetry.md`))" in text
    assert "`preview/README.md`" not in text and "`monitoring/preview/README.md`" in text


def test_file_that_differs_is_overwritten_by_force_only(tmp_path: Path) -> None:
    write(tmp_path)
    changed, missing = tmp_path / "prometheus/prometheus.yml", tmp_path / "prometheus/alerts.yml"
    original = changed.read_bytes()
    changed.write_text("mine")
    missing.unlink()

    refused = write(tmp_path)
    assert refused.exit_code == 2
    assert "Nothing was written" in refused.stderr
    assert refused.stderr.endswith("leaves them:\n  prometheus/prometheus.yml\n")
    assert changed.read_text() == "mine"
    assert not missing.exists()

    forced = write(tmp_path, "--force")
    assert forced.exit_code == 0
    assert forced.output.startswith(REPORT.format(tmp_path) + "  prometheus: 2 files\nNext: ")
    assert changed.read_bytes() == original
    assert missing.exists()


def test_refusal_names_ten_files_and_counts_the_rest(tmp_path: Path) -> None:
    write(tmp_path)
    for file in sorted((tmp_path / "runbooks").iterdir())[:12]:
        file.write_text("mine")
    refused = write(tmp_path)
    assert refused.stderr.count("\n  runbooks/") == 10
    assert refused.stderr.endswith("\n  and 2 more\n")


@pytest.mark.parametrize("place", ["file", "below-a-file", "directory-as-file"])
def test_place_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "taken" / "README.md").mkdir(parents=True)
    target = {"file": "file", "below-a-file": "file/below", "directory-as-file": "taken"}[place]
    refused = write(tmp_path / target)
    assert refused.exit_code == 2
    assert str(tmp_path / target) in refused.stderr
    assert "Traceback" not in refused.output


def test_installation_without_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "app")
    refused = write(tmp_path / "target")
    assert refused.exit_code == 2
    assert f"There are no files in {tmp_path}{os.sep}monitoring: install VibeBox anew." in (
        refused.stderr
    )
