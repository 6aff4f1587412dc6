"""The Dockerfile check: what the classic builder cannot do is found with its line, and nothing else is."""

from __future__ import annotations

import pytest

from orchestrator.dockerfile.facts import examine, platform_values
from orchestrator.dockerfile.stages import takes
from orchestrator.dockerfile.words import BadSubstitutionError, expand, split
from orchestrator.engines.buildx.dialect import BUILDKIT as BY_BUILDX
from orchestrator.engines.classic_dialect import CLASSIC

BUILDKIT = "dockerfile-needs-buildkit"
INVALID = "dockerfile-invalid"
UNRESOLVED = "dockerfile-base-unresolved"

# name, Dockerfile, the problems as (code, line, part of the message, part of the remedy)
CASES: list[tuple[str, str, list[tuple[str, int, str, str]]]] = [
    # directives
    ("syntax", "# syntax=docker/dockerfile:1\nFROM a\n", []),
    ("check", "# check=error=true\nFROM a\n", []),
    ("second-directive", "# escape=x\n# check=skip=all\nFROM a\n", [(INVALID, 1, "escape character", "use `")]),
    ("syntax-and-more", "# syntax=x\nFROM a\nCOPY --chmod=1 a /a\n", [(BUILDKIT, 3, "COPY --chmod", "git")]),
    ("syntax-after-comment", "# hello\n# syntax=docker/dockerfile:1\nFROM a\n", []),
    ("syntax-after-instruction", "FROM a\n# syntax=docker/dockerfile:1\n", []),
    ("escape", "# escape=`\nFROM a\nRUN echo `\n  hi\nRUN dir c:\\\nRUN echo\n", []),
    ("escape-unknown", "# escape=x\nFROM a\n", [(INVALID, 1, "not an escape character", "use `")]),
    ("bom", "\ufeff# escape=x\nFROM a\n", [(INVALID, 1, "escape character", "use `")]),
    # RUN flags
    (
        "mount-cache",
        "FROM a\nRUN --mount=type=cache,target=/c x\n",
        [(BUILDKIT, 2, "RUN --mount", "no-cache")],
    ),
    ("mount-default", "FROM a\nRUN --mount=target=. x\n", [(BUILDKIT, 2, "RUN --mount", "COPY")]),
    ("mount-secret", "FROM a\nRUN --mount=type=secret,id=t x\n", [(BUILDKIT, 2, "--mount", "secret")]),
    (
        "two-mounts",
        "FROM a\nRUN --mount=type=bind,target=. \\\n  --mount=type=ssh x\n",
        [(BUILDKIT, 2, "RUN --mount", "COPY"), (BUILDKIT, 2, "RUN --mount", "key outside")],
    ),
    ("lower-case", "from a\nrun --mount=type=cache,target=/c x\n", [(BUILDKIT, 2, "RUN --mount", "drop")]),
    ("network", "FROM a\nRUN --network=none x\n", [(BUILDKIT, 2, "RUN --network", "release.yaml")]),
    ("security", "FROM a\nRUN --security=insecure x\n", [(BUILDKIT, 2, "RUN --security", "drop it")]),
    ("flag-of-the-command", "FROM a\nRUN pip --mount=x --network=none\nRUN -- --mount=x\n", []),
    (
        "unknown-flag",
        "FROM a\nRUN --nettwork=none x\n",
        [(INVALID, 2, "RUN --nettwork is not known", "drop")],
    ),
    ("flag-on-cmd", "FROM a\nCMD --serve\n", [(INVALID, 2, "CMD --serve", "drop")]),
    ("health", "FROM a\nHEALTHCHECK --interval=1s --start-period=2s --timeout=1s --retries=2 CMD x\n", []),
    ("health-start", "FROM a\nHEALTHCHECK --start-interval=1s CMD x\n", [(BUILDKIT, 2, "start-int", "drop")]),
    # COPY and ADD
    ("copy-plain", "FROM a AS b\nFROM a\nCOPY --from=b --chown=1:1 x /x\nADD --chown=1 x /x\n", []),
    ("chmod", "FROM a\nCOPY --chmod=755 x /x\n", [(BUILDKIT, 2, "COPY --chmod", "git update-index")]),
    ("add-chmod", "FROM a\nADD --chmod=755 x /x\n", [(BUILDKIT, 2, "ADD --chmod", "git update-index")]),
    ("link", "FROM a\nCOPY --link --from=a x /x\n", []),
    ("parents", "FROM a\nCOPY --parents x /x\n", [(BUILDKIT, 2, "COPY --parents", "each directory")]),
    ("exclude", "FROM a\nCOPY --exclude=*.c x /x\n", [(BUILDKIT, 2, "COPY --exclude", ".dockerignore")]),
    (
        "checksum",
        "FROM a\nADD --checksum=sha256:0 http://h/f /x\n",
        [(BUILDKIT, 2, "ADD --checksum", "sha256sum")],
    ),
    (
        "keep-git",
        "FROM a\nADD --keep-git-dir=true x /x\n",
        [(BUILDKIT, 2, "ADD --keep-git-dir", "git clone")],
    ),
    (
        "add-ssh-git",
        "FROM a\nADD git@h.com:a/b.git /x\n",
        [(BUILDKIT, 2, "ADD git@h.com:a/b.git", "git clone")],
    ),
    ("add-git", "FROM a\nADD https://h/b.git#v1 /x\n", [(BUILDKIT, 2, "git repository", "git clone")]),
    (
        "add-git-json",
        'FROM a\nADD ["https://h/b.git", "/x"]\n',
        [(BUILDKIT, 2, "ADD https://h/b.git", "git")],
    ),
    ("add-url", "FROM a\nADD https://h/b.git.tar.gz /x.git\n", []),
    # heredocs
    ("heredoc", "FROM a\nRUN <<EOF\nFROM nothing\nbogus\nEOF\nRUN x\n", [(BUILDKIT, 2, "RUN <<EOF", "&&")]),
    ("heredoc-dash", "FROM a\nRUN <<-EOF\n\tx\n\tEOF\n", [(BUILDKIT, 2, "RUN <<EOF", "COPY a script")]),
    ("heredoc-quoted", 'FROM a\nRUN cat <<"EOF" > x\ny\nEOF\n', [(BUILDKIT, 2, "RUN <<EOF", "&&")]),
    ("heredoc-single", "FROM a\nRUN cat <<'E F'\n", []),
    ("heredoc-fd", "FROM a\nRUN x 3<<EOF\nEOF\n", [(BUILDKIT, 2, "RUN <<EOF", "&&")]),
    ("heredoc-glued", "FROM a\nRUN cat<<EOF\nEOF\n", [(BUILDKIT, 2, "RUN <<EOF", "&&")]),
    ("heredoc-space", "FROM a\nRUN cat << EOF\nEOF\n", [(BUILDKIT, 2, "RUN <<EOF", "&&")]),
    ("heredoc-copy", "FROM a\nCOPY <<EOF /x\nhi\nEOF\n", [(BUILDKIT, 2, "COPY <<EOF", "commit the file")]),
    (
        "heredoc-two",
        "FROM a\nCOPY <<A <<B /x/\n1\nA\n2\nB\nRUNN x\n",
        [
            (BUILDKIT, 2, "COPY <<A", "commit"),
            (BUILDKIT, 2, "COPY <<B", "commit"),
            (INVALID, 7, "unknown instruction RUNN", "did you mean RUN?"),
        ],
    ),
    ("heredoc-deep", "FROM a\nRUN x && \\\n  # note\n\n  cat <<EOF\nEOF\n", [(BUILDKIT, 5, "<<EOF", "&&")]),
    ("heredoc-in-comment", "FROM a\n# RUN <<EOF\nRUN x\n", []),
    ("here-string", 'FROM a\nRUN bash -c x <<<"EOF"\nRUN cat <<<EOF\n', []),
    ("quoted", 'FROM a\nRUN echo "<<EOF" \'<<EOF\' \\<<EOF "a\\" <<EOF"\n', []),
    ("arithmetic", "FROM a\nRUN echo $((1<<2)) $(( (1<<X) + 1 )) && x=1<<2\n", []),
    ("json-form", 'FROM a\nRUN ["cat", "<<EOF"]\n', []),
    ("other-instruction", 'FROM a\nLABEL a="<<EOF" b=<<EOF\nENV X=<<EOF\n', []),
    # platforms
    (
        "build-platform",
        "FROM --platform=$BUILDPLATFORM a\n",
        [(BUILDKIT, 1, "--platform=$BUILDPLATFORM is empty", "write `ARG BUILDPLATFORM` above the first FROM")],
    ),
    ("build-platform-declared", "ARG BUILDPLATFORM\nFROM --platform=$BUILDPLATFORM a\n", []),
    ("platform-unset", "FROM --platform=$P a\n", [(BUILDKIT, 1, "--platform=$P is empty", "release.yaml")]),
    ("platform", "FROM --platform=linux/amd64 a\n", []),
    ("platform-arg", "ARG P=linux/amd64\nFROM --platform=${P} a\n", []),
    ("auto-arg", "FROM a\nARG TARGETARCH\n", []),
    ("auto-arg-default", "FROM a\nARG TARGETARCH=amd64\n", []),
    ("auto-arg-above", "ARG TARGETARCH=amd64\nFROM a-$TARGETARCH\nARG TARGETARCH\n", []),
    ("auto-arg-declared", "ARG TARGETARCH\nFROM a:$TARGETARCH\n", []),
    ("auto-arg-from", "FROM a:$TARGETARCH\n", [(BUILDKIT, 1, "names no image", "write `ARG TARGETARCH` above")]),
    # ONBUILD
    ("onbuild", "FROM a\nONBUILD RUN --mount=type=ssh x\n", [(BUILDKIT, 2, "RUN --mount", "outside")]),
    ("onbuild-heredoc", "FROM a\nONBUILD RUN <<EOF\nx\nEOF\n", [(BUILDKIT, 2, "RUN <<EOF", "&&")]),
    ("onbuild-chmod", "FROM a\nonbuild copy --chmod=1 x /x\n", [(BUILDKIT, 2, "COPY --chmod", "git")]),
    ("onbuild-onbuild", "FROM a\nONBUILD ONBUILD RUN x\n", [(INVALID, 2, "ONBUILD ONBUILD", "name the")]),
    ("onbuild-alone", "FROM a\nONBUILD\n", [(INVALID, 2, "nothing after it", "name the")]),
    ("onbuild-unknown", "FROM a\nONBUILD RAN x\n", [(INVALID, 2, "unknown instruction RAN", "RUN")]),
    # layout
    ("crlf", "FROM a\r\nRUN x \\\r\n  --mount=y\r\nCOPY --chmod=1 a b\r\n", [(BUILDKIT, 4, "--chmod", "git")]),
    ("continued-flag", "FROM a\nCOPY \\\n  --chmod=755 \\\n x /x\n", [(BUILDKIT, 2, "COPY --chmod", "git")]),
    ("trailing-blanks", "FROM a\nRUN x \\  \t\n  y\n", []),
    ("indented", "  FROM a\n   RUN x\n   # c\n", []),
    # structure
    ("empty", "", [(INVALID, 0, "no instructions", "FROM")]),
    ("only-comments", "# a\n\n   \n", [(INVALID, 0, "no instructions", "FROM")]),
    ("only-args", "ARG A=1\n", [(INVALID, 0, "no FROM line", "FROM")]),
    (
        "run-first",
        "RUN x\nFROM a\n",
        [(INVALID, 1, "RUN stands before the first FROM", "only ARG")],
    ),
    ("unknown", "FROM a\nCOYP x /x\n", [(INVALID, 2, "unknown instruction COYP", "did you mean COPY?")]),
    ("unknown-far", "FROM a\nQQQ x\n", [(INVALID, 2, "unknown instruction QQQ", "reference")]),
    ("from-two-words", "FROM a b\n", [(INVALID, 1, "FROM takes an image", "AS NAME")]),
    ("from-nothing", "FROM\n", [(INVALID, 1, "FROM takes an image", "AS NAME")]),
    ("from-unset", "FROM $X\n", [(UNRESOLVED, 1, "FROM $X names no image", "give X a default")]),
    ("from-empty-tag", "ARG T\nFROM a:${T}\n", [(UNRESOLVED, 2, "comes to 'a:'", "give T a default")]),
    ("from-stage-arg", "FROM a\nARG X=b\nFROM $X\n", [(UNRESOLVED, 3, "FROM $X", "above the first FROM")]),
    ("from-cut", "ARG A=ab\nFROM ${A%b}\n", [(BUILDKIT, 2, "of substitutions only", "one of these")]),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_problems(text: str, expected: list[tuple[str, int, str, str]]) -> None:
    problems = examine(text.encode(), "d/Dockerfile", {}, CLASSIC).problems
    assert [(p.code, p.where) for p in problems] == [
        (code, f"d/Dockerfile:{line}" if line else "d/Dockerfile") for code, line, _, _ in expected
    ]
    for problem, (_, _, message, remedy) in zip(problems, expected, strict=True):
        assert message in problem.message
        assert remedy in problem.remedy
        assert problem.exit_code == 2


@pytest.mark.parametrize(
    ("text", "build_args", "bases", "final"),
    [
        ("FROM a:1\n", {}, ("a:1",), "a:1"),
        ("FROM scratch\n", {}, (), ""),
        ("ARG B=a:1\nFROM $B\n", {}, ("a:1",), "a:1"),
        ("ARG B=a:1\nFROM $B\n", {"B": "c:2"}, ("c:2",), "c:2"),
        ("ARG B\nFROM ${B}\n", {"B": "r:5000/c@sha256:0"}, ("r:5000/c@sha256:0",), "r:5000/c@sha256:0"),
        ('ARG T=1\nARG B="a:${T}"\nFROM "$B"\n', {}, ("a:1",), "a:1"),
        ("ARG T\nFROM a:${T:-9}\n", {}, ("a:9",), "a:9"),
        ("ARG T=1\nFROM a${T:+-cuda}:$T\n", {}, ("a-cuda:1",), "a-cuda:1"),
        ("FROM a AS One\nFROM b AS two\nFROM ONE\n", {}, ("a", "b"), "a"),
        ("FROM a AS x\nFROM scratch\nCOPY --from=x a b\n", {}, ("a",), ""),
        ("FROM a AS x\nFROM x AS y\nFROM y\n", {}, ("a",), "a"),
        ("FROM a\nFROM a\n", {}, ("a",), "a"),
        ("ARG T=1\nFROM a:$T\nARG T=2\nFROM b:$T\n", {}, ("a:1", "b:1"), "b:1"),
    ],
)
def test_bases(text: str, build_args: dict[str, str], bases: tuple[str, ...], final: str) -> None:
    facts = examine(text.encode(), "Dockerfile", build_args, CLASSIC)
    assert (facts.problems, facts.bases, facts.final_base) == ((), bases, final)


def test_a_build_argument_that_nothing_takes_is_found() -> None:
    facts = examine(
        b"ARG BASE_IMAGE=a\nFROM $BASE_IMAGE\n", "Dockerfile", {"BASE_IMGE": "b", "HTTP_PROXY": "p"}, CLASSIC
    )
    (problem,) = facts.problems
    assert (problem.code, problem.remedy) == ("build-arg-unused", "did you mean 'BASE_IMAGE'?")


def test_an_unresolved_base_is_no_base() -> None:
    facts = examine(b"FROM a AS x\nFROM $NOPE\n", "Dockerfile", {}, CLASSIC)
    assert (facts.bases, facts.final_base) == (("a",), "")


def test_a_file_that_is_no_text_gives_problems_and_no_traceback() -> None:
    assert examine(bytes(range(256)) * 4, "Dockerfile", {}, CLASSIC).problems


# ------------------------------------------------------------------ defaults inside defaults


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("ARG T=1\nFROM ${B:-r/a:${T}}\n", "r/a:1"),
        ("ARG T=1\nFROM ${B:-r/a:$T}\n", "r/a:1"),
        ("ARG T=1\nARG B=\nARG B=${B:-r/a:${T}}\nFROM ${B}\n", "r/a:1"),
        ("FROM ${B:-${C:-${D:-a}}}\n", "a"),
        ("ARG T=1\nFROM a${T:+-${T:+x}}\n", "a-x"),
        ("ARG T=1\nFROM ${T:?missing}\n", "1"),
        ("ARG T='$X'\nFROM a:1\n", "a:1"),
        ('ARG A="b c"\nFROM a:1\n', "a:1"),
        ("# escape=`\nARG T=1\nFROM a`\n:${T}\n", "a:1"),
    ],
)
def test_nested_defaults_are_read_as_the_engine_reads_them(text: str, base: str) -> None:
    facts = examine(text.encode(), "Dockerfile", {}, CLASSIC)
    assert (facts.final_base, facts.problems) == (base, ())


@pytest.mark.parametrize("word", ["${", "${}", "${A", "${A-x}", "${A#x}", "${A:?}", "'a", '"a', "${A:-" * 5000])
def test_a_word_that_no_builder_expands(word: str) -> None:
    with pytest.raises(BadSubstitutionError):
        expand(word, {"X": "1"})
    (problem,) = examine(f"FROM {word}\n".encode(), "Dockerfile", {}, CLASSIC).problems
    assert problem.code in (BUILDKIT, INVALID, UNRESOLVED)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("a\\$A", "a$A"),
        ("'$A'", "$A"),
        ('"$A"', "1"),
        ('"a\\"b\\$\\n"', 'a"b$\\n'),
        ("$", "$"),
        ("$-$A", "$-1"),
        ("$A$A", "11"),
        ("${B:-'a b'}", "a b"),
        ("$1x", "x"),
        ("x\\", "x"),
    ],
)
def test_words(word: str, text: str) -> None:
    assert expand(word, {"A": "1"}) == text


def test_words_are_split_outside_quotes_only() -> None:
    assert split('A=1  B=\'x y\' C="q \\" r" E\\ F ') == ["A=1", "B='x y'", 'C="q \\" r"', "E\\ F"]
    assert split("") == split("  ") == []


# ------------------------------------------------------------------ other facts


def test_a_line_for_buildkit_alone_is_a_note() -> None:
    facts = examine(b"#  SYNTAX = docker/dockerfile:1\n# check=error=true\nFROM a\n", "d/Dockerfile", {}, CLASSIC)
    assert facts.problems == ()
    assert [note.partition(": ")[0] for note in facts.notes] == ["d/Dockerfile:1", "d/Dockerfile:2"]
    assert "`# syntax=docker/dockerfile:1` is a comment to the classic builder" in facts.notes[0]


def test_the_arguments_of_the_platform_are_asked_for_where_they_have_no_value() -> None:
    text = b"ARG TARGETOS\nFROM a:$TARGETOS\nARG TARGETARCH\nARG BUILDPLATFORM=x\nARG TARGETVARIANT TARGETPLATFORM\n"
    facts = examine(
        text, "Dockerfile", {"TARGETPLATFORM": "mine"}, CLASSIC, platform="linux/arm64/v8", native="linux/amd64"
    )
    assert facts.platform_args == ("TARGETOS", "TARGETARCH", "TARGETVARIANT")
    assert (facts.problems, facts.bases) == ((), ("a:linux",))
    assert platform_values("linux/arm64/v8", "linux/amd64") == {
        "TARGETPLATFORM": "linux/arm64/v8", "TARGETOS": "linux", "TARGETARCH": "arm64", "TARGETVARIANT": "v8",
        "BUILDPLATFORM": "linux/amd64", "BUILDOS": "linux", "BUILDARCH": "amd64", "BUILDVARIANT": "",
    }  # fmt: skip


def test_a_default_above_from_holds_in_every_stage() -> None:
    facts = examine(
        b"ARG TARGETARCH=amd64\nFROM a-$TARGETARCH\nARG TARGETARCH\n", "D", {}, CLASSIC, native="linux/arm64"
    )
    assert (facts.platform_args, facts.bases) == ((), ("a-amd64",))


def test_images_that_copy_takes_from() -> None:
    origins = "".join(f"COPY --from={name} /x /y\n" for name in ("one", "0", "r:5000/c:1", "$Z"))
    facts = examine(f"FROM a AS One\nFROM b\n{origins}".encode(), "Dockerfile", {}, CLASSIC)
    assert facts.copied_from == ("r:5000/c:1",)
    assert facts.sources == ()


def test_what_is_taken_from_the_context() -> None:
    text = 'FROM a\nCOPY --chown=1:1 x ./y/ /z/\nADD ["a b", "/c"]\nADD https://h/f /f\nCOPY "q r" /s\nCOPY $V /v\n'
    assert examine(text.encode(), "Dockerfile", {}, CLASSIC).sources == ("x", "./y/", "a b", "q r", "$V")


NEW_FLAGS = b"FROM a\nCOPY --parents x /\nRUN --device=d --mount=type=cache,target=/c true\nCOPY --parents y /\n"


def test_newer_flags_are_to_be_tried_where_the_builder_reads_the_file_itself() -> None:
    facts = examine(NEW_FLAGS, "Dockerfile", {}, BY_BUILDX)
    assert (facts.problems, facts.frontend) == ((), "")
    assert facts.tried == (("COPY", "parents", 2), ("RUN", "device", 3))
    named = examine(b"# syntax = r.example/dockerfile:1  \n" + NEW_FLAGS, "Dockerfile", {}, BY_BUILDX)
    assert (named.tried, named.frontend) == ((), "r.example/dockerfile:1")
    assert named.pulled == ("a", "r.example/dockerfile:1")
    given = examine(NEW_FLAGS, "Dockerfile", {"BUILDKIT_SYNTAX": "r.example/other:1"}, BY_BUILDX)
    assert (given.problems, given.frontend) == ((), "r.example/other:1")
    assert [each.code for each in examine(NEW_FLAGS, "D", {"BUILDKIT_SYNTAX": "x"}, CLASSIC).problems][:1] == [
        "build-arg-unused"
    ]


def test_mounts_take_from_images_and_from_the_context() -> None:
    mounts = " ".join(
        f"--mount={each}"
        for each in ("from=r:5000/c:1,target=/a", "type=bind,source=locks,target=/l", "target=/all",
                     "type=cache,target=/c,source=x", "from=one,source=y,target=/y", "type=secret,id=source")
    )  # fmt: skip
    facts = examine(f"FROM a AS one\nFROM b\nRUN {mounts} true\n".encode(), "Dockerfile", {}, BY_BUILDX)
    assert (facts.copied_from, facts.sources) == (("r:5000/c:1",), ("locks", "."))


@pytest.mark.parametrize(
    ("source", "path", "is_taken"),
    [
        (".", "a/b", True),
        ("./", "a/b", True),
        ("/", "a/b", True),
        ("a", "a/b", True),
        ("a/b", "a", True),
        ("a/b", "a/c", False),
        ("a/*", "a/b/c", True),
        ("*.bin", "w.bin", True),
        ("*.bin", "d/w.bin", False),
        ("b", "a", False),
        ("$X", "a", True),
    ],
)
def test_whether_a_source_takes_a_path(source: str, path: str, is_taken: bool) -> None:
    assert takes([source], path) is is_taken
