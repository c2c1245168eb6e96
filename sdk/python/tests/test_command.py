"""The command: exit codes, key files, comparisons, and what it prints."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from house import House

from cognitionos.verify import main


class Command(unittest.TestCase):
    """`python -m cognitionos.verify`."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.house = House(1)
        self.house.session()
        self.bundle = self._file("a.cogbundle", self.house.bundle())
        self.key = self.house.keys[0].line

    def test_whoever_closes_the_pipe_leaves_the_verdict_as_it_is(self) -> None:
        arguments = [self.bundle, "--key", self.key, "--json"]
        source = str(Path(__file__).parent.parent / "src")
        with subprocess.Popen(
            [sys.executable, "-m", "cognitionos.verify", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        ) as command:
            assert command.stdout is not None and command.stderr is not None
            command.stdout.close()
            self.assertEqual(command.stderr.read(), b"")
            self.assertEqual(command.wait(), 0)

    def test_exit_codes(self) -> None:
        stranger = House(2).keys[0].line
        missing = str(self.folder / "missing")
        pipe = str(self.folder / "pipe")
        os.mkfifo(pipe)
        no_keys = self._file("empty.key", b"# nobody\n\n")
        bad_keys = self._file("bad.key", b"nobody\n")
        binary = self._file("binary.key", b"\xff\xfe")
        for expected, arguments in (
            (0, [self.bundle, "--key", self.key]),
            (0, [self.bundle, "--key", stranger, "--key", self.key]),
            (1, [self.bundle, "--key", stranger]),
            (2, [missing, "--key", self.key]),
            (2, [pipe, "--key", self.key]),
            (2, [str(self.folder), "--key", self.key]),
            (2, ["/dev/zero", "--key", self.key]),
            (2, [self.bundle, "--key", pipe]),
            (2, [bad_keys, "--key", self.key]),
            (2, [self.bundle, "--key", "nobody+00000000+AAAA"]),
            (2, [self.bundle, "--key", missing]),
            (2, [self.bundle, "--key", no_keys]),
            (2, [self.bundle, "--key", bad_keys]),
            (2, [self.bundle, "--key", binary]),
            (2, [self.bundle, "--key", self.key, "--against", missing]),
            (2, [self.bundle, "--key", self.key, "--against", bad_keys]),
            (2, [self.bundle, "--key", self.key, "--against", pipe]),
        ):
            with self.subTest(arguments):
                self.assertEqual(self._run(*arguments)[0], expected)
        for usage in ([], [self.bundle], [self.bundle, "--unknown"]):
            with self.assertRaises(SystemExit) as ended:
                self._run(*usage)
            self.assertEqual(ended.exception.code, 2)

    def test_a_key_file(self) -> None:
        keys = self._file("log.key", f"# the log\n\n{self.key}\n".encode())
        self.assertEqual(self._run(self.bundle, "--key", keys)[0], 0)

    def test_what_looks_like_a_comment_is_one(self) -> None:
        for end in ("\u2028", "\x0b", "\x0c", "\x85", "\x1c", "\r"):
            with self.subTest(end):
                keys = self._file("log.key", f"# an old key{end}{self.key}{end}\n".encode())
                self.assertEqual(self._run(self.bundle, "--key", keys)[0], 2)

    def test_json(self) -> None:
        code, text = self._run(self.bundle, "--key", self.key, "--json")
        report = json.loads(text)
        self.assertEqual((code, report["holds"], report["findings"]), (0, True, []))
        self.assertEqual(report["kinds"]["receipt"], 4)
        code, text = self._run(self.bundle, "--key", House(2).keys[0].line, "--json")
        report = json.loads(text)
        self.assertEqual((code, report["holds"], report["findings_total"]), (1, False, 1))
        self.assertEqual(report["findings"][0]["code"], "head.untrusted")

    def test_two_views_of_one_log(self) -> None:
        """The longer one must have grown from the shorter one, whichever is asked about."""
        early_head = self._file("early.txt", self.house.head().encode())
        self.house.session()
        late = self._file("b.cogbundle", self.house.bundle())
        late_head = self._file("late.txt", self.house.head().encode())
        other = House(1)
        other.session()
        other.deny(other.start())
        other.session()
        fork = self._file("c.cogbundle", other.bundle())
        grown = House(1)
        grown.deny(grown.start())
        grown.session()
        split = self._file("d.cogbundle", grown.bundle())
        for expected, found, bundle, against in (
            (0, [], late, self.bundle),
            (0, [], self.bundle, late),
            (0, [], late, early_head),
            (0, [], late, late_head),
            (0, [], fork, self.bundle),
            (1, ["against.shorter"], self.bundle, late_head),
            (1, ["against.split"], late, split),
            (1, ["against.split"], split, late),
            (1, ["against.split"], fork, late),
            (1, ["against.split"], late, fork),
        ):
            with self.subTest(f"{bundle} {against}"):
                arguments = (bundle, "--key", self.key, "--against", against, "--json")
                code, text = self._run(*arguments)
                report = json.loads(text)
                codes = [one["code"] for one in report["findings"]]
                self.assertEqual((code, codes, report["compared"]), (expected, found, 1))

    def test_a_broken_bundle_is_no_measure(self) -> None:
        lines = self.house.bundle().split(b"\n")
        headless = [line for line in lines if not line.startswith(b'{"checkpoint"')]
        odd = [line.replace(b'{"checkpoint":"', b'{"checkpoint":"x\\n') for line in lines]
        for bad in (headless, odd):
            path = self._file("bad.cogbundle", b"\n".join(bad))
            code, _ = self._run(self.bundle, "--key", self.key, "--against", path)
            self.assertEqual(code, 2)

    def test_words(self) -> None:
        code, text = self._run(self.bundle, "--key", self.key)
        self.assertEqual(code, 0)
        self.assertIn("the bundle holds", text)
        house = House(3)
        house.plan(house.start(), "\x1b]0;pwned\x07")
        bundle = self._file("evil.cogbundle", house.bundle())
        code, text = self._run(bundle, "--key", house.keys[0].line)
        self.assertEqual(code, 1)
        self.assertIn("[plan.not_candidate]", text)
        self.assertNotIn("\x1b", text)

    def test_nothing_hostile_reaches_the_terminal(self) -> None:
        hostile = "\x1b[2J\x9b31m\u202e\u200b"
        key = self._file("hostile.key", f"evil{hostile}+00000000+AAAA\n".encode())
        for arguments in ([self.bundle, "--key", key], [str(self.folder / f"no{hostile}"), "--key", key]):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.assertEqual(main(arguments), 2)
            for letter in hostile.replace("[2J", "").replace("31m", ""):
                self.assertNotIn(letter, out.getvalue() + err.getvalue())

    def test_as_a_program(self) -> None:
        command = [sys.executable, "-m", "cognitionos.verify", self.bundle, "--key", self.key]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def _file(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def _run(self, *arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = main(arguments)
        return code, out.getvalue()


if __name__ == "__main__":
    unittest.main()
