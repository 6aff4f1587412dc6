"""Hostile pushes of refs: several in one push, tags, records, odd namespaces, sizes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support import guarded as making
from tests.support import records
from tests.support.guarded import BRANCH, TAG, YAML, blob, record
from tests.support.hostile.table import Specs, branch, case
from tests.support.story import Repo

if TYPE_CHECKING:
    from tests.support.guarded import Guarded

# ------------------------------------------------------------------ several refs in one push


@case("undeclared")
def declared_by_the_same_push(g: Guarded) -> Specs:
    text = YAML + "".join(f"      - commit: {sha}\n" for sha in (*g.fixes, g.other))
    main = g.commit(g.tree("main", "release.yaml", text), "main", message="chore: declare\n")
    return [f"{main}:refs/heads/main", f"{g.pick(g.other, g.picks[1])}:{BRANCH}"]


@case("undeclared")
def source_on_a_topic_branch_of_the_same_push(g: Guarded) -> Specs:
    topic = g.commit(g.tree("main", "new.py", "x\n"), "main", message="fix: new\n")
    return [f"{topic}:refs/heads/topic", f"{g.pick(topic, g.picks[1])}:{BRANCH}"]


@case("tag-not-on-branch")
def tag_without_its_branch(g: Guarded) -> Specs:
    return [f"{g.tag}:{TAG}"]


@case("branch-refused")
def tag_with_a_bad_branch(g: Guarded) -> Specs:
    bad = g.commit(g.tree(g.head, "extra.py", "x\n"), g.picks[1], like=g.head)
    return [f"{bad}:{BRANCH}", f"{g.tagged('v2.7.1', bad)}:{TAG}"]


# ------------------------------------------------------------------ refs


@case("not-linear")
def force_push(g: Guarded) -> Specs:
    return [f"+{g.commit('main^{tree}', 'main', message='fix: x')}:{BRANCH}"]


@case("branch-deleted")
def delete_branch(g: Guarded) -> Specs:
    return [f":{BRANCH}"]


@case("tag-moved")
def move_tag(g: Guarded) -> Specs:
    return [f"+{g.tagged('v2.7.0', g.other)}:refs/tags/v2.7.0"]


@case("tag-deleted")
def delete_tag(g: Guarded) -> Specs:
    return [":refs/tags/v2.7.0"]


def both(g: Guarded, tag: str, name: str = "v2.7.1") -> Specs:
    return [f"{g.head}:{BRANCH}", f"{tag}:refs/tags/{name}"]


@case("lightweight-tag")
def lightweight_tag(g: Guarded) -> Specs:
    return both(g, g.head)


@case("malformed-tag")
def tag_of_a_tree(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.clone.rev(f"{g.head}^{{tree}}"), kind="tree"))


@case("malformed-tag")
def tag_of_a_tag(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.tag, kind="tag"))


@case("malformed-tag")
def tag_object_of_another_name(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.5", g.head))


@case("tag-differs")
def tag_with_a_forged_list(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.head, message=f"v2.7.1\n\nPick: clean {g.other} {g.head}\n"))


@case("tag-of-another-commit")
def tag_of_another_commit(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.picks[1]))


@case("tag-of-another-commit")
def tag_that_is_not_monotonic(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.9", g.head), "v2.7.9")


@case("version-malformed")
def tag_in_capitals(g: Guarded) -> Specs:
    return both(g, g.tagged("V2.7.1", g.head), "V2.7.1")


@case("tag-of-another-commit")
def tag_without_prefix(g: Guarded) -> Specs:
    return both(g, g.tagged("2.7.1", g.head), "2.7.1")


@case("version-malformed")
def tag_below_a_version(g: Guarded) -> Specs:
    return [f"{g.tag}:refs/tags/v2.7.1/x"]


@case("branch-not-declared")
def release_branch_from_nowhere(g: Guarded) -> Specs:
    return [f"{g.other}:refs/heads/release/v9.9"]


@case("branch-not-declared")
def release_branch_in_capitals(g: Guarded) -> Specs:
    return [f"{g.other}:refs/heads/Release/v2.7"]


@case("wrong-case")
def heads_in_capitals(g: Guarded) -> Specs:
    return [f"{g.other}:refs/Heads/release/v2.7"]


@case("replace-ref")
def replace_ref(g: Guarded) -> Specs:
    return [f"{g.other}:refs/replace/{g.base}"]


@case("record-differs")
def record_without_its_tag(g: Guarded) -> Specs:
    return [f"{record(g)}:refs/release-records/v2.7.1"]


@case("bad-record")
def record_that_is_a_commit(g: Guarded) -> Specs:
    return [f"{g.other}:refs/release-records/v2.7.1"]


@case("not-fast-forward")
def rewritten_main(g: Guarded) -> Specs:
    return [f"+{g.base}:refs/heads/main"]


@case("version-goes-back")
def version_below_the_first(g: Guarded) -> Specs:
    return [f"{g.tagged('v2.7.0-rc.1', g.base, message='rc')}:refs/tags/v2.7.0-rc.1"]


@case("not-the-release-commit")
def record_of_a_cut_in_another_order(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.head).split("\n")
    return branch(g.commit(f"{g.head}^{{tree}}", g.picks[1], message="\n".join([*text[:2], *reversed(text[2:])])))


@case("too-many-commits")
def huge_push(g: Guarded) -> Specs:
    first = f"commit refs/huge\ncommitter M <m@x> 1750000000 +0000\ndata 2\nx\nfrom {g.base}\n\n"
    more = "commit refs/huge\ncommitter M <m@x> 1750000000 +0000\ndata 2\nx\n\n"
    g.clone.git("fast-import", "--quiet", "--force", stdin=first + more * 2000)
    return branch("refs/huge")


# ------------------------------------------------------------------ names


@case("name-of-a-version")
def branch_named_like_a_version(g: Guarded) -> Specs:
    """`git clone -b v2.7.0` takes a branch before a tag."""
    return [f"{g.other}:refs/heads/v2.7.0"]


@case("name-of-a-branch")
def tag_named_like_a_release_branch(g: Guarded) -> Specs:
    """`git rev-parse release/v2.7` takes a tag before a branch."""
    return [f"{g.other}:refs/tags/release/v2.7"]


@case("name-of-a-branch")
def tag_named_like_the_protected_branch(g: Guarded) -> Specs:
    return [f"{g.other}:refs/tags/main"]


@case("branch-not-declared")
def release_branch_below_the_declared_one(g: Guarded) -> Specs:
    return [f"{g.base}:refs/heads/release/v2.7.0/x"]


@case("branch-not-declared")
def release_branch_in_another_script(g: Guarded) -> Specs:
    return [f"{g.other}:refs/heads/relea\u017fe/v2.7"]


@case("bad-notes")
def notes_that_are_a_blob(g: Guarded) -> Specs:
    return [f"{record(g)}:refs/notes/release"]


@case("bad-notes")
def notes_in_the_way_of_the_notes(g: Guarded) -> Specs:
    return [f"{g.other}:refs/notes/release/x"]


# ------------------------------------------------------------------ records and yanks


def landed(g: Guarded, blob: str, ref: str) -> Specs:
    """A blob beside the branch and the tag that it tells of."""
    return [f"{g.head}:{BRANCH}", f"{g.tag}:{TAG}", f"{blob}:{ref}"]


@case("record-differs")
def record_with_another_tree(g: Guarded) -> Specs:
    return landed(g, record(g, tree="0" * 40), "refs/release-records/v2.7.1")


@case("record-differs")
def record_with_other_picks(g: Guarded) -> Specs:
    return landed(g, record(g, picks=[records.pick(g.other, g.head)]), "refs/release-records/v2.7.1")


@case("record-differs")
def record_with_its_picks_in_another_order(g: Guarded) -> Specs:
    picks = [records.pick(*pair) for pair in zip(g.fixes, g.picks, strict=True)]
    return landed(g, record(g, picks=picks[::-1]), "refs/release-records/v2.7.1")


@case("record-differs")
def record_with_less_picks(g: Guarded) -> Specs:
    return landed(g, record(g, picks=[records.pick(g.fixes[0], g.picks[0])]), "refs/release-records/v2.7.1")


@case("bad-record")
def record_without_its_picks(g: Guarded) -> Specs:
    return landed(g, record(g, "picks"), "refs/release-records/v2.7.1")


@case("bad-record")
def record_whose_picks_are_null(g: Guarded) -> Specs:
    return landed(g, record(g, picks=None), "refs/release-records/v2.7.1")


@case("bad-record")
def record_whose_picks_are_a_number(g: Guarded) -> Specs:
    return landed(g, record(g, picks=7), "refs/release-records/v2.7.1")


@case("bad-record")
def record_whose_picks_are_an_object(g: Guarded) -> Specs:
    return landed(g, record(g, picks={}), "refs/release-records/v2.7.1")


@case("record-differs")
def record_of_another_release_yaml(g: Guarded) -> Specs:
    config = {"path": "release.yaml", "sha256": "0" * 64}
    return landed(g, record(g, config=config), "refs/release-records/v2.7.1")


@case("record-differs")
def record_of_a_promotion_that_never_was(g: Guarded) -> Specs:
    origin = {"version": "v2.7.1-rc.1", "tag": g.tag, "record": g.tag, "version_inside": "v2.7.1-rc.1"}
    return landed(g, record(g, promoted_from=origin), "refs/release-records/v2.7.1")


@case("record-differs")
def record_of_an_image_that_nobody_declared(g: Guarded) -> Specs:
    image = records.image(reference="registry.example.com/evil:v2.7.1")
    return landed(g, record(g, images=[image]), "refs/release-records/v2.7.1")


@case("bad-record")
def record_that_nests_without_end(g: Guarded) -> Specs:
    return landed(g, blob(g, "[" * 100_000), "refs/release-records/v2.7.1")


# ------------------------------------------------------------------ sources


SOURCES = "refs/release-sources/v2.7.1"
_KEPT = "sources of v2.7.1\n\nKept so that the release can be proved when their branches are gone.\n"


def kept(g: Guarded, *parents: str, tree: str = "", message: str = _KEPT) -> str:
    """A commit that keeps these; with author, committer and dates as the tool has them."""
    form = g.clone.git("show", "-s", "--format=%an%n%ae%n%ct +0000", g.head).split("\n")
    env = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in
           zip(("NAME", "EMAIL", "DATE"), form, strict=True)}  # fmt: skip
    clone = Repo(g.clone.path, g.clone.minutes, env)
    empty = clone.git("mktree", stdin="")
    args = [part for parent in parents for part in ("-p", parent)]
    return clone.git("commit-tree", tree or empty, *args, "-F", "-", stdin=message)


@case("sources-differ")
def sources_before_the_tag(g: Guarded) -> Specs:
    return [f"{kept(g, *g.fixes)}:{SOURCES}"]


@case("sources-differ")
def sources_with_another_history(g: Guarded) -> Specs:
    return landed(g, kept(g, *g.fixes, g.other), SOURCES)


@case("sources-differ")
def sources_that_lack_one(g: Guarded) -> Specs:
    return landed(g, kept(g, g.fixes[0]), SOURCES)


@case("sources-differ")
def sources_with_files(g: Guarded) -> Specs:
    return landed(g, kept(g, *g.fixes, tree=f"{g.other}^{{tree}}"), SOURCES)


@case("sources-differ")
def sources_with_words(g: Guarded) -> Specs:
    return landed(g, kept(g, *g.fixes, message="sources of v2.7.1\n"), SOURCES)


@case("sources-differ")
def sources_of_a_version_that_no_release_made(g: Guarded) -> Specs:
    return [f"{kept(g, *g.fixes)}:refs/release-sources/v2.7.0"]


@case("bad-sources")
def sources_that_are_a_blob(g: Guarded) -> Specs:
    return landed(g, record(g), SOURCES)


@case("wrong-case")
def sources_in_capitals(g: Guarded) -> Specs:
    return [f"{g.other}:refs/Release-Sources/v2.7.1"]


def yank(g: Guarded, of: str = "v2.7.0", **changes: object) -> Specs:
    data = {"schema_version": 1, "version": of, "reason": "it leaks", "by": "Mia <mia@example.com>",
            "at": "2026-11-24T12:00:00Z", "commit": g.base, "back_to": "", "digests": [], "moves": [],
            "left": []}  # fmt: skip
    return [f"{blob(g, json.dumps(data | changes))}:refs/release-yanks/{of}"]


@case("yank-differs")
def yank_of_a_version_to_come(g: Guarded) -> Specs:
    return yank(g, "v2.7.9")


@case("yank-differs")
def yank_of_another_commit(g: Guarded) -> Specs:
    return yank(g, commit=g.other)


@case("bad-yank")
def yank_that_names_another_version(g: Guarded) -> Specs:
    return yank(g, version="v2.6.0")


@case("yank-differs")
def yank_back_to_a_version_that_is_not_there(g: Guarded) -> Specs:
    return yank(g, back_to="v9.9.9")


@case("yank-differs")
def yank_of_digests_that_no_record_has(g: Guarded) -> Specs:
    return yank(g, digests=[f"sha256:{'0' * 64}"])


@case("bad-yank")
def yank_that_says_nothing(g: Guarded) -> Specs:
    return [f"{blob(g, 'gone')}:refs/release-yanks/v2.7.0"]


@case("bad-yank")
def yank_without_a_reason(g: Guarded) -> Specs:
    return yank(g, reason=" ")


@case("bad-yank")
def yank_that_nests_without_end(g: Guarded) -> Specs:
    return [f"{blob(g, '[' * 100_000)}:refs/release-yanks/v2.7.0"]


@case("yank-differs")
def yank_in_the_way_of_a_yank(g: Guarded) -> Specs:
    return [yank(g)[0] + "/x"]
