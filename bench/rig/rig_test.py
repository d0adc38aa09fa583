#!/usr/bin/env python3
"""The bench's own instruments: frames in any pieces, dips after a recovery, and what a report calls met."""
import struct
import unittest

import initiator
import isolation_report as report
import phases
import rig


class TakesFramesApart(unittest.TestCase):
    def test_in_pieces_of_any_size(self):
        frames = [(499999, 40), (499997, 3), (1, 5), (499999, 0), (499999, 7), (499997, 1)]
        wire = b"".join(struct.pack(">II", length, handle) + bytes(length) for handle, length in frames)
        for size in range(1, len(wire) + 1):
            counts = {"DATA": 0, "INDEX": 0}
            taken = initiator.Frames({499999: "DATA", 499997: "INDEX"}, counts)
            for at in range(0, len(wire), size):
                taken.feed(wire[at:at + size])
            self.assertEqual(counts, {"DATA": 47, "INDEX": 4}, size)

    def test_a_length_no_frame_has_is_an_error(self):
        with self.assertRaises(initiator.NoAnswer):
            initiator.Frames({}, {}).feed(b"HTTP/1.1 400 Bad Request")


def growth_of(*rates):
    """Holding files that grow by so many MB/s, each for a second, looked at every 40 ms."""
    growth, sizes = rig.Growth("/nonexistent"), dict.fromkeys(rig.DISKS, 0.0)
    for second, each in enumerate(rates):
        for tick in range(25):
            growth.samples.append((second + tick * 0.04, dict(sizes)))
            sizes = {disk: size + rate * 40_000 for (disk, size), rate in zip(sizes.items(), each)}
    return growth


class Recovery(unittest.TestCase):
    def test_a_steady_share_has_no_dip(self):
        found = phases.recovery(growth_of((40, 40, 40), (40, 40, 40), (40, 40, 40)), 0.0)
        self.assertEqual((found["freed_share"], found["longest_dip_s"]), (1.0, 0.0))

    def test_a_neighbour_that_falls_for_a_second_is_seen(self):
        found = phases.recovery(growth_of((80, 20, 60), (40, 40, 40), (40, 40, 40)), 0.0)
        self.assertEqual(found["freed_share"], 1.0)
        self.assertGreater(found["longest_dip_s"], 0.7)
        self.assertLess(found["longest_dip_s"], 1.2)

    def test_a_freed_dump_that_does_not_come_back_is_seen(self):
        self.assertLess(phases.recovery(growth_of((0, 60, 60), (10, 55, 55), (10, 55, 55)), 0.0)["freed_share"], 0.3)


def client(kind, auth, sums):
    rates = {name: {"rates": dict(zip(rig.DISKS, values)), "at_once": dict(zip(rig.DISKS, values))} for name, values in sums.items()}
    return report.Client(kind, auth, [{"phases": rates}])


class Report(unittest.TestCase):
    stopped = next(one for one in report.CRITERIA if "stopped for 10 s" in one.name)

    def test_ratios_are_to_one_process_a_dump(self):
        reference = client("amanda", "bsdtcp", {"stopped": (0, 60, 60)})
        self.assertEqual(report.judged(self.stopped, client("headrace", "bsd", {"stopped": (0, 60, 57)}), reference), "0.97 ✓")
        self.assertEqual(report.judged(self.stopped, client("relay", "bsd", {"stopped": (0, 0, 0)}), reference), "0.00 ✗")

    def test_what_was_not_measured_is_not_judged(self):
        reference = client("amanda", "bsdtcp", {"stopped": (0, 60, 60)})
        self.assertEqual(report.judged(self.stopped, client("headrace", "bsd", {}), reference), "")
        self.assertEqual(report.judged(self.stopped, client("headrace", "bsd", {"stopped": (0, 60, 60)}), None), "")


if __name__ == "__main__":
    unittest.main()
