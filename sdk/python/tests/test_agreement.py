"""Both verifiers say the same of every bundle: the same verdict and the same findings."""

from __future__ import annotations

import random
import re
import unittest
from collections import Counter
from collections.abc import Sequence

import python
import rust
from cases import cases
from forgeries import forged
from heads import key_lines, notes
from honest import LOGS
from house import House
from mutations import WAYS, tampered, targets

MUTATIONS = 600
FORGERIES = 400


@unittest.skipUnless(rust.program(), "needs cognitionos-verify, or cargo and the source")
class Agreement(unittest.TestCase):
    """Two programs that share no code, one verdict."""

    def test_honest_bundles(self) -> None:
        for seed in range(200, 205):
            house = House.honest(seed)
            for bundle in (
                house.bundle(),
                house.bundle(bodies=False),
                house.bundle(house.kept_from),
            ):
                for key in (house.keys[1].line, house.keys[2].line):
                    ours, theirs = self._same(bundle, [key], [house.head()])
                    self.assertEqual((ours.exit_code, ours.json), (0, theirs.json))
        for make in LOGS:
            house, kept_from = make()
            for first in kept_from:
                with self.subTest(make.__name__, first=first):
                    ours, theirs = self._same(house.bundle(first), [house.keys[0].line])
                    self.assertEqual((ours.exit_code, ours.json), (0, theirs.json))

    def test_broken_rules(self) -> None:
        for case in cases():
            with self.subTest(case.name):
                ours, _ = self._same(case.bundle, case.keys, case.against)
                self.assertEqual(ours.exit_code, 1)

    def test_tampering(self) -> None:
        whole_and_pruned = [target for seed in range(300, 303) for target in targets(seed)]
        ways: Counter[str] = Counter()
        for seed in range(MUTATIONS):
            chance = random.Random(seed)
            target = chance.choice(whole_and_pruned)
            change = tampered(target, chance)
            against = [target.against] if change.is_compared else []
            with self.subTest(change.way, seed=seed):
                ours, _ = self._same(change.bundle, [target.key], against)
                self.assertNotEqual(ours.exit_code, 0, "accepted by both")
            ways[change.way] += 1
        self.assertEqual(len(ways), len(WAYS))
        print(f"agreement: {ways.total()} changes, none accepted by either verifier")

    def test_forgeries_by_the_rightful_key(self) -> None:
        whole_and_pruned = [target for seed in range(400, 403) for target in targets(seed)]
        verdicts: Counter[int] = Counter()
        for seed in range(FORGERIES):
            chance = random.Random(seed)
            target = chance.choice(whole_and_pruned)
            with self.subTest(seed=seed):
                ours, _ = self._same(forged(target, chance), [target.key])
                verdicts[ours.exit_code] += 1
        counts = f"{verdicts[0]} hold, {verdicts[1]} do not"
        print(f"agreement: {FORGERIES} signed logs with odd members, {counts}")
        self.assertGreater(min(verdicts[0], verdicts[1]), 0)

    def test_heads_and_keys(self) -> None:
        house = House(2)
        house.session()
        key = house.keys[0]
        for name, (note, is_right) in notes(house).items():
            with self.subTest(name):
                ours, _ = self._same(house.bundle(head=note), [key.line])
                # A head may bear the signatures of strangers; in a bundle it may not.
                is_alone = note.count("\n\u2014 ") == 1
                self.assertEqual(ours.exit_code == 0, is_right and is_alone)
        for name, (line, is_key) in key_lines(key).items():
            with self.subTest(name):
                theirs = rust.verify(house.bundle(), [line, key.line])
                self.assertEqual(theirs.exit_code, 0 if is_key else 2)

    def test_the_same_codes(self) -> None:
        """Each code that either source names is one that the cases here bring about."""
        source = rust.ROOT / "crates" / "ledger" / "src"
        if not source.is_dir():
            self.skipTest("needs the source")
        files = [*source.glob("audit/*.rs"), *source.glob("bundle/*.rs"), source / "audit.rs"]
        text = "".join(path.read_text("utf-8") for path in files)
        theirs = set(re.findall(r'"([a-z]+\.[a-z_]+)"', text))
        ours = {code for case in cases() for code in case.codes}
        self.assertEqual(theirs, ours)

    def _same(
        self, bundle: bytes, keys: Sequence[str], against: Sequence[str] = ()
    ) -> tuple[rust.Report, rust.Report]:
        ours = python.verify(bundle, keys, against)
        theirs = rust.verify(bundle, keys, against)
        self.assertEqual(ours.exit_code, theirs.exit_code)
        self.assertEqual(ours.findings(), theirs.findings())
        return ours, theirs


if __name__ == "__main__":
    unittest.main()
