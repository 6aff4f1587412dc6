"""The variables of options: one rule, one meaning each, and what becomes of the names that they had before."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.cli.options.variables import NOT_READ, PREFIX, STILL_READ, earlier, spelling
from tests.support.cli import release
from tests.support.story import fix_line
from tools.clidoc import every_command, group

if TYPE_CHECKING:
    from tests.support.story import Story

# One wish, though each command says in its own words what comes of it.
ONE_WISH = {"--all", "--data", "--dry-run", "--effort", "--platform", "--provider", "--repository", "--url"}
LOGIN = {"--registry-username", "--password-stdin"}
OPTIONS = [("", each) for each in group().params] + [
    (name, each) for name, command in every_command() for each in command.params if each.param_type_name == "option"
]


def test_a_variable_is_called_as_its_option_and_means_one_thing() -> None:
    meanings = defaultdict(set)
    for command, each in OPTIONS:
        name = spelling(each)
        if each.envvar and name not in LOGIN:
            word = (name.lstrip("-") if name.startswith("--") else each.metavar).replace("-", "_").upper()
            of_command = command.replace(" ", "_").upper()
            assert each.envvar in (PREFIX + word, f"{PREFIX}{of_command}_{word}"), (command, name)
            meanings[each.envvar, name].add(each.help)
    assert {name for (_, name), texts in meanings.items() if len(texts) > 1} == ONE_WISH
    assert len({variable for variable, _ in meanings}) == len(meanings), "one variable of two options"


def test_each_earlier_name_is_that_of_an_option() -> None:
    """And no option is read by a name that hooks or builds receive."""
    assert {earlier(each.envvar) for _, each in OPTIONS if each.envvar} >= STILL_READ | NOT_READ
    assert not STILL_READ & NOT_READ


def test_the_present_name_is_read_then_the_earlier(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    here = tale.clone.path
    assert release("check", cwd=here, env={"RELEASE_CLI_JSON": "1"}).json["valid"]
    assert release("check", cwd=here, env={"RELEASE_JSON": "yes"}).json["valid"]
    assert release("check", cwd=here, env={"RELEASE_JSON": "1", "RELEASE_CLI_JSON": "0"}).out.endswith("declared\n")
    wrong = release("plan", cwd=here, env={"RELEASE_EFFORT": "much"})
    assert (wrong.code, "env var: 'RELEASE_EFFORT'" in wrong.err) == (2, True)
    assert release("plan", cwd=here, env={"RELEASE_EFFORT": "much", "RELEASE_CLI_EFFORT": "0"}).code == 0
    lacking = release("plan", "--no-such", cwd=here, env={"RELEASE_JSON": "0"})
    assert (lacking.code, lacking.out) == (2, "")


def test_what_ci_has_for_itself_is_not_read_and_that_is_said(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    here = tale.clone.path
    env = {"RELEASE_TYPE": "patch", "RELEASE_DIR": "dist", "RELEASE_OUT": "plan.txt"}
    plain = release("candidates", "--effort", "0", cwd=here)
    ran = release("candidates", "--effort", "0", cwd=here, env=env)
    notes = [
        "note: RELEASE_TYPE is not read; the variable of --type is RELEASE_CLI_TYPE",
        "note: RELEASE_DIR is not read; the variable of -C is RELEASE_CLI_DIR",
    ]
    assert (ran.code, ran.out, ran.err.splitlines()) == (plain.code, plain.out, [*notes, *plain.err.splitlines()])
    assert release("candidates", "-q", "--effort", "0", cwd=here, env=env).err == ""
    assert release(cwd=here, env=env).err == f"{notes[1]}\n"
    # who says what is meant is told nothing
    said = release("-C", ".", "candidates", "--type", "fix", "--effort", "0", cwd=here, env=env)
    assert "is not read" not in said.err
    ours = env | {"RELEASE_CLI_TYPE": "fix", "RELEASE_CLI_DIR": str(here)}
    assert "is not read" not in release("candidates", "--effort", "0", cwd=here.parent, env=ours).err
