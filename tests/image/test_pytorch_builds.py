"""Locks against the builds of PyTorch that were really published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.image.pytorch_builds import BUILDS, Build, build_of, judge, read_lock, table_markdown
from orchestrator.image.variants import claims_of, judge_claims
from tests.support.cli import release

if TYPE_CHECKING:
    from tests.support.story import Story

ROOT = Path(__file__).parents[2]
HASH = f" --hash=sha256:{'0' * 64}"


def lock_of(build: Build, **other: str) -> dict[str, str]:
    """Name -> version of what the build's wheels ask for, as PyTorch's own index names them."""
    major = build.cuda.partition(".")[0]
    pins = {"torch": build.torch if build.on_pypi else f"{build.torch}+{build.variant}"}
    if build.cuda:
        pins |= {
            f"nvidia-cuda-runtime-cu{major}": f"{build.cuda}.77",
            f"nvidia-cudnn-cu{major}": build.cudnn,
            f"nvidia-nccl-cu{major}": build.nccl,
            "triton": build.triton,
        }
    return pins | other


def text(pins: dict[str, str]) -> dict[str, bytes]:
    return {"locks/x.txt": "".join(f"{name}=={version}{HASH}\n" for name, version in pins.items()).encode()}


CU126 = next(build for build in BUILDS if build.variant == "cu126" and build.torch == "2.7.1")


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"{build.torch}-{build.variant}")
def test_every_published_build_is_right_and_known_again(build: Build) -> None:
    files = text(lock_of(build))
    assert judge(files, build.variant) == ()
    assert build_of(read_lock(files)[0]) == build


@pytest.mark.parametrize("build", [build for build in BUILDS if build.cuda], ids=lambda build: build.name[6:17])
def test_each_pin_of_another_build_is_refused_at_its_line(build: Build) -> None:
    right = lock_of(build)
    for number, name in list(enumerate(right, 1))[1:]:
        problems = judge(text(right | {name: "0.1"}))
        assert [(problem.code, problem.where) for problem in problems] == [
            ("lock-incompatible", f"locks/x.txt:{number}")
        ]
        assert build.name in problems[0].remedy
        left_out = judge(text({key: version for key, version in right.items() if key != name}))
        assert [problem.where for problem in left_out] == ["locks/x.txt:1"]
        assert name in left_out[0].message


def test_wheels_for_aarch64_bring_their_cuda_along() -> None:
    bare = text({"torch": "2.7.1+cu128"})
    assert judge(bare, "cu128", "linux/arm64") == ()
    assert judge(bare, "cu128", "linux/amd64") != ()
    (wrong,) = judge(text({"torch": "2.7.1+cu128", "triton": "3.3.0"}), "cu128", "linux/arm64")
    assert "it needs 3.3.1" in wrong.message


@pytest.mark.parametrize(
    ("change", "variant", "says"),
    [
        ({"nvidia-cudnn-cu12": "8.9.2.26"}, "", "nvidia-cudnn-cu12 8.9.2.26 does not go with torch 2.7.1 cu126"),
        ({"nvidia-cuda-runtime-cu12": "12.1.105"}, "", "nvidia-cuda-runtime-cu12 12.1.105 does not go"),
        ({"torch": "2.7.1+cu121"}, "", "torch 2.7.1+cu121 was never published"),
        ({"torch": "2.7.1+cpu"}, "cu126", "variant cu126 is locked to torch 2.7.1+cpu, which is cpu"),
        ({"nvidia-cublas-cu11": "11.11.3.6"}, "", "nvidia-cublas-cu11 is not for torch 2.7.1 cu126"),
        ({"triton": "3.3.0"}, "", "it needs 3.3.1"),
        ({}, "cu128", "variant cu128 is locked to torch 2.7.1, which is cu126"),
    ],
)
def test_what_never_was(change: dict[str, str], variant: str, says: str) -> None:
    problems = judge(text(lock_of(CU126) | change), variant)
    assert any(says in problem.message for problem in problems), problems
    assert all("cu118" in problem.remedy for problem in problems if problem.code == "lock-incompatible")


def test_an_unknown_torch_is_not_judged_and_none_neither() -> None:
    assert judge(text({"torch": "2.9.1", "nvidia-cudnn-cu12": "8.9.2.26"})) == ()
    assert judge(text({"numpy": "2.2.6"}), "cu126") == ()


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("numpy>=2\n", 1, "'numpy>=2' is not pinned"),
        ("# a\n\nnumpy==2.2.6\n", 3, "has no --hash"),
        (f"A.b_c==1 \\\n   {HASH}\na-B-c==1{HASH}\n", 3, "a-b-c is pinned in"),
        ("git+https://example.com/x\n", 1, "is not pinned"),
    ],
)
def test_the_form_of_a_lock(lines: str, line: int, says: str) -> None:
    _, problems = read_lock({"l.txt": lines.encode()})
    assert [(problem.code, problem.where) for problem in problems] == [("lock-invalid", f"l.txt:{line}")]
    assert says in problems[0].message


def test_options_comments_and_continued_lines_are_read_as_pip_does() -> None:
    data = f"--index-url https://x\nnumpy[a]==2.2.6 ; python_version > '3' \\\n   {HASH}\n    # via x\n"
    pins, problems = read_lock({"l.txt": data.encode()})
    assert (pins["numpy"].version, pins["numpy"].line, problems) == ("2.2.6", 2, ())


def test_the_locks_of_this_project_are_right() -> None:
    locks = ROOT / "images" / "pytorch-cuda" / "locks"
    found = sorted(locks.rglob("*.txt"))
    assert found
    assert judge({path.name: path.read_bytes() for path in found if "cu126" in str(path)}, "cu126") == ()


@pytest.mark.parametrize(
    ("variant", "arguments", "platform", "says"),
    [
        ("cu121", {"TORCH_VERSION": "2.7.1"}, "", "variant cu121: torch 2.7.1 was never published for CUDA 12.1"),
        ("", {"PYTORCH_VERSION": "2.7.0", "CUDNN_VERSION": "8.9"}, "", "never published for cuDNN 8.9"),
        ("", {"TORCH": "2.7.0", "PYTHON_VERSION": "3.8.20"}, "", "never published for Python 3.8.20"),
        ("cu118", {"TORCH": "2.7.1", "NCCL_VERSION": "2.26.2"}, "", "no build of torch 2.7.1 has all of this: variant"),
        ("cu126", {"TORCH": "2.7.1"}, "linux/arm64", "has all of this: variant cu126 and build argument"),
        ("", {"TORCH": "2.7.1"}, "linux/riscv64", "platform linux/riscv64: torch 2.7.1 was never published"),
        ("", {"BASE": "docker.io/pytorch/pytorch:2.7.0-cuda12.1-cudnn8-runtime"}, "", "published for CUDA 12.1"),
        ("", {"TORCH": "2.7.1", "BASE_IMAGE": "python:3.14-slim"}, "", "never published for Python 3.14"),
        ("", {"TORCH": "2.7", "CUDA_VERSION": "12.1"}, "", "torch 2.7 was never published for CUDA 12.1"),
        (
            "",
            {"TORCH": "2.7.1", "X": "pytorch/pytorch:2.7.0-cuda12.6-cudnn9-devel"},
            "",
            "torch 2.7.0, elsewhere it is 2.7.1",
        ),
    ],
)
def test_what_is_said_without_a_lock(variant: str, arguments: dict[str, str], platform: str, says: str) -> None:
    problems = judge_claims(claims_of(variant, arguments, platform), {}, "release.yaml:9")
    assert any(says in problem.message for problem in problems), problems
    assert all("CUDA 11.8, cuDNN 9.1.0.70" in problem.remedy for problem in problems)
    assert all("Python 3.9 to 3.13, on aarch64 cu128 and cpu" in problem.remedy for problem in problems)


@pytest.mark.parametrize(
    ("variant", "arguments", "platform"),
    [
        ("cu128", {"TORCH": "2.7.1", "CUDA_VERSION": "12.8.1", "PYTHON_VERSION": "3.13"}, "linux/arm64"),
        ("cu126", {"TORCH_VERSION": "2.7.1", "CUDNN": "9", "NCCL_VERSION": "2.26"}, "linux/amd64"),
        ("cpu", {"PYTORCH_VERSION": "2.7.0+cpu", "BASE_IMAGE": "python:3.9"}, "linux/arm64/v8"),
        ("cu121", {"TORCH": "2"}, ""),
        ("cu121", {"TORCH": "2.5.1"}, ""),  # not in the table: not judged
        ("cu121", {"CUDA_VERSION": "12.1"}, ""),  # of what torch?
        ("", {"TORCH": "2.7.1", "BASE_IMAGE": "nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04"}, ""),
        ("", {"TORCH": "2.7.1", "CUDA_VERSION": "latest"}, ""),
    ],
)
def test_what_is_said_and_exists(variant: str, arguments: dict[str, str], platform: str) -> None:
    assert judge_claims(claims_of(variant, arguments, platform), {}, "release.yaml:9") == ()


def test_what_is_said_against_the_lock() -> None:
    pins = read_lock(text(lock_of(CU126)))[0]
    (problem,) = judge_claims(claims_of("cu128", {"CUDA_VERSION": "12.8"}, ""), pins, "release.yaml:9")
    assert "build argument CUDA_VERSION=12.8: CUDA 12.8 does not go with the lock, torch 2.7.1 cu126" in problem.message
    (problem,) = judge_claims(claims_of("cu126", {}, "linux/arm64"), pins, "release.yaml:9")
    assert "machine aarch64 does not go with the lock" in problem.message


def test_check_and_plan_refuse_what_is_said_at_its_place(tale: Story) -> None:
    image = (
        "image:\n  repository: localhost:1/x\n  build-args: {TORCH_VERSION: 2.7.1}\n  variants:\n    - name: cu121\n"
    )
    tale.release_yaml(f"      - commit: {tale.fix}", extra=image)
    for command in (["check"], ["plan", "v2.7.1"]):
        done = release(*command, cwd=tale.clone.path)
        assert done.code == 2, done.err
        assert "variant cu121: torch 2.7.1 was never published for CUDA 12.1" in done.err
        assert "build-incompatible" in done.err
    assert "release.yaml:13:7: variant cu121" in release("check", cwd=tale.clone.path).err


def test_check_and_plan_refuse_the_lock_with_its_place(tale: Story) -> None:
    bad = text(lock_of(CU126) | {"nvidia-cudnn-cu12": "8.9.2.26"})["locks/x.txt"].decode()
    image = "image:\n  repository: localhost:1/x\n  lock: {}\n"
    tale.release_yaml(f"      - commit: {tale.fix}", extra=image.format("lock.txt"))
    missing = release("check", cwd=tale.clone.path)
    assert missing.code == 2
    assert "lock.txt is no file" in missing.err
    (tale.clone.path / "lock.txt").write_text(bad)
    done = release("check", cwd=tale.clone.path)
    assert done.code == 2
    assert "lock.txt:3: nvidia-cudnn-cu12 8.9.2.26 does not go with" in done.err


def test_a_plan_names_the_folder_that_is_no_context(tale: Story) -> None:
    image = "image:\n  repository: localhost:1/x\n  context: {}\n"
    for context in ("images/nowhere", "Dockerfile", "loader.py"):
        tale.release_yaml(f"      - commit: {tale.fix}", extra=image.format(context))
        done = release("plan", "v2.7.1", cwd=tale.clone.path)
        assert (done.code, f"the folder {context} is not in the released tree" in done.err) == (2, True), done.err
        assert "correct `image.context`" in done.err
    tale.release_yaml(f"      - commit: {tale.fix}", extra=image.format("./"))
    assert "no-context" not in release("plan", "v2.7.1", cwd=tale.clone.path).err


def test_the_table_in_the_docs_is_the_one_of_the_program() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert page.partition("<!-- builds -->\n")[2].partition("<!-- /builds -->")[0].strip() == table_markdown()


def test_check_and_plan_refuse_the_dockerfile_at_its_line(tale: Story) -> None:
    """One judgement: what the plan says of the tree, check says of the work tree before anything is committed."""
    image = "image:\n  repository: localhost:1/x\n  build-args: {EXTRA: x}\n"
    tale.release_yaml(f"      - commit: {tale.fix}", extra=image)
    place = tale.clone.path / "Dockerfile"
    place.unlink(missing_ok=True)
    missing = release("check", cwd=tale.clone.path)
    assert missing.code == 2
    assert "Dockerfile is no file [no-dockerfile]" in missing.err
    place.write_text("FROM scratch AS base\nARG EXTRA\nCOPY --from=nowhere:: /x /x\nRUM true\n")
    done = release("check", cwd=tale.clone.path)
    assert done.code == 2, done.err
    assert "Dockerfile:4" in done.err
    place.write_text("FROM scratch\nARG EXTRA\nCOPY data.txt /\n")
    assert release("check", cwd=tale.clone.path).code == 0
    place.unlink()
    place.symlink_to("/etc/hostname")
    linked = release("check", cwd=tale.clone.path)
    assert "Dockerfile is a symbolic link" in linked.err
