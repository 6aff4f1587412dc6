"""`policy:` on real git: each rule refuses a cut, and the policy that counts is that of the protected branch."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.guard.policies import FROZEN, VERSION, cut, fix, on_main, on_source
from tests.support.cli import release
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile


# ------------------------------------------------------------------ each rule


def test_a_feature_is_refused_until_it_is_allowed_with_a_reason(tale: Story) -> None:
    sha = on_source(tale, "feat(api): more\n\nBREAKING CHANGE: less of the rest\n", {"api.py": "x\n"})
    tale.release_yaml(fix(sha))
    said = cut(tale, code=4).err
    assert "error: release.yaml:8:9: " in said
    assert "[feature-in-patch]" in said
    assert "[breaking-in-patch]" in said
    tale.release_yaml(fix(sha, "allow: [feature, breaking]"))
    assert "[config-no-reason]" in cut(tale, code=2).err
    tale.release_yaml(fix(sha, "allow: [feature, breaking]\nreason: the old one leaks keys"))
    cut(tale)
    text = tale.remote.git("show", "release/v2.7:CHANGELOG.md")
    line = f"- **api:** more: less of the rest — the old one leaks keys (`{sha[:12]}`)"
    assert text.endswith(f"### Breaking changes\n\n{line}")


def test_a_feature_that_a_merge_hides_is_refused(tale: Story) -> None:
    tale.clone.git("checkout", "--quiet", "-b", "topic")
    tale.clone.commit("feat: hidden", {"hidden.py": "x\n"})
    tale.clone.git("checkout", "--quiet", "main")
    tale.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fixes", "topic")
    tale.release_yaml(fix(tale.clone.rev("main"), "mainline: 1"))
    assert "brings a feature ('feat: hidden')" in cut(tale, code=4).err


def test_every_rule_of_the_protected_branch_refuses_a_softer_file(tale: Story) -> None:
    """The attack: the release.yaml in use has a policy that allows all; main's counts, which this clone has not."""
    rules = (
        "required-approvals: 1", "types: [perf]", "protected-sources: [main]", "declared-on-source: true",
        "freeze: [{from: 2000-01-01T00:00Z, until: 2099-01-01T00:00Z, reason: holidays}]",
    )  # fmt: skip
    on_main(tale, "policy:\n" + "".join(f"  {rule}\n" for rule in rules))
    tale.release_yaml(fix(tale.fix, "approved-by: Fay Fixer"), extra="policy: {types: [fix, perf, feat]}\n")
    before = tale.clone.snapshot()
    problems = json.loads(cut(tale, "--json", code=4).out)["problems"]
    assert [(problem["code"], problem["where"]) for problem in problems] == [
        ("type-not-allowed", "release.yaml:8:9"),
        ("approvals-missing", "release.yaml:8:9"),
        ("not-on-protected-source", "release.yaml:8:9"),
        ("not-declared-on-source", "release.yaml:8:9"),
        ("frozen", "origin/main:release.yaml:9:12"),
    ]
    lines = [6, 5, 7, 8, 9]
    for problem, line in zip(problems, lines, strict=True):
        assert f"origin/main:release.yaml:{line}:" in problem["message"]  # the place of the rule
    assert tale.clone.snapshot() == before


@pytest.mark.wide
def test_what_satisfies_every_rule_is_released_and_published(tale: Story, tmp_path: Path) -> None:
    picked = on_source(tale, "fix(loader): close\n", {"loader.py": tale.clone.git("show", f"{tale.fix}:loader.py")})
    entry = fix(picked, "approved-by: [ben, ana]\nreason: it leaks")
    policy = (
        'policy:\n  required-approvals: 2\n  code-owners: [{path: "*", owners: [ana, ben]}]\n  types: [fix]\n'
        "  conventional-commits: true\n  protected-sources: [main]\n  declared-on-source: true\n"
        "  freeze: [{from: 2000-01-01T00:00Z, until: 2001-01-01T00:00Z, reason: holidays}]\n"
        "repository-url: https://github.com/org/image\n"
    )
    tale.release_yaml(entry, extra=policy)
    on_main(tale, (tale.clone.path / "release.yaml").read_text().partition("source: main\n")[2])
    cut(tale)
    text = tale.remote.git("show", "release/v2.7:CHANGELOG.md")
    link = f"[`{picked[:12]}`](https://github.com/org/image/commit/{picked})"
    assert text.endswith(f"### Fixes\n\n- **loader:** close — it leaks ({link}; approved by ben, ana)")
    ci = tmp_path / "ci"
    Repo(tmp_path).git("clone", "--quiet", "--single-branch", "-b", VERSION, str(tale.remote.path), str(ci))
    done = release("publish", VERSION, cwd=ci)
    assert done.code == 0, done.err


# ------------------------------------------------------------------ whose policy


def test_without_a_policy_there_the_local_one_counts_and_a_note_says_so(tale: Story) -> None:
    tale.release_yaml(fix(tale.fix), extra="policy: {required-approvals: 1}\n")
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert plan.code == 4
    assert "origin/main has no release.yaml yet: the policy in release.yaml counts" in plan.json["notes"]
    on_main(tale, "")
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert "origin/main has no policy yet: the policy in release.yaml counts" in plan.json["notes"]


def test_offline_the_last_fetch_counts(tale: Story) -> None:
    on_main(tale, "policy: {required-approvals: 1}\n")
    tale.release_yaml(fix(tale.fix))
    assert release("plan", VERSION, "--offline", cwd=tale.clone.path).code == 0
    tale.clone.git("fetch", "--quiet", "origin")
    assert release("plan", VERSION, "--offline", cwd=tale.clone.path).code == 4


@pytest.mark.wide
def test_another_source_or_file_does_not_escape_the_policy(tale: Story) -> None:
    """Once a release is out, the release branch itself says which branch is the protected one."""
    on_main(tale, "policy: {required-approvals: 1}\n")
    tale.release_yaml(fix(tale.before, "approved-by: ben"))
    cut(tale)
    head = "version: 1\nbranch: release/v2.7\nsource: fix/dataloader-leak\n"
    text = f"{head}releases:\n  v2.7.2:\n    fixes:\n{fix(tale.fix)}\n"
    tale.declare(text)
    refused = release("cut", "v2.7.2", "--yes", cwd=tale.clone.path)
    assert (refused.code, "[approvals-missing]" in refused.err) == (4, True), refused.err
    tale.clone.write("lax.yaml", text.replace("source: fix/dataloader-leak", "source: main"))
    refused = release("cut", "v2.7.2", "--yes", "--config", "lax.yaml", cwd=tale.clone.path)
    assert (refused.code, "[approvals-missing]" in refused.err) == (4, True), refused.err


@pytest.mark.wide
def test_a_declared_release_is_made_as_it_is_declared(tale: Story) -> None:
    """The entry is the reviewed one; the Dockerfile, the smoke tests and the files that are written are not."""
    policy = "policy: {declared-on-source: true}\n"
    on_main(tale, f"releases:\n  {VERSION}:\n    summary: loader leak\n    fixes:\n{fix(tale.fix)}\n{policy}")
    tale.release_yaml("\n\n" + fix(tale.fix), extra=policy)  # the same, on other lines
    assert release("plan", VERSION, cwd=tale.clone.path).code == 0
    for key, extra in (
        ("verify", "verify: [{run: 'true'}]\n"), ("version-files", "version-files: [{path: VERSION}]\n"),
        ("changelog", "changelog: docs/CHANGES.md\n"),
    ):  # fmt: skip
        tale.release_yaml(fix(tale.fix), extra=policy + extra)
        said = release("plan", VERSION, cwd=tale.clone.path).err
        assert f"origin/main does not declare `{key}` as it stands here" in said, said
    tale.release_yaml(fix(tale.fix), extra=policy + "image: {repository: registry.example.com/x}\n")
    assert "does not declare `image` as it stands here" in release("plan", VERSION, cwd=tale.clone.path).err


@pytest.mark.wide
def test_what_is_made_may_be_published_after_the_protected_branch_has_moved_on(tale: Story, tmp_path: Path) -> None:
    policy = "policy: {declared-on-source: true}\n"
    declared = f"releases:\n  {VERSION}:\n    summary: loader leak\n    fixes:\n{fix(tale.fix)}\n{policy}"
    on_main(tale, declared + "verify: ['true']\n")
    tale.release_yaml(fix(tale.fix), extra=policy + "verify: ['true']\n")
    cut(tale)
    tale.clone.git("fetch", "--quiet", "origin")
    on_main(tale, declared + "verify: ['true # for the next one']\n")
    ci = [tmp_path / name for name in ("moved", "withdrawn")]
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci[0]))
    done = release("publish", VERSION, cwd=ci[0])
    assert done.code == 0, done.err
    tale.clone.git("fetch", "--quiet", "origin")
    on_main(tale, f"releases: {{}}\n{policy}")  # taken back by review
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci[1]))
    refused = release("publish", VERSION, cwd=ci[1])
    assert (refused.code, "[not-declared-on-source]" in refused.err) == (4, True), refused.err


def test_a_release_yaml_of_another_program_at_the_top_neither_refuses_nor_frees(tale: Story) -> None:
    """Lines have files of their own, and the top has a release.yaml that is none of ours: here, and on the branch."""
    odd, line = "apiVersion: v1\n", "version: 1\nbranch: release/v2.7\nsource: main\npolicy: {types: [perf]}\n"
    base = tale.clone.path.parent / "base"
    for branch in ("release/v2.7", "main"):
        tale.clone.git("worktree", "add", "--quiet", "--detach", str(base), f"origin/{branch}")
        Repo(base).commit("chore: lines", {"release.yaml": odd, "lines/2.7.yaml": line})
        Repo(base).git("push", "--quiet", "origin", f"HEAD:{branch}")
        tale.clone.git("worktree", "remove", "--force", str(base))
    tale.clone.git("push", "--quiet", "origin", f"{tale.base}:refs/heads/mine")
    tale.clone.git("fetch", "--quiet", "origin")
    tale.release_yaml(fix(tale.fix))
    text = (tale.clone.path / "release.yaml").read_text().replace("source: main", "source: mine")
    tale.clone.write("lines/2.7.yaml", text)
    tale.clone.write("release.yaml", odd)
    planned = release("plan", VERSION, "--config", "lines/2.7.yaml", cwd=tale.clone.path)
    assert planned.code == 4, planned.err
    assert "[type-not-allowed]" in planned.err
    assert "config-unknown-key" not in planned.err


def test_a_file_of_another_branch_does_not_lend_its_policy(tale: Story) -> None:
    """The protected branch has a second file, for a demo, without rules: its path is given for a real release."""
    tree = tale.clone.path.parent / "main"
    tale.clone.git("worktree", "add", "--quiet", "-B", "reviewed", str(tree), "origin/main")
    files = {
        "release.yaml": "version: 1\nbranch: release/v2.7\nsource: main\npolicy: {required-approvals: 1}\n",
        "demo.yaml": "version: 1\nbranch: demo/v0.1\nsource: main\n",
    }
    Repo(tree).commit("chore: policy", dict(files))
    Repo(tree).git("push", "--quiet", "--force", "origin", "HEAD:main")
    tale.release_yaml(fix(tale.fix))
    (tale.clone.path / "release.yaml").rename(tale.clone.path / "demo.yaml")
    assert "[approvals-missing]" in cut(tale, "--config", "demo.yaml", code=4).err


def test_a_policy_that_cannot_be_read_lets_nothing_through(tale: Story) -> None:
    on_main(tale, "policy: {required-aprovals: 1}\n")
    tale.release_yaml(fix(tale.fix))
    said = cut(tale, code=4).err
    assert "origin/main:release.yaml:4:10: unknown key 'required-aprovals' in 'policy' [config-unknown-key]" in said


def test_a_policy_does_not_change_the_plan_unless_the_tag_must_be_signed(tale: Story) -> None:
    tale.release_yaml(fix(tale.fix))
    before = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    on_main(tale, "policy: {required-approvals: 1}\n")
    after = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert (after["plan_id"], after["head"]) == (before["plan_id"], before["head"])


# ------------------------------------------------------------------ adapted


@pytest.mark.wide
def test_an_adapted_pick_waits_for_its_second_approval(tale: Story) -> None:
    """The conflict is opened with one approval; what came of it needs the second."""
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    there = (tale.clone.path / "loader.py").read_text().replace("return 5\n", "return 55\n")
    base = tale.clone.commit("fix: five", {"loader.py": there})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    on_main(tale, "policy: {required-approvals: 1, adapted-approvals: 2}\n")
    tale.release_yaml(fix(tale.fix, "approved-by: ben"))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 3
    tree = tale.clone.path / f".git/release/{VERSION}/worktree"
    (tree / "loader.py").write_text(there.replace("return 55\n", "return 55  # closed\n"))
    Repo(tree).git("add", "loader.py")
    refused = release("continue", VERSION, "--yes", cwd=tree)
    assert (refused.code, "[approvals-missing]" in refused.err) == (4, True), refused.err
    assert "is adapted and approved by ben: 1 of 2" in refused.err
    assert tale.remote.rev("release/v2.7") == base
    tale.release_yaml(fix(tale.fix, "approved-by: [ben, ana]"))
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err


def test_who_wrote_what_a_merge_brings_or_a_backport_does_not_approve_it(tale: Story) -> None:
    def commit(message: str, author: str, files: dict[str, str | bytes | None]) -> str:
        tale.clone.commit(message, files)
        tale.clone.git("commit", "--quiet", "--amend", "--no-edit", f"--author={author}")
        return tale.clone.rev("HEAD")

    on_main(tale, "policy: {required-approvals: 1}\n")
    tale.clone.git("checkout", "--quiet", "-b", "topic")
    commit("fix: merged", "Gus G <gus@example.com>", {"merged.py": "print('hello there')\n"})
    tale.clone.git("checkout", "--quiet", "main")
    tale.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", "topic")
    merge = tale.clone.rev("main")
    for approval, code in (("gus", 4), ("ben", 0)):
        tale.release_yaml(fix(merge, f"mainline: 1\napproved-by: {approval}"))
        assert release("plan", VERSION, cwd=tale.clone.path).code == code
    tale.clone.git("checkout", "--quiet", "-b", "by-hand", "release/v2.7")
    by_hand = commit("fix: by hand", "Eve E <eve@example.com>", {"hand.py": "print('by hand')\n"})
    tale.clone.git("checkout", "--quiet", "main")
    for approval, code in (("Eve E", 4), ("ben", 0)):
        tale.release_yaml(fix(tale.fix, f"backport: {by_hand}\napproved-by: {approval}\nreason: conflicts"))
        assert release("plan", VERSION, cwd=tale.clone.path).code == code


# ------------------------------------------------------------------ freezes


@pytest.mark.wide
def test_a_freeze_is_broken_with_a_reason_that_is_kept(tale: Story, tmp_path: Path) -> None:
    on_main(tale, FROZEN)
    tale.release_yaml(fix(tale.fix))
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert plan.code == 0
    assert any("holidays" in note and "a cut would be refused" in note for note in plan.json["notes"])
    for wrong in ("", "  ", "a\x1b[31m"):
        assert "[no-reason]" in cut(tale, "--break-freeze", wrong, code=2).err
    assert '--break-freeze "..."' in cut(tale, code=4).err
    cut(tale, "--break-freeze", "jobs are\n dying")
    record = json.loads(tale.remote.git("cat-file", "blob", f"refs/release-records/{VERSION}"))
    assert (record["freeze_broken"], record["plan_id"]) == ("jobs are dying", plan.json["plan_id"])
    assert "\nFreeze broken: jobs are dying\n" in tale.remote.git("cat-file", "tag", VERSION)
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0  # done already: no freeze holds that up
    ci = tmp_path / "ci"
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci))
    assert release("publish", VERSION, cwd=ci).code == 0  # the tag says that it was broken


@pytest.mark.wide
def test_publish_minds_the_freeze_and_a_policy_that_the_tag_does_not_bring(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix(tale.fix))
    cut(tale)
    on_main(tale, FROZEN + "  required-approvals: 1\n")
    ci = tmp_path / "ci"
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci))
    refused = release("publish", VERSION, cwd=ci)
    assert refused.code == 4
    assert "[frozen]" in refused.err
    assert "[approvals-missing]" in refused.err
    on_main(tale, FROZEN)
    assert release("publish", VERSION, "--break-freeze", "it is out already", cwd=ci).code == 0


# ------------------------------------------------------------------ signatures


@pytest.mark.wide
def test_signed_tags_with_a_real_ssh_key(tale: Story, tmp_path: Path) -> None:
    on_main(tale, "policy: {signed-tags: true}\n")
    tale.release_yaml(fix(tale.fix))
    said = cut(tale, code=4).err
    assert "error: origin/main:release.yaml:4:23: the tag must be signed (policy.signed-tags)" in said
    assert "git config tag.gpgSign true" in said
    keys = {}
    for name in ("mia", "eve"):
        keys[name] = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys[name])], check=True)
    for key, value in (("tag.gpgSign", "true"), ("gpg.format", "ssh"), ("user.signingKey", f"{keys['mia']}.pub")):
        tale.clone.git("config", key, value)
    cut(tale)
    assert "-----BEGIN SSH SIGNATURE-----" in tale.remote.git("cat-file", "tag", VERSION)
    ci = Repo(tmp_path / "ci")
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci.path))
    unknown = release("publish", VERSION, cwd=ci.path)
    assert (unknown.code, "allowedSignersFile" in unknown.err) == (4, True), unknown.err
    signers = tmp_path / "signers"
    ci.git("config", "gpg.ssh.allowedSignersFile", str(signers))
    signers.write_text(f"eve@example.com {keys['eve'].with_suffix('.pub').read_text()}")
    unknown = release("publish", VERSION, cwd=ci.path)
    assert (unknown.code, "[tag-not-signed]" in unknown.err) == (4, True), unknown.err
    signers.write_text(f"mia@example.com {keys['mia'].with_suffix('.pub').read_text()}")
    done = release("publish", VERSION, cwd=ci.path)
    assert done.code == 0, done.err


@pytest.mark.wide
def test_publish_refuses_a_tag_without_a_signature(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix(tale.fix))
    cut(tale)
    on_main(tale, "policy: {signed-tags: true}\n")
    ci = tmp_path / "ci"
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci))
    refused = release("publish", VERSION, cwd=ci)
    assert refused.code == 4
    assert f"tag {VERSION}: it has no signature (policy.signed-tags, origin/main:release.yaml:4:23)" in refused.err
