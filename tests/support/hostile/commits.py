"""Hostile pushes to a release branch: commits that are no declared picks, release commits that nobody would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import guarded as making
from tests.support.guarded import YAML
from tests.support.hostile.table import Specs, branch, case

if TYPE_CHECKING:
    from tests.support.guarded import Guarded

# ------------------------------------------------------------------ commits


@case("foreign")
def foreign_commit(g: Guarded) -> Specs:
    return branch(g.commit(g.tree(g.base, "x.py", "x\n"), g.base, message="fix: x\n"))


@case("undeclared")
def undeclared_source(g: Guarded) -> Specs:
    return branch(g.pick(g.other, g.base))


@case("not-the-pick")
def forged_trailer(g: Guarded) -> Specs:
    tree = g.tree(g.base, "x.py", "x\n")
    return branch(g.commit(tree, g.base, like=g.picks[0]))


@case("not-the-pick")
def amended_pick_tree(g: Guarded) -> Specs:
    return branch(g.commit(g.tree(g.picks[0], "extra.py", "x\n"), g.base, like=g.picks[0]))


@case("not-the-pick")
def amended_pick_message(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.picks[0]).replace("They leaked.", "They leaked; reviewed by all.")
    return branch(g.commit(f"{g.picks[0]}^{{tree}}", g.base, like=g.picks[0], message=text))


@case("not-the-pick")
def stolen_author(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.picks[0])
    return branch(
        g.clone.git("commit-tree", f"{g.picks[0]}^{{tree}}", "-p", g.base, "-F", "-", stdin=text).split()[:1][0]
    )


@case("duplicate")
def picked_twice(g: Guarded) -> Specs:
    again = g.commit(f"{g.picks[1]}^{{tree}}", g.picks[1], like=g.picks[0])
    return branch(again)


@case("foreign")
def reverted_fix(g: Guarded) -> Specs:
    text = f'Revert "fix(loader): close the workers"\n\nThis reverts commit {g.picks[0]}.\n'
    return branch(g.commit(f"{g.base}^{{tree}}", g.picks[0], message=text))


@case("out-of-order")
def dropped_pick(g: Guarded) -> Specs:
    return branch(g.pick(g.fixes[1], g.base))


@case("pick-missing")
def release_commit_without_the_last_pick(g: Guarded) -> Specs:
    return branch(g.commit(f"{g.picks[0]}^{{tree}}", g.picks[0], like=g.head))


@case("out-of-order")
def reordered_picks(g: Guarded) -> Specs:
    return branch(g.pick(g.fixes[0], g.pick(g.fixes[1], g.base)))


@case("foreign")
def empty_commit(g: Guarded) -> Specs:
    return branch(g.commit(f"{g.base}^{{tree}}", g.base, message="fix: nothing\n"))


@case("not-linear")
def merge_that_brings_in_main(g: Guarded) -> Specs:
    return branch(g.commit("main^{tree}", g.base, "main", message="Merge main\n"))


@case("not-linear")
def evil_merge(g: Guarded) -> Specs:
    return branch(g.commit(g.tree(g.picks[1], "evil.py", "x\n"), g.picks[1], g.picks[0], message="Merge\n"))


@case("not-linear")
def octopus(g: Guarded) -> Specs:
    return branch(g.commit("main^{tree}", g.base, "main", g.other, message="Merge all\n"))


@case("not-linear")
def history_with_another_root(g: Guarded) -> Specs:
    return ["+" + branch(g.commit(f"{g.base}^{{tree}}", message="fix: begin anew\n"))[0]]


@case("malformed-commit")
def crafted_date(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    line = next(each for each in text.split("\n") if each.startswith("committer "))
    return branch(raw(g, text.replace(line, "committer Mia <mia@example.com> 4102444800 +0000")))


@case("malformed-commit")
def crafted_encoding(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\n\n", "\nencoding UTF-7\n\n", 1)))


@case("malformed-commit")
def hidden_header(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\n\n", "\nHG:extra payload\n\n", 1)))


@case("malformed-commit")
def second_tree_header(g: Guarded) -> Specs:
    """git takes the first, and whoever takes the last sees the very pick."""
    evil = g.tree(g.picks[0], "evil.py", "x\n")
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    good = text.split("\n")[0]
    return branch(raw(g, text.replace(good, f"tree {evil}", 1).replace("\n\n", f"\n{good}\n\n", 1)))


@case("malformed-commit")
def second_author_header(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\nauthor ", "\nauthor Eve <eve@example.com> 1750000000 +0000\nauthor ", 1)))


@case("malformed-commit")
def parent_after_the_committer(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\n\n", f"\nparent {g.other}\n\n", 1)))


@case("malformed-commit")
def continued_committer(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\n\n", "\n and more\n\n", 1)))


@case("config-differs")
def release_yaml_that_nests_without_end(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "release.yaml", "a: " + "[" * 100_000 + "\n"))


def raw(g: Guarded, text: str) -> str:
    return g.clone.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text)


@case("not-the-pick")
def gitlink_in_a_pick(g: Guarded) -> Specs:
    tree = g.tree(g.picks[0], "vendor", g.base, mode="160000")
    return branch(g.commit(tree, g.base, like=g.picks[0]))


@case("not-the-pick")
def merge_driver_in_gitattributes(g: Guarded) -> Specs:
    tree = g.tree(g.picks[0], ".gitattributes", "* merge=ours\n")
    return branch(g.commit(tree, g.base, like=g.picks[0]))


# ------------------------------------------------------------------ release commits


def released(g: Guarded, tree: str) -> Specs:
    return branch(g.commit(tree, g.picks[1], like=g.head))


@case("not-the-release-commit")
def extra_file_in_the_release_commit(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "extra.py", "x\n"))


@case("not-the-release-commit")
def symlink_in_the_release_commit(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "CHANGELOG.md", "/etc/passwd", mode="120000"))


@case("not-the-release-commit")
def gitlink_in_the_release_commit(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "vendor", g.base, mode="160000"))


@case("not-the-release-commit")
def other_changelog(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "CHANGELOG.md", "# Changelog\n"))


@case("undeclared")
def own_declaration(g: Guarded) -> Specs:
    pick = g.pick(g.other, g.picks[1])
    tree = g.tree(pick, "release.yaml", YAML + "".join(f"      - commit: {s}\n" for s in (*g.fixes, g.other)))
    return branch(g.commit(tree, pick, like=g.head))


@case("config-differs")
def own_softer_rules(g: Guarded) -> Specs:
    text = g.clone.git("show", f"{g.head}:release.yaml") + "\nchangelog: NEWS.md\n"
    return released(g, g.tree(g.head, "release.yaml", text))


@case("config-differs")
def broken_release_yaml(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "release.yaml", "version: [\n"))


@case("not-declared")
def version_that_nobody_declared(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.head).replace("v2.7.1", "v2.7.9")
    return branch(g.commit(f"{g.head}^{{tree}}", g.picks[1], message=text))
