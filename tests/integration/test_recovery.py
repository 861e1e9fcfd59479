"""A PostgreSQL that recovers (a restore to a point in time, a standby) is waited for by a start: it is not migrated,
and not ended before it can be written, else the restore could be undone. The backups are pg_basebackup's."""
import glob
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

from stack import Stack, sample, wait_until


class RecoveryTest(unittest.TestCase):
    LASTS_S = 80

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix='v-recovery-', dir='/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        os.chmod(cls.folder, 0o777)
        cls.archive, cls.base = os.path.join(cls.folder, 'archive'), os.path.join(cls.folder, 'base')
        os.mkdir(cls.archive)
        os.chmod(cls.archive, 0o777)
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)
        cls.database = os.path.join(cls.stack.state_dir, 'postgres')
        cls.stack.sql(f"ALTER SYSTEM SET archive_mode = on; ALTER SYSTEM SET archive_command = 'cp %p {cls.archive}/%f'")
        with open(os.path.join(cls.database, 'pg_hba.conf'), 'a') as file:
            file.write('local replication all peer\n')
        cls.stack.stop(remove=False)
        cls.stack.start()
        cls.as_superuser('pg_basebackup', '-h', f'{cls.stack.state_dir}/run', '-p', str(cls.stack.postgres_port), '-D', cls.base,
                         '-X', 'none', '--no-sync', '-c', 'fast')
        cls.kept = [cls.stack.post(sample.COLLECTION, sample.new(f'kept {number}')).json() for number in range(3)]
        cls.slow_segment = cls.end_of_segment()
        [[cls.before]] = cls.stack.sql('SELECT clock_timestamp()')
        cls.stack.sql(f'DELETE FROM {sample.TABLE}')
        cls.end_of_segment()
        cls.stack.stop(remove=False)

    @classmethod
    def as_superuser(cls, *command):
        programs = glob.glob('/usr/lib/postgresql/*/bin')[-1]
        prefix = ['runuser', '-u', 'postgres', '--'] if os.geteuid() == 0 else []
        subprocess.run([*prefix, os.path.join(programs, command[0]), *command[1:]], check=True, cwd='/', capture_output=True, timeout=60)

    @classmethod
    def end_of_segment(cls):
        """What was done so far gets into the archive; returns the name of its file there."""
        [[segment]] = cls.stack.sql('SELECT pg_walfile_name(pg_switch_wal())')
        wait_until(lambda: os.path.exists(os.path.join(cls.archive, segment)), 20, f'{segment} is in the archive')
        return segment

    def restore(self, signal, more):
        """The base backup in the database's place, with the archive as its log. What comes behind the backup itself is long in coming:
        meanwhile PostgreSQL can be read, and is no master yet."""
        self.stack.make('stop')
        shutil.rmtree(self.database)
        subprocess.run(['cp', '-a', self.base, self.database], check=True)
        with open(os.path.join(self.database, 'postgresql.auto.conf'), 'a') as file:
            file.write(f"restore_command = 'test %f != {self.slow_segment} || sleep 3; cp {self.archive}/%f %p'\n"
                       f'recovery_prefetch = off\n{more}\n')
        path = os.path.join(self.database, signal)
        with open(path, 'w'):
            pass
        owner = os.stat(self.database)
        os.chown(path, owner.st_uid, owner.st_gid)

    def test_a_restore_to_a_point_in_time_is_waited_for_and_stays(self):
        self.restore('recovery.signal', f"recovery_target_time = '{self.before}'\nrecovery_target_action = promote")
        self.stack.start()
        self.assertEqual(self.stack.get(sample.LIST).json()['total'], 3)
        self.stack.stop(remove=False)
        self.stack.start()
        for item in self.kept:
            self.assertEqual(self.stack.get(sample.item(item['id'])).json(), item)
        self.assertEqual(self.stack.post(sample.COLLECTION, sample.new('after')).status, 201)

    def test_a_standby_is_waited_for_and_can_be_stopped(self):
        self.restore('standby.signal', f"recovery_target_time = '{self.before}'\nrecovery_target_action = pause")
        results = []
        starts = [threading.Thread(target=lambda: results.append(self.stack.make('start'))) for _ in range(2)]
        starts[0].start()
        wait_until(self.recovers, 60, 'the standby answers')
        postmaster = self.stack.pid('postgres')
        starts[1].start()
        self.assertIn('recovering', self.stack.make('migrate').stderr)
        wait_until(lambda: self.stack.sql('SELECT pg_get_wal_replay_pause_state()') == [('paused',)], 30, 'the target is reached')
        self.assertEqual((self.stack.pid('postgres'), self.stack.pid('app'), results), (postmaster, None, []))
        self.stack.sql('SELECT pg_wal_replay_resume()')
        for thread in starts:
            thread.join()
        self.assertEqual([result.returncode for result in results], [0, 0], results)
        self.assertIn('PostgreSQL is recovering', results[0].stdout + results[1].stdout)
        self.assertEqual(self.stack.get(sample.LIST).json()['total'], 3)

    def test_stop_is_heard_while_a_start_waits(self):
        self.restore('standby.signal', '')
        results = []
        start = threading.Thread(target=lambda: results.append(self.stack.make('start')))
        start.start()
        wait_until(self.recovers, 60, 'the standby answers')
        self.stack.stop(remove=False)
        start.join()
        self.assertNotEqual(results[0].returncode, 0)
        self.assertIn('stopped meanwhile', results[0].stderr)
        self.assertEqual(self.stack.processes(), [])

    def recovers(self):
        try:
            return self.stack.sql('SELECT pg_is_in_recovery()') == [('t',)]
        except RuntimeError:
            return False


if __name__ == '__main__':
    unittest.main()
