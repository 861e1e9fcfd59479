"""The disk is full: a small one of the test's own, which shrinks to what it holds. The service says 503 where it has to write,
goes on reading, loses nothing, and is whole again when there is room, without anybody's help."""
import os
import unittest

from fault_test import FaultTest
from soak import fill_disk, mount_disk, resize_disk, unmount_disk
from stack import Stack, wait_until


class DiskTest(FaultTest):
    CALM = True

    @classmethod
    def setUpClass(cls):
        disk = mount_disk()
        if disk is None:
            raise unittest.SkipTest('mounting a disk is not permitted here')
        cls.addClassCleanup(unmount_disk, disk)
        cls.stack = Stack(state_dir=disk)
        cls.addClassCleanup(os.remove, cls.stack.token_file)
        cls.addClassCleanup(cls.stack.stop, remove=False)
        cls.addClassCleanup(resize_disk, disk)
        cls.disk = disk

    def test_full(self):
        self.go_through(lambda: fill_disk(self.disk), lambda: resize_disk(self.disk), suffers=('add',), holds_s=3)

    def test_full_while_the_parts_are_killed(self):
        """Each of them comes back on the full disk; PostgreSQL, which must write to recover, when there is room."""
        def begin():
            fill_disk(self.disk)
            for part in ('app', 'nginx', 'postgres'):
                self.kill(part)

        self.go_through(begin, lambda: resize_disk(self.disk), suffers=('add',), same_app=False, always_reachable=False,
                        checks_time=False)
        wait_until(self.stack.healthy, 5, 'all is well')


if __name__ == '__main__':
    unittest.main()
