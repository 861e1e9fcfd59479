"""A PostgreSQL as a managed one is: TLS with a certificate of an authority's, passwords, and no superuser for those who use it. Knows
nothing of the service but the name of its database."""
import glob
import os
import shutil
import subprocess
import tempfile

from stack import PSQL_ENVIRONMENT, free_port, sample

ADMIN, ADMIN_PASSWORD = 'master', r'a:b\c d'


def programs():
    return sorted(glob.glob('/usr/lib/postgresql/*/bin'))[-1]


class ManagedServer:
    """A cluster with a port on `address`, where its certificate is good for `host` as well, and a role that may create roles and
    databases and owns the service's. Networks of Docker's are among those that may come."""

    def __init__(self, address='127.0.0.1', host='localhost'):
        self.host = host
        self.folder, self.port = tempfile.mkdtemp(prefix='v-', dir='/tmp'), free_port()
        os.chmod(self.folder, 0o755)
        self.as_user = ['runuser', '-u', 'postgres', '--'] if os.geteuid() == 0 else []
        self.data = f'{self.folder}/data'
        with open(f'{self.folder}/names', 'w') as names:
            names.write(f'subjectAltName={"IP" if host[0].isdigit() else "DNS"}:{host}\n')
        self.certificate('authority', '-x509', '-days', '2', '-subj', '/CN=an authority')
        self.certificate('server', '-subj', f'/CN={host}')
        self.openssl('x509', '-req', '-in', 'server.pem', '-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial',
                     '-days', '2', '-out', 'signed.pem', '-extfile', 'names')
        if self.as_user:
            for path in (self.folder, *glob.glob(f'{self.folder}/*')):
                shutil.chown(path, 'postgres')
        self.run('initdb', '--pgdata', self.data, '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--username=owner_of_all')
        with open(f'{self.data}/pg_hba.conf', 'w') as rules:
            rules.write('local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all 172.16.0.0/12 scram-sha-256\n')
        self.options = (f'-p {self.port} -c unix_socket_directories={self.folder} -c listen_addresses={address} -c ssl=on '
                        f'-c ssl_cert_file={self.folder}/signed.pem -c ssl_key_file={self.folder}/server.key')
        self.start()
        password = ADMIN_PASSWORD.replace("'", "''")
        self.sql(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
        self.sql(f'CREATE DATABASE {sample.NAME} OWNER {ADMIN}')

    def start(self):
        self.run('pg_ctl', 'start', '--pgdata', self.data, '--wait', '--log', f'{self.folder}/log', '--options', self.options)

    def become_standby(self):
        """Of a server that never comes: it can be read alone."""
        self.run('pg_ctl', 'stop', '--pgdata', self.data, '--mode=fast')
        with open(f'{self.data}/standby.signal', 'w'):
            pass
        self.start()

    def openssl(self, *arguments):
        subprocess.run(['openssl', *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def certificate(self, name, *arguments):
        self.openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.pem', *arguments)

    def run(self, program, *arguments):
        return subprocess.run([*self.as_user, f'{programs()}/{program}', *arguments], cwd='/', check=True, text=True,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60, env=PSQL_ENVIRONMENT).stdout

    def psql_arguments(self, database):
        return '-h', self.folder, '-p', str(self.port), '-U', 'owner_of_all', '-d', database, '-XqtA', '-v', 'ON_ERROR_STOP=1'

    def psql_command(self):
        return [*self.as_user, f'{programs()}/psql', *self.psql_arguments('postgres')]

    def sql(self, text, database='postgres'):
        return self.run('psql', *self.psql_arguments(database), '-c', text).strip()

    def url(self, role, host=None, authority=None):
        return (f'postgresql://{role}@{host or self.host}:{self.port}/{sample.NAME}'
                f'?sslmode=verify-full&sslrootcert={authority or f"{self.folder}/authority.pem"}')

    def end(self):
        self.run('pg_ctl', 'stop', '--pgdata', self.data, '--mode=immediate')
        shutil.rmtree(self.folder)
