"""The build context: same inputs, same bytes, and exactly what docker's own client would send."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.image.context import (
    OUTSIDE_DOCKERFILE,
    BuildContext,
    ContextEntry,
    IgnoreRules,
    ignore_rules,
    sent,
    write_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG = "d" * 90 + "/" + "e" * 150 + ".txt"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"

TREE: dict[str, tuple[str, bytes]] = {
    "Dockerfile": ("100644", b"FROM scratch\nCOPY . /\n"),
    "a-b": ("100644", b"dash sorts before slash\n"),
    "a/b/run.sh": ("100755", b"#!/bin/sh\n"),
    "a/b/link": ("120000", b"../../Dockerfile"),
    "a/z": ("100644", b""),
    "grüße.txt": ("100644", b"unicode name\n"),
    LONG: ("100644", b"long name\n"),
    "images/cuda/Dockerfile": ("100644", b"FROM scratch\n"),
    "vendor/lib": ("160000", b""),
    "weights.bin": ("100644", POINTER),
}


def make(
    tree: dict[str, tuple[str, bytes]] = TREE,
    *,
    root: str = ".",
    dockerfile: str = "Dockerfile",
    ignored: Callable[[str], bool] | None = None,
    backwards: bool = False,
) -> tuple[bytes, BuildContext]:
    entries = [ContextEntry(path=path, mode=mode, sha=path) for path, (mode, _) in tree.items()]
    out = io.BytesIO()
    context = write_context(
        reversed(entries) if backwards else entries,
        lambda entry: tree[entry.sha][1],
        out,
        root=root,
        dockerfile=dockerfile,
        mtime=1_750_000_000,
        rules=IgnoreRules(ignored=ignored),
    )
    return out.getvalue(), context


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def content(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read()


def test_same_inputs_give_the_same_bytes_in_any_order() -> None:
    data, context = make()
    assert make(backwards=True) == (data, context)
    assert context.sha256 == "8f5bd2e828945b4d2277dd630f4492542aaada8a92e8c9f028800e6fd3124bce"
    assert context.size == len(data) == 20480


def test_names_are_sorted_by_bytes_and_parents_come_once_and_first() -> None:
    data, context = make()
    assert names(data) == [
        "Dockerfile",
        "a-b",
        "a",
        "a/b",
        "a/b/link",
        "a/b/run.sh",
        "a/z",
        "d" * 90,
        LONG,
        "grüße.txt",
        "images",
        "images/cuda",
        "images/cuda/Dockerfile",
        "vendor",
        "vendor/lib",
        "weights.bin",
    ]
    assert context.files == 9


def test_members_carry_mode_and_time_and_nobody() -> None:
    data, _ = make()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members.values()} == {(0, 0, "", "", 1_750_000_000)}
    assert members["a/b/run.sh"].mode == 0o755
    assert members["a/z"].mode == 0o644
    assert members["a"].mode == 0o755
    assert members["a/b/link"].issym()
    assert members["a/b/link"].linkname == "../../Dockerfile"
    assert members["vendor/lib"].isdir()


def test_gnu_tar_reads_it_as_it_was_meant(tmp_path: Path) -> None:
    data, _ = make()
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=data, check=True)
    assert (tmp_path / LONG).read_bytes() == b"long name\n"
    assert (tmp_path / "grüße.txt").exists()
    assert (tmp_path / "a/b/link").resolve() == tmp_path / "Dockerfile"


def test_names_that_are_not_utf8_survive() -> None:
    tree = {"Dockerfile": TREE["Dockerfile"], "caf\udce9": ("100644", b"latin-1\n")}
    data, _ = make(tree)
    assert b"caf\xe9" in data
    assert data == make(tree)[0]


def test_submodules_and_lfs_pointers_are_reported() -> None:
    _, context = make()
    assert context.submodules == ("vendor/lib",)
    assert context.lfs_pointers == ("weights.bin",)


def test_a_big_file_that_starts_like_a_pointer_is_none() -> None:
    tree = {**TREE, "weights.bin": ("100644", POINTER + b"x" * 1024)}
    assert make(tree)[1].lfs_pointers == ()


def test_a_context_directory_is_stripped_and_bounded() -> None:
    data, context = make(root="./images/cuda/", dockerfile="images/cuda/Dockerfile")
    assert names(data) == ["Dockerfile"]
    assert context.dockerfile_in_context == "Dockerfile"


def test_a_sibling_with_the_same_prefix_is_not_in_the_context() -> None:
    tree = {"app/Dockerfile": TREE["Dockerfile"], "app-data/secret": ("100644", b"x")}
    assert names(make(tree, root="app", dockerfile="app/Dockerfile")[0]) == ["Dockerfile"]


def test_a_dockerfile_outside_the_context_travels_and_is_hidden_from_copy() -> None:
    data, context = make(root="a")
    assert context.dockerfile_in_context == OUTSIDE_DOCKERFILE
    assert content(data, OUTSIDE_DOCKERFILE) == TREE["Dockerfile"][1]
    assert content(data, ".dockerignore") == b".dockerignore\n.release.Dockerfile\n"
    assert names(data) == [".dockerignore", OUTSIDE_DOCKERFILE, "b", "b/link", "b/run.sh", "z"]


def test_an_own_dockerignore_is_kept_and_lengthened() -> None:
    tree = {**TREE, "a/.dockerignore": ("100644", b"*.log")}
    data, _ = make(tree, root="a")
    assert content(data, ".dockerignore") == b"*.log\n.release.Dockerfile\n"


def test_ignored_paths_are_left_out_but_never_dockerfile_and_dockerignore() -> None:
    tree = {**TREE, ".dockerignore": ("100644", b"*\n")}
    asked: list[str] = []

    def everything(path: str) -> bool:
        asked.append(path)
        return True

    data, context = make(tree, ignored=everything)
    assert names(data) == [".dockerignore", "Dockerfile"]
    assert (context.files, context.submodules, context.lfs_pointers) == (2, (), ())
    assert "a/z" in asked
    assert "Dockerfile" not in asked


@pytest.mark.parametrize(
    ("root", "dockerfile", "code", "message", "remedy"),
    [
        (".", "Dockerfil", "no-dockerfile", "'Dockerfil' is not in the tree", "did you mean 'Dockerfile'?"),
        (".", "vendor/lib", "no-dockerfile", "'vendor/lib' is not in the tree", "commit it"),
        ("nowhere", "Dockerfile", "no-context", "'nowhere' is not in the tree", "`.`"),
        ("a-b", "Dockerfile", "no-context", "'a-b' is a file", "`.`"),
        ("../up", "Dockerfile", "path-outside", "'../up' is outside the repository", "relative"),
        (".", "/etc/Dockerfile", "path-outside", "'/etc/Dockerfile' is outside the repository", "relative"),
        ("images", "a/b/link", "no-dockerfile", "is a symbolic link outside", "points to"),
    ],
)
def test_wrong_paths_are_told_with_a_remedy(root: str, dockerfile: str, code: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(root=root, dockerfile=dockerfile)
    assert caught.value.code == code
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_an_empty_tree_is_refused() -> None:
    with pytest.raises(UsageError, match="holds no files") as caught:
        make({})
    assert caught.value.code == "empty-context"


def test_the_reserved_name_is_refused_when_it_would_be_overwritten() -> None:
    tree = {**TREE, f"a/{OUTSIDE_DOCKERFILE}": ("100644", b"mine")}
    with pytest.raises(UsageError, match="reserved"):
        make(tree, root="a")
    assert OUTSIDE_DOCKERFILE in names(make(tree, root="a", dockerfile="a/z")[0])


# ------------------------------------------------------------------ NAME.dockerignore, and what a tree points to

OWN = {
    "Dockerfile": ("100644", b"FROM scratch\n"),
    "docker/Dockerfile": ("100644", b"FROM scratch\n"),
    "docker/Dockerfile.dockerignore": ("100644", b"secrets\ndocker/Dockerfile\n"),
    ".dockerignore": ("100644", b"loader.py\n"),
    "secrets/key.pem": ("100644", b"PRIVATE\n"),
    "loader.py": ("100644", b"x\n"),
}


def read_from(tree: dict[str, tuple[str, bytes]]) -> Callable[[str], bytes | None]:
    return lambda path: tree[path][1] if path in tree else None


def made_by_rules(tree: dict[str, tuple[str, bytes]], dockerfile: str, root: str = ".") -> dict[str, bytes]:
    """Name -> content of what a build gets."""
    out = io.BytesIO()
    write_context(
        [ContextEntry(path=path, mode=mode, sha=path) for path, (mode, _) in tree.items()],
        lambda entry: tree[entry.sha][1],
        out,
        root=root,
        dockerfile=dockerfile,
        mtime=0,
        rules=ignore_rules(read_from(tree), root, dockerfile),
    )
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        files = ((member, tar.extractfile(member)) for member in tar)
        return {member.name: file.read() for member, file in files if file}


def test_the_rules_of_one_dockerfile_count_in_place_of_the_general_ones() -> None:
    found = made_by_rules(OWN, "docker/Dockerfile")
    assert "secrets/key.pem" not in found
    assert found["loader.py"] == b"x\n"
    assert found[".dockerignore"] == b"docker/Dockerfile\n.dockerignore\n", "the builder forgets what it has read"
    general = made_by_rules(OWN, "Dockerfile")
    assert "loader.py" not in general
    assert "secrets/key.pem" in general


def test_where_its_rules_leave_the_dockerfile_in_nothing_is_hidden() -> None:
    tree = {**OWN, "docker/Dockerfile.dockerignore": ("100644", b"secrets\n")}
    assert ".dockerignore" not in made_by_rules(tree, "docker/Dockerfile")


def test_the_rules_of_a_dockerfile_outside_the_context() -> None:
    tree = {**OWN, "app/main.py": ("100644", b""), "app/notes.md": ("100644", b"")}
    tree["docker/Dockerfile.dockerignore"] = ("100644", b"*.md\n")
    found = made_by_rules(tree, "docker/Dockerfile", "app")
    assert sorted(found) == [".dockerignore", OUTSIDE_DOCKERFILE, "main.py"]
    assert OUTSIDE_DOCKERFILE in found[".dockerignore"].decode().split()


def test_sent_follows_the_same_rules() -> None:
    is_sent = sent(read_from(OWN), ".", "docker/Dockerfile")
    assert [path for path in OWN if is_sent(path)] == [
        "Dockerfile", "docker/Dockerfile", "docker/Dockerfile.dockerignore", "loader.py",
    ]  # fmt: skip


def test_a_fault_in_the_rules_of_a_dockerfile_has_its_place() -> None:
    tree = {**OWN, "docker/Dockerfile.dockerignore": ("100644", b"a\n!\n")}
    with pytest.raises(UsageError) as caught:
        ignore_rules(read_from(tree), ".", "docker/Dockerfile")
    assert caught.value.where == "docker/Dockerfile.dockerignore:2"


def test_a_pointer_is_sent_as_the_file_that_it_stands_for(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"w" * 3_000_000)
    out = io.BytesIO()
    entries = [ContextEntry(path=path, mode=mode, sha=path) for path, (mode, _) in TREE.items()]
    context = write_context(
        entries,
        lambda entry: TREE[entry.sha][1],
        out,
        root=".",
        dockerfile="Dockerfile",
        mtime=0,
        rules=IgnoreRules(),
        lfs=lambda pointer: tmp_path / "content" if pointer == POINTER else None,
    )
    assert context.lfs_pointers == ()
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        file = tar.extractfile("weights.bin")
        assert file is not None
        assert file.read() == b"w" * 3_000_000
