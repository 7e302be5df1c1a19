"""The rules of the house that ruff and mypy do not know, as functions from one parsed file to its faults.

Each rule is tested on planted snippets in `test_house.py`, and run there over the real files.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 350
RUNTIME_LINES_MAX = 250  # above it the core has leaked into the shell
FUNCTION_LINES_MAX = 60


def words(text: str) -> frozenset[str]:
    """Make a set of the words of a text."""
    return frozenset(text.split())


CLOCK = words("""time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
    time.sleep time.clock_gettime asyncio.sleep datetime.datetime.now datetime.datetime.utcnow datetime.date.today""")
CHANCE = words("random")
FILES = words("open io.open os.open os.fdopen .read_text .read_bytes .write_text .write_bytes")
SOCKETS = words("""socket.socket _socket.socket socket.create_connection socket.create_server socket.getaddrinfo
    select.epoll select.poll asyncio.open_connection asyncio.start_server .create_connection .create_server .add_reader
    .add_writer""")
PROCESSES = words("""subprocess multiprocessing os.kill os.killpg os.fork os.system os.popen os.posix_spawn os.execv
    os.execve os.pidfd_open signal.pidfd_send_signal asyncio.create_subprocess_exec asyncio.create_subprocess_shell""")
TASKS = words("asyncio.create_task asyncio.ensure_future .create_task")
NEVER = words("asyncio.wait_for eval exec compile pickle marshal shelve unittest.mock mock")
BANNED = CLOCK | CHANCE | FILES | SOCKETS | PROCESSES | TASKS | NEVER

# Where a ban does not hold, and why. The longest matching path counts; everything else obeys BANNED whole.
ALLOWED: dict[str, tuple[frozenset[str], str]] = {
    "probe/environment/": (CLOCK | CHANCE | FILES | SOCKETS | PROCESSES, "these are the real outside"),
    "probe/runtime/loop.py": (words(".create_task"), "the one TaskGroup"),
    "probe/cli/prober.py": (words(".create_task"), "a worker's one TaskGroup"),
    "probe/api/server.py": (words(".create_server"), "HTTP is served outside virtual time"),
    "probe/api/page/": (words(".read_bytes"), "the page is part of the package"),
    "probe/cli/arguments.py": (words("os.open"), "/dev/null in the place of a closed pipe"),
    "probe/demo/": (FILES | SOCKETS, "the demo's services are programs of their own, which we watch"),
}
BANNED_IN_TESTS = words("asyncio.wait_for unittest.mock mock monkeypatch.setattr eval exec pickle")
BANNED_CLASS_WORDS = {"Manager", "Helper", "Helpers", "Util", "Utils", "Base", "Impl", "Data"}
UNIONS = ("probe.lifecycle.events", "probe.lifecycle.actions")

Fault = tuple[int, str]  # line, what is wrong


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text)

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for: `{"sleep": "asyncio.sleep", "dt": "datetime"}`."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    full = alias.name if alias.asname else alias.name.partition(".")[0]
                    found[alias.asname or full] = full
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return found

    def dotted(self, node: ast.AST) -> str:
        """Spell a name or attribute out through the imports; an attribute of something else is `.name`."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and (root.id in self.names or root.id == "monkeypatch"):
                return f"{self.dotted(node.value)}.{node.attr}"
            return f".{node.attr}"
        return ""

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """The comments, each with its line."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


Rule = Callable[[Source], Iterator[Fault]]


def allowed_at(path: str) -> frozenset[str]:
    """What BANNED names may be used in a file."""
    places = [place for place in ALLOWED if path.startswith(place)]
    return ALLOWED[max(places, key=len)][0] if places else frozenset()


def find_banned(source: Source, banned: frozenset[str]) -> Iterator[Fault]:
    """Find uses and imports of banned names (or of what is inside them), under whatever name they were imported."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, (ast.Name, ast.Attribute)):
            names = [source.dotted(node)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            hits = banned & {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
            if hits:
                yield node.lineno, f"uses {min(hits, key=len).lstrip('.')}"


def bans(source: Source) -> Iterator[Fault]:
    """Time, chance, files, sockets, processes and tasks come from the environment or the runtime only."""
    yield from find_banned(source, BANNED - allowed_at(source.path))


def bans_in_tests(source: Source) -> Iterator[Fault]:
    """No patching: fakes are implementations of our Protocols; and what is banned everywhere."""
    yield from find_banned(source, BANNED_IN_TESTS)


def opened_files(source: Source) -> Iterator[Fault]:
    """A file opened by a method: `path.open("rb")`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "open":
            mode = node.args[0] if node.args else None
            text = mode.value if isinstance(mode, ast.Constant) else None
            if isinstance(text, str) and set(text) <= set("rwaxbt+") and "open" not in allowed_at(source.path):
                yield node.lineno, "opens a file"


def shells(source: Source) -> Iterator[Fault]:
    """No program is ever started by a shell."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.keyword) and node.arg == "shell" and not is_constant(node.value, False):
            yield node.value.lineno, "shell=True"


def is_constant(node: ast.AST, value: object) -> bool:
    """Whether the expression is that very constant."""
    return isinstance(node, ast.Constant) and node.value is value


def lengths(source: Source) -> Iterator[Fault]:
    """A file that wants more lines wants a second room; so does a function."""
    lines = source.text.count("\n")
    limit = RUNTIME_LINES_MAX if source.path.startswith("probe/runtime") else FILE_LINES_MAX
    if lines > limit:
        yield lines, f"{lines} lines, more than {limit}"
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {length} lines, more than {FUNCTION_LINES_MAX}"


def class_names(source: Source) -> Iterator[Fault]:
    """A class is named after a thing of the problem."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            words = set(re.findall(r"[A-Z][a-z0-9]*", node.name)) & BANNED_CLASS_WORDS
            if words:
                yield node.lineno, f"class {node.name}: {', '.join(sorted(words))} says nothing"


def public_docstrings(source: Source) -> Iterator[Fault]:
    """Every public module, class and function says what it is for (a method may rely on the Protocol it fulfils)."""
    if len(source.tree.body) > 1 and not ast.get_docstring(source.tree):
        yield 1, "the module has no docstring"
    for node in source.tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"


def closed_matches(source: Source) -> Iterator[Fault]:
    """A match on events or actions ends with `assert_never`, so that a new one cannot be forgotten."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Match) and any(_is_of_union(source, case.pattern) for case in node.cases):
            last = node.cases[-1]
            calls = [one for one in ast.walk(last) if isinstance(one, ast.Call)]
            closed = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
            if not (closed and any(source.dotted(one.func).endswith("assert_never") for one in calls)):
                yield node.lineno, "the match does not end with assert_never"


def _is_of_union(source: Source, pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return any(_is_of_union(source, one) for one in pattern.patterns)
    return isinstance(pattern, ast.MatchClass) and source.dotted(pattern.cls).startswith(UNIONS)


def unfinished(source: Source) -> Iterator[Fault]:
    """Nothing is left for later in a comment."""
    for line, text in source.comments:
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text):
            yield line, "is unfinished"


def reasons_of_ignores(source: Source) -> Iterator[Fault]:
    """Every ignore says why."""
    codes = r"(?:\[[\w, -]+\]|:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)?"
    for line, text in source.comments:
        for kind, rest in re.findall(rf"#\s*(noqa|type:\s*ignore){codes}(.*)", text):
            if not re.search(r"\w{2,}", rest):
                yield line, f"{kind} without a reason"


def sentences_of_tests(source: Source) -> Iterator[Fault]:
    """Every test says in one line what behaviour it holds the program to."""
    for node in ast.walk(source.tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.name.startswith("test_"):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"


def reasons_of_skips(source: Source) -> Iterator[Fault]:
    """A skipped or expected failure says why."""
    marks = {"pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = source.dotted(node.func)
            bare = name in {"pytest.skip", "pytest.xfail"} and not (node.args or node.keywords)
            if bare or (name in marks and "reason" not in {keyword.arg for keyword in node.keywords}):
                yield node.lineno, f"{name} without a reason"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for one in node.decorator_list:
                if source.dotted(one) in marks:
                    yield one.lineno, f"{source.dotted(one)} without a reason"


PROGRAM_RULES: tuple[Rule, ...] = (
    bans, opened_files, shells, lengths, class_names, public_docstrings, closed_matches, unfinished, reasons_of_ignores,
)  # fmt: skip
TEST_RULES: tuple[Rule, ...] = (
    bans_in_tests, shells, sentences_of_tests, reasons_of_skips, unfinished, reasons_of_ignores,
)  # fmt: skip


def faults_of(source: Source, rules: tuple[Rule, ...]) -> list[str]:
    """Apply rules to a file; each fault as `path:line: what`."""
    return [f"{source.path}:{line}: {what}" for rule in rules for line, what in rule(source)]


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Read every Python file below some folders of the project."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)
