#!/usr/bin/env python3
"""compare_trees sees each kind of difference, and none where there is none."""
import os
import subprocess
import tempfile
import unittest

import compare_trees
import tree


class CompareTrees(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory(dir="/var/tmp")
        tree.make_tree(cls.place.name + "/a")
        cls.source = compare_trees.snapshot(cls.place.name + "/a")

    @classmethod
    def tearDownClass(cls):
        cls.place.cleanup()

    def after(self, change, **options):
        copy = f"{self.place.name}/b"
        subprocess.run(["rm", "-rf", copy], check=True)
        subprocess.run(["cp", "-a", "--sparse=always", f"{self.place.name}/a", copy], check=True)
        change(copy)
        return compare_trees.differences(self.source, compare_trees.snapshot(copy), **options)

    def expect_only(self, aspect, name, found):
        self.assertEqual([sentence.split(": ")[0] for sentence in found], [f"{aspect} differs"], found)
        self.assertIn(name, found[0])

    def test_a_faithful_copy_is_the_same(self):
        self.assertEqual(self.after(lambda copy: None, mtime="ns"), [])

    def test_one_changed_byte_is_seen(self):
        def change(copy):
            before = os.stat(f"{copy}/large")
            with open(f"{copy}/large", "r+b") as file:
                file.seek(12_345_678)
                byte = file.read(1)
                file.seek(12_345_678)
                file.write(bytes([byte[0] ^ 1]))
            os.utime(f"{copy}/large", ns=(before.st_mtime_ns, before.st_mtime_ns))
        self.expect_only("content", "large", self.after(change))

    def test_mode_owner_target_and_xattr_are_seen(self):
        self.expect_only("mode", "0755", self.after(lambda copy: os.chmod(f"{copy}/modes/0755", 0o754)))
        self.expect_only("owner", "owner 34", self.after(lambda copy: os.chown(f"{copy}/modes/owner 34", 34, 35)))
        self.expect_only("xattrs", "tagged", self.after(lambda copy: os.setxattr(f"{copy}/attributes/tagged", "user.colour", b"red")))

        def retarget(copy):
            info = os.lstat(f"{copy}/links/broken")
            parent = os.stat(f"{copy}/links")
            os.remove(f"{copy}/links/broken")
            os.symlink("/nowhere/else", f"{copy}/links/broken")
            os.utime(f"{copy}/links/broken", ns=(info.st_mtime_ns, info.st_mtime_ns), follow_symlinks=False)
            os.utime(f"{copy}/links", ns=(parent.st_mtime_ns, parent.st_mtime_ns))
        self.expect_only("target", "broken", self.after(retarget))

    def test_time_is_compared_as_exactly_as_asked(self):
        def nudge(copy):
            info = os.stat(f"{copy}/odd names/plain")
            os.utime(f"{copy}/odd names/plain", ns=(0, info.st_mtime_ns + 1000))
        self.assertEqual(self.after(nudge), [])
        self.expect_only("mtime", "plain", self.after(nudge, mtime="ns"))

    def test_a_parted_hard_link_is_seen(self):
        def part(copy):
            folder = os.stat(f"{copy}/links")
            subprocess.run(["cp", "-p", f"{copy}/links/second", f"{copy}/links/x"], check=True)
            os.rename(f"{copy}/links/x", f"{copy}/links/second")
            os.utime(f"{copy}/links", ns=(folder.st_mtime_ns, folder.st_mtime_ns))
        found = self.after(part)
        self.assertEqual(len(found), 3, found)
        self.assertTrue(all(sentence.startswith("links differs") for sentence in found), found)

    def test_filled_holes_are_seen(self):
        def fill(copy):
            subprocess.run(["cp", "-p", "--sparse=never", f"{copy}/sparse/holes", f"{copy}/sparse/x"], check=True)
            os.rename(f"{copy}/sparse/x", f"{copy}/sparse/holes")
        found = self.after(fill)
        self.assertTrue(any(sentence.startswith("holes were filled: sparse/holes") for sentence in found), found)

    def test_missing_and_added_names_are_seen(self):
        def change(copy):
            os.remove(f"{copy}/odd names/new\nline")
            os.mkfifo(f"{copy}/kinds/second fifo")
        found = self.after(change)
        self.assertIn("missing: odd names/new\nline", found)
        self.assertIn("not in the source: kinds/second fifo", found)

    def test_a_day_of_changes_is_seen(self):
        self.assertGreater(len(self.after(tree.change_tree)), 90)


if __name__ == "__main__":
    unittest.main()
