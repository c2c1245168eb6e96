"""Honest bundles hold; each broken rule is found and named; no tampering is accepted."""

from __future__ import annotations

import io
import random
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

import python
from cases import cases
from honest import LOGS
from house import House
from mutations import WAYS, tampered, targets
from primitives import canonical, digest

import cognitionos
from cognitionos import BadInput, Checkpoint, VerifierKey, verify_bundle

MUTATIONS = 600
SOURCE = Path(cognitionos.__file__).parent


class Honest(unittest.TestCase):
    """No false alarms."""

    def test_a_whole_bundle_under_every_key_that_was_in_force(self) -> None:
        house = House.honest(1)
        self.assertEqual(len(house.keys), 3)
        for key in house.keys:
            report = self._holds(house.bundle(), key.line)
            self.assertEqual(report["signer"], house.keys[-1].line)
            self.assertEqual(report["outcomes"], dict.fromkeys(report["outcomes"], 3))
            self.assertEqual((report["sessions_started"], report["sessions_sealed"]), (8, 7))
            self.assertEqual((report["open_receipts"], report["canons"]), (1, 2))
            # One body was erased: the proofs stay.
            self.assertEqual((report["bodies"], report["bodies_absent"]), (len(house.bodies), 2))

    def test_a_bundle_without_bodies(self) -> None:
        house = House.honest(2)
        report = self._holds(house.bundle(bodies=False), house.keys[0].line)
        self.assertEqual((report["bodies"], report["bodies_absent"]), (0, len(house.bodies) + 2))

    def test_a_pruned_bundle(self) -> None:
        house = House.honest(3)
        for key in house.keys:
            report = self._holds(house.bundle(house.kept_from), key.line)
            self.assertGreater(report["not_followed"], 0)

    def test_every_earlier_head(self) -> None:
        house = House.honest(4)
        sizes = range(1, len(house.entries) + 1)
        heads = [house.head(size) for size in sizes]
        # Heads of the past were signed by the keys of the past.
        heads += [house.head(size, house.keys[0]) for size in sizes]
        report = python.verify(house.bundle(), [house.keys[0].line], heads)
        self.assertEqual((report.findings(), report.exit_code), ([], 0))

    def test_logs_of_an_unusual_shape(self) -> None:
        for make in LOGS:
            house, kept_from = make()
            for first in kept_from:
                with self.subTest(make.__name__, first=first):
                    self._holds(house.bundle(first), house.keys[0].line)

    def test_a_hand_over_as_the_last_entry(self) -> None:
        house = House(7)
        house.rotate()
        for key in house.keys:
            self._holds(house.bundle(), key.line)

    def test_a_head_from_before_a_pruning_and_a_hand_over(self) -> None:
        house = House(10)
        house.session()
        kept_from, before = len(house.entries), house.head()
        house.prune(kept_from)
        house.rotate()
        for key in house.keys:
            report = python.verify(house.bundle(kept_from), [key.line], [before])
            self.assertEqual((report.findings(), report.exit_code), ([], 0))

    def test_a_denial_where_there_is_no_canon(self) -> None:
        house = House(8, found=False)
        house.genesis()
        house.deny(house.start())
        self._holds(house.bundle(), house.keys[0].line)

    def test_consent_given_too_late_for_anything(self) -> None:
        house = House(9)
        session = house.start()
        name = house.ask(session, "large", ["user:cfo"], data={"expires": house.time()})
        house.answer(session, name, "large", "user:cfo")
        self._holds(house.bundle(), house.keys[0].line)

    def _holds(self, bundle: bytes, key: str) -> dict[str, Any]:
        report = python.verify(bundle, [key])
        assert report.json is not None
        self.assertEqual((report.json["findings"], report.exit_code), ([], 0))
        return report.json


class BrokenRules(unittest.TestCase):
    """Signed and whole, but wrong."""

    def test_each_broken_rule_is_found_and_named(self) -> None:
        seen = set()
        for case in cases():
            with self.subTest(case.name):
                report = python.verify(case.bundle, case.keys, case.against)
                codes = [code for code, _ in report.findings()]
                self.assertEqual((codes, report.exit_code), (case.codes, 1))
                seen.update(codes)
        print(f"broken rules: {len(cases())} bundles, {len(seen)} codes")
        text = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
        missing = {code for code in seen if f'"{code}"' not in text}
        self.assertEqual(missing, set())

    def test_findings_are_kept_within_bounds(self) -> None:
        house = House(9)
        session = house.start()
        for _ in range(1_100):
            house.deny(session, canon=digest("other"))
        verified = verify_bundle(
            io.BytesIO(house.bundle()), [VerifierKey.parse(house.keys[0].line)]
        )
        self.assertEqual((len(verified.findings), verified.findings_total), (1_000, 1_101))

    def test_what_a_later_release_made_is_not_called_wrong(self) -> None:
        house = House(11)
        house.start()
        bundle = house.bundle()
        trusted = [VerifierKey.parse(house.keys[0].line)]
        for old, new, code in (
            (b'"kind":"session.started"', b'"kind":"session.moved"', "bundle.newer"),
            (b'"v":1}', b'"v":2}', "bundle.newer"),
            (b'"kind":"session.started"', b'"kind":"Session?"', "bundle.line"),
            (b'"v":1}', b'"v":0}', "bundle.line"),
        ):
            with self.subTest(new):
                assert old in bundle
                verified = verify_bundle(io.BytesIO(bundle.replace(old, new, 1)), trusted)
                self.assertEqual(verified.findings[0].code, code)
        later = bundle.replace(b"cognitionos-bundle/v1", b"cognitionos-bundle/v2", 1)
        with self.assertRaisesRegex(BadInput, "it is too old for it"):
            verify_bundle(io.BytesIO(later), trusted)

    def test_what_is_no_bundle(self) -> None:
        manifest = House(10).bundle().split(b"\n")[0]
        for start in (
            b"",
            b"\n",
            b"{}\n",
            b'{"bundle":"cognitionos-bundle/v2"}\n',
            b"# readme\n",
            b"\xff\n",
            manifest,
            manifest.replace(b'"from":0', b'"from":1') + b"\n",
            manifest.replace(b'"from":0', b'"from":00') + b"\n",
            manifest.replace(b'"size"', b'"sizes"') + b"\n",
            manifest.replace(b'"origin"', b'"left_out":null,"origin"') + b"\n",
            canonical([1]) + b"\n",
        ):
            with self.subTest(start[:40]), self.assertRaises(BadInput):
                verify_bundle(io.BytesIO(start), [])


class Tampering(unittest.TestCase):
    """Random changes, every one of which is found."""

    def test_none_is_accepted(self) -> None:
        whole_and_pruned = [target for seed in range(100, 103) for target in targets(seed)]
        for target in whole_and_pruned:
            report = python.verify(target.bundle, [target.key], [target.against])
            self.assertEqual(report.exit_code, 0, "false alarm")
            self.assertEqual(python.verify(target.fork, [target.key]).exit_code, 0)
        ways: Counter[str] = Counter()
        for seed in range(MUTATIONS):
            chance = random.Random(seed)
            target = chance.choice(whole_and_pruned)
            change = tampered(target, chance)
            against = [target.against] if change.is_compared else []
            report = python.verify(change.bundle, [target.key], against)
            self.assertNotEqual(report.exit_code, 0, f"not found: {change.way}, seed {seed}")
            ways[change.way] += 1
        self.assertEqual(len(ways), len(WAYS))
        print(f"tampering: {ways.total()} changes in {len(ways)} ways, all found")

    def test_the_same_log_with_another_end_is_found_by_its_head(self) -> None:
        house, fork = House.honest(11), House.honest(11, "another")
        trusted = [VerifierKey.parse(house.keys[-1].line)]
        heads = [
            Checkpoint.parse(house.head(size)) for size in (house.kept_from, len(house.entries))
        ]
        verified = verify_bundle(io.BytesIO(fork.bundle()), trusted, heads)
        self.assertEqual(verified.codes(), ["against.split"])


if __name__ == "__main__":
    unittest.main()
