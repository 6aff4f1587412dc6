"""What should perhaps be picked: filters, forecasts, and the edit of release.yaml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.invocation import console_of, session_of
from orchestrator.config.reader import parse
from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.core.pick import Pick, PickState
from orchestrator.core.plan import Plan
from orchestrator.picks.candidates import Candidate, Filters, entries, find
from orchestrator.release.declare import replace_file, undeclared, with_prerequisites
from orchestrator.report.plan import plan_lines
from orchestrator.session.options import Options
from tests.support.cli import Ran, release
from tests.support.story import LOADER, Story

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history

VERSION = "v2.7.1"
HEAD = "version: 1\nbranch: release/v2.7\nsource: main\n"


@pytest.fixture
def grown(tale: Story) -> dict[str, str]:
    """Names for commits of main: two clean ones, a conflict, an empty one, a duplicate, and one that ships nothing."""
    clone = tale.clone
    ids = {"docs": clone.rev("main")}
    ids["clean"] = clone.commit(
        "fix(loader): step 2\n\nBackport: v2.7\n",
        {"loader.py": LOADER.replace("return 2\n", "return 22\n")},
        author="Fay Fixer <fay@example.com>",
    )
    both = LOADER.replace("return 2\n", "return 22\n").replace("return 8\n", "return 88\n")
    ids["clash"] = clone.commit("perf: step 8", {"loader.py": both})
    ids["new"] = clone.commit("refactor: a tool\n\nSpeaks of step 8.\n", {"tools/new.py": "NEW = 1\n"})
    ids["twin"] = clone.commit("fix: say it", {"say.py": "SAY = 1\n"})
    clone.git("merge", "--quiet", "--no-ff", "-m", "merge nothing", "-s", "ours", "fix/dataloader-leak")
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", "-x", ids["twin"])
    clone.commit("fix: hot", {"loader.py": LOADER.replace("return 8\n", "return 9\n")})
    clone.git("push", "--quiet", "origin", "release/v2.7", "main")
    clone.git("checkout", "--quiet", "main")
    clone.git("branch", "--quiet", "-D", "release/v2.7")
    tale.declare(HEAD)
    return ids | {"wip": tale.before, "fix": tale.fix, "half": tale.after}


def ask(tale: Story, *args: str, code: int = 0) -> Ran:
    done = release("candidates", *args, cwd=tale.clone.path)
    assert done.code == code, done.err
    return done


def names(tale: Story, grown: dict[str, str], *args: str) -> list[str]:
    by_id = {sha: name for name, sha in grown.items()}
    return [by_id[each["sha"]] for each in ask(tale, "--json", *args).json["candidates"]]


def test_each_candidate_has_its_forecast_newest_last(tale: Story, grown: dict[str, str]) -> None:
    before = tale.clone.snapshot()
    found = ask(tale, "--json").json
    by_id = {each["sha"]: each for each in found["candidates"]}
    order = list(by_id)
    assert order.index(grown["docs"]) < order.index(grown["clean"]) < order.index(grown["new"])
    assert grown["twin"] not in by_id
    assert found["duplicates"] == 1
    assert by_id[grown["clean"]]["forecast"] == "clean"
    assert by_id[grown["clean"]]["type"] == "fix"
    assert by_id[grown["clean"]]["author"] == "Fay Fixer <fay@example.com>"
    clash = by_id[grown["clash"]]
    assert (clash["forecast"], clash["conflicts"]) == ("conflict", [{"path": "loader.py", "kind": "content"}])
    assert tale.clone.snapshot() == before
    assert "1 more is on release/v2.7 already" in ask(tale).out


@pytest.mark.wide
def test_what_the_forecast_says_is_what_plan_says(tale: Story, grown: dict[str, str]) -> None:
    """Each alone on the tip: the forecast is the state of a plan that declares this one commit."""
    forecast = {each["sha"]: each["forecast"] for each in ask(tale, "--json").json["candidates"]}
    for name in ("clean", "clash", "half"):
        tale.release_yaml(f"      - commit: {grown[name]}")
        plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
        assert plan["picks"][0]["state"] == forecast[grown[name]]


@pytest.mark.wide
def test_filters(tale: Story, grown: dict[str, str]) -> None:
    by_id = {sha: name for name, sha in grown.items()}
    options = Options(directory=str(tale.clone.path))
    for filters, wanted in (
        (Filters(types=("perf, refactor",)), ["clash", "new"]),
        (Filters(types=("perf", "refactor")), ["clash", "new"]),
        (Filters(paths=("tools",)), ["new"]),
        (Filters(paths=("*.md", "tools/*.py")), ["docs", "new"]),
        (Filters(author="^Fay", grep="step"), ["clean"]),
        (Filters(grep="^Speaks of"), ["new"]),
        (Filters(trailers=("backport",)), ["clean"]),
        (Filters(trailers=("Backport=v2.*",)), ["clean"]),
        (Filters(trailers=("Backport=v3.*",)), []),
        (Filters(since="fix/dataloader-leak", types=("fix,docs",)), ["clean"]),
    ):
        with session_of(options, console_of(options)) as session:
            assert [by_id[each.sha] for each in find(session, filters).candidates] == wanted, filters
    assert names(tale, grown, "--type", "perf", "--type", "refactor", "--path", "*.py") == ["clash", "new"]


def test_what_closes_a_vulnerability_is_told(tale: Story, grown: dict[str, str], tmp_path: Path) -> None:
    known = {"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-1111"], "affected": [
        {"package": {"ecosystem": "PyPI", "name": "loader"}, "ranges": [
            {"type": "GIT", "repo": "https://example.com/x", "events": [{"introduced": "0"}, {"fixed": grown["clean"]}]}
        ]}
    ]}  # fmt: skip
    (tmp_path / "osv.json").write_text(json.dumps(known))
    assert names(tale, grown, "--closing", "--data", str(tmp_path / "osv.json")) == ["clean"]
    said = ask(tale, "--data", str(tmp_path / "osv.json"))
    assert said.out.count("closes") == 1
    assert "closes CVE-2026-1111 (unknown): it is the upstream commit" in said.out
    assert "--closing needs --data" in ask(tale, "--closing", code=2).err
    assert "osv.json: " in ask(tale, "--data", str(tmp_path / "no/osv.json"), code=2).err


@pytest.mark.wide
def test_what_ships_is_what_the_build_gets(tale: Story, grown: dict[str, str]) -> None:
    assert "--shipped needs an image" in ask(tale, "--shipped", code=2).err
    image = "image: {repository: example.com/x, dockerfile: Dockerfile}\n"
    tale.declare(HEAD + image)
    assert "docs" in names(tale, grown, "--shipped")
    other = tale.clone.path.parent / "line"
    tale.clone.git("worktree", "add", "--quiet", str(other), "origin/release/v2.7")
    line = type(tale.clone)(other, minutes=99)
    line.commit("chore: ignore", {".dockerignore": "*.md\ntools\n"})
    line.git("push", "--quiet", "origin", "HEAD:release/v2.7")
    assert set(names(tale, grown, "--shipped")) == {"clean", "clash", "wip", "fix", "half"}
    tale.declare(HEAD + image.replace("}", ", context: tools}"))
    assert names(tale, grown, "--shipped") == ["new"]


def test_the_limit_counts_what_is_shown(tale: Story, grown: dict[str, str]) -> None:
    """The twin is the newest: it takes no place, and the older ones that were not looked at are counted."""
    found = ask(tale, "--limit", "2", "--json", "--path", "*.py").json
    assert [each["sha"] for each in found["candidates"]] == [grown["clash"], grown["new"]]
    assert (found["duplicates"], found["more"]) == (1, 4)
    assert "4 older ones match too" in ask(tale, "--limit", "2", "--path", "*.py").out


def test_a_filter_that_cannot_be_used(tale: Story) -> None:
    tale.declare(HEAD)
    for args in (("--grep", "("), ("--author", "*"), ("--since", "nowhere"), ("--path", ":(nonsense)x"), ("0123abc",)):
        refused = ask(tale, *args, code=2)
        assert refused.err.count("error:") == 1
        assert "Traceback" not in refused.err


def test_what_the_source_says_since_is_told_and_a_reverted_one_is_not_declared(tale: Story) -> None:
    clone = tale.clone
    fix = clone.commit("fix: say it", {"say.py": "SAY = 1\n"})
    good = clone.commit("fix: write it", {"write.py": "WRITE = 1\n"})
    better = clone.commit(f"fix: write more\n\nFixes: {good[:12]}\n", {"more.py": "MORE = 1\n"})
    clone.minutes += 1
    clone.git("revert", "--no-edit", fix)
    tale.declare(HEAD)
    found = {each["sha"]: each for each in ask(tale, "--json", "--type", "fix").json["candidates"]}
    assert (found[fix]["forecast"], found[fix]["is_reverted"]) == ("clean", True)
    assert [each["sha"] for each in found[good]["followups"]] == [better]
    shown = ask(tale, "--type", "fix").out
    assert f"revert: {clone.rev('main')[:12]}" in shown
    ask(tale, "--write", VERSION, "--type", "fix", "--yes")
    assert fixes(tale) == [good, better]


@pytest.mark.wide
def test_what_a_conflicting_one_needs_is_proved_and_declared_with_it(tale: Story) -> None:
    clone = tale.clone
    first = clone.commit("refactor: step 3", {"loader.py": LOADER.replace("return 3\n", "return 33\n")})
    second = clone.commit("fix: step 3", {"loader.py": LOADER.replace("return 3\n", "return 333\n")})
    tale.declare(HEAD)
    hurried = ask(tale, second, "--effort", "0.000001", "--json").json
    assert (hurried["candidates"][0]["needs"], hurried["unsearched"]) == ([], 1)
    (found,) = ask(tale, second, "--json").json["candidates"]
    assert (found["forecast"], found["needs"]) == ("conflict", [first])
    unasked = ask(tale, second, "--effort", "0", "--json").json
    assert (unasked["candidates"][0]["needs"], unasked["unsearched"]) == ([], 0)
    assert f"needs {first[:12]} first" in ask(tale, "--write", VERSION, second).out
    assert fixes(tale) == [first, second]
    assert release("plan", VERSION, cwd=clone.path).code == 0


# ------------------------------------------------------------------ --write


def fixes(tale: Story, version: str = VERSION) -> list[str]:
    entry = parse((tale.clone.path / "release.yaml").read_bytes(), "release.yaml").release(version)
    return [fix.declared for fix in entry.fixes] if entry else []


@pytest.mark.wide
def test_named_commits_are_declared_oldest_first(tale: Story, grown: dict[str, str]) -> None:
    tale.declare(f"# mine\n{HEAD}releases:\n  {VERSION}:\n    fixes: []  # to come\n")
    done = ask(tale, "--write", VERSION, grown["new"][:12], grown["clean"], tale.fix)
    assert f"+      - commit: {grown['clean']}  # fix(loader): step 2" in done.out
    assert fixes(tale) == [tale.fix, grown["clean"], grown["new"]]
    assert (tale.clone.path / "release.yaml").read_text().startswith("# mine\n")
    assert release("plan", VERSION, cwd=tale.clone.path).code == 0
    assert "nothing to declare" in ask(tale, "--write", VERSION, grown["new"]).err
    shown = {each["sha"]: each["declared_in"] for each in ask(tale, "--json").json["candidates"]}
    assert shown[grown["new"]] == [VERSION]
    assert shown[grown["clash"]] == []
    assert f"declared in {VERSION}" in ask(tale).out


def test_all_clean_ones_are_declared_only_when_that_is_confirmed(tale: Story, grown: dict[str, str]) -> None:
    refused = ask(tale, "--write", VERSION, "--type", "perf,refactor", code=4)
    assert "[not-confirmed]" in refused.err
    assert fixes(tale) == []
    written = ask(tale, "--write", VERSION, "--type", "perf,refactor", "--yes", "--json").json["written"]
    assert written == {"version": VERSION, "commits": [grown["new"]]}
    assert fixes(tale) == [grown["new"]]


def test_versions_that_nothing_can_be_declared_for(tale: Story, grown: dict[str, str]) -> None:
    assert "[tag-exists]" in ask(tale, "--write", "v2.7.0", grown["new"], code=4).err
    assert "[version-malformed]" in ask(tale, "--write", "soon", grown["new"], code=2).err


def test_a_version_is_spelled_as_the_tags_are(tale: Story, grown: dict[str, str]) -> None:
    """Nothing is written that no plan takes, and what stands there already is met by a remedy that works."""
    path = tale.clone.path / "release.yaml"
    before = path.read_bytes()
    refused = ask(tale, "--write", "2.7.1", grown["new"], code=4)
    assert "2.7.1: the tags here start with 'v' [version-prefix]\n  do: write v2.7.1\n" in refused.err
    assert path.read_bytes() == before
    ask(tale, "--write", VERSION, grown["new"])
    other = release("plan", "2.7.1", cwd=tale.clone.path)
    assert "[version-prefix]" in other.err
    assert f"do: give {VERSION}, as it is declared\n" in other.err
    path.write_text(path.read_text().replace(f"  {VERSION}:", "  2.7.1:"))
    assert f"do: write {VERSION} in place of 2.7.1\n" in release("plan", VERSION, cwd=tale.clone.path).err
    path.write_text(path.read_text().replace("  2.7.1:", f"  {VERSION}:"))
    assert release("plan", VERSION, cwd=tale.clone.path).code == 0


def test_what_a_candidate_needs_is_declared_before_it_once() -> None:
    def candidate(sha: str, *needs: str) -> Candidate:
        return Candidate(sha=sha, subject=f"fix: {sha[0]}", author="", date="", type="fix",
                         forecast=PickState.CONFLICT, needs=needs)  # fmt: skip

    made = entries([candidate(C, A, B), candidate(D, B), candidate(B)])
    assert [(entry.commit, entry.reason) for entry in made] == [
        (A, f"needed by {C[:12]}"), (B, f"needed by {C[:12]}"), (C, ""), (D, ""),
    ]  # fmt: skip


# ------------------------------------------------------------------ prerequisites in release.yaml


def plan_with(*picks: Pick) -> Plan:
    return Plan(
        plan_id="0" * 64, version=VERSION, previous="", remote="origin", branch="release/v2.7", base="0" * 40,
        head="0" * 40, picked_tree="", tree="", picks=picks, skipped=(), images=(), tasks=(),
    )  # fmt: skip


def a_pick(sha: str, declared: str, *needs: str) -> Pick:
    return Pick(source=sha, subject="s", state=PickState.CONFLICT, declared=declared, prerequisites=needs)


A, B, C, D = (letter * 40 for letter in "abcd")


def test_prerequisites_go_before_the_fix_that_needs_them_each_once() -> None:
    text = f"{HEAD}releases:\n  {VERSION}:\n    fixes:\n      - commit: {A[:9]}\n      - range: {B}..main\n"
    config = parse(text.encode(), "release.yaml")
    plan = plan_with(a_pick(A, A[:9]), a_pick(B, f"{B}..main", C, D), a_pick("e" * 40, f"{B}..main", D, A))
    new = with_prerequisites(config, VERSION, undeclared(plan))
    entry = parse(new, "release.yaml").release(VERSION)
    assert entry
    assert [fix.declared for fix in entry.fixes] == [A[:9], C, D, f"{B}..main"]
    assert not undeclared(plan_with(a_pick(A, A, B), a_pick(B, B)))


def test_plan_shows_the_lines_to_paste() -> None:
    text = "\n".join(plan_lines(plan_with(a_pick(A, A, C, D))))
    assert f"pick {C[:12]} and {D[:12]} first" in text
    assert f"- commit: {C}\n" in text
    assert plan_lines(plan_with(a_pick(A, A)))[2:4] == [f"  !  {A[:12]} conflict   s", ""]


def test_plan_write_without_anything_to_write_is_a_plan(tale: Story) -> None:
    tale.release_yaml(f"      - commit: {tale.fix}")
    plain, written = (release("plan", VERSION, "--json", *args, cwd=tale.clone.path) for args in ((), ("--write",)))
    assert written.json == plain.json
    assert fixes(tale) == [tale.fix]


# ------------------------------------------------------------------ the file


def test_the_file_is_replaced_through_links_and_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "release.yaml"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    replace_file(link, b"old", b"new")
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.glob("*.yaml*")) == ["real.yaml", "release.yaml"]


def test_a_file_that_changed_or_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_bytes(b"edited")
    with pytest.raises(RefusedError):
        replace_file(path, b"old", b"new")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        replace_file(tmp_path / "none/release.yaml", b"old", b"new")
    assert path.read_bytes() == b"edited"
