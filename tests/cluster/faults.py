"""What a cluster is made to bear. Each fault is a function: it breaks one thing, waits for what must come of it, and leaves the mending to
its caller. Some say how long the service may be without a success, in seconds: (writes, reads)."""
import time

from cluster import APPS, DATABASES, await_

# Patroni's ttl, and what it takes to notice, to promote and to connect on a machine that has other things to do.
FAILOVER_S = 45
# How long a fault goes on once what must come of it has come: clients meet what is left of the old.
GOES_ON_S = 3


def others(cluster, *names):
    return [cluster[name] for name in (*DATABASES, *APPS, 'web') if name not in names]


def await_another(cluster, old):
    def another():
        now = cluster.primary()
        return now is not None and now is not old
    await_('another primary', FAILOVER_S, another)
    time.sleep(GOES_ON_S)


def patroni_is_frozen_and_an_app_restarted(cluster, chance):
    """The primary is replaced and does not know: an app that is connected to it stays there, one that starts now goes to the new one."""
    old = cluster.primary()
    old.run('s6-svc', '-p', '/run/init/patroni')
    await_('another primary', FAILOVER_S, lambda: cluster.primary() not in (None, old))
    app = chance.choice(APPS)
    cluster.service(app, 'stop')
    cluster.start(app)
    time.sleep(3 * GOES_ON_S)
    old.run('s6-svc', '-c', '/run/init/patroni')


def primary_loses_its_power(cluster, _):
    old = cluster.primary()
    old.switch_off()
    await_another(cluster, old)


def primary_is_unplugged(cluster, _):
    old = cluster.primary()
    old.unplug()
    await_another(cluster, old)


def primary_is_cut_off_from_its_own(cluster, _):
    """The apps still reach it; etcd and its standbys do not."""
    old = cluster.primary()
    old.cut_off_from(others(cluster, old.name, *APPS, 'web'))
    await_another(cluster, old)


def primary_is_cut_off_with_an_app(cluster, chance):
    """They reach each other, and nginx the app."""
    old, app = cluster.primary(), chance.choice(APPS)
    for name in (old.name, app):
        cluster[name].cut_off_from(others(cluster, old.name, app, 'web'))
    await_another(cluster, old)


def postgres_is_frozen(cluster, _):
    old = cluster.primary()
    old.shell('kill -STOP $(pgrep -x postgres)')
    await_another(cluster, old)
    old.shell('kill -CONT $(pgrep -x postgres)')


def postgres_is_killed(cluster, _):
    cluster.primary().shell('kill -9 $(head -n 1 /var/lib/postgresql/visitors/postmaster.pid)')
    time.sleep(GOES_ON_S)


def switchover(cluster, _):
    old, new = cluster.primary(), cluster.with_role('sync_standby')
    old.run('patronictl', '-c', '/etc/patroni/config.yml', 'switchover', 'visitors', '--candidate', new.name, '--force')
    await_(f'{new.name} is primary', FAILOVER_S, lambda: cluster.primary() is new)
    time.sleep(GOES_ON_S)


def standby_loses_its_power(cluster, _):
    cluster.with_role('sync_standby').switch_off()
    time.sleep(3 * GOES_ON_S)


def standby_is_unplugged(cluster, _):
    cluster.with_role('sync_standby').unplug()
    time.sleep(3 * GOES_ON_S)


def etcd_is_killed(cluster, chance):
    cluster[chance.choice(DATABASES)].run('s6-svc', '-k', '/run/init/etcd')
    time.sleep(GOES_ON_S)


def app_loses_its_power(cluster, chance):
    cluster[chance.choice(APPS)].switch_off()
    time.sleep(GOES_ON_S)


def app_is_unplugged(cluster, chance):
    cluster[chance.choice(APPS)].unplug()
    time.sleep(3 * GOES_ON_S)


def app_is_frozen(cluster, chance):
    app = cluster[chance.choice(APPS)]
    app.shell('kill -STOP $(pgrep -x fcgi-app)')
    time.sleep(3 * GOES_ON_S)
    app.shell('kill -CONT $(pgrep -x fcgi-app)')


def nginx_is_killed(cluster, _):
    cluster['web'].shell('kill -9 $(pgrep -x nginx)')
    time.sleep(GOES_ON_S)


def apps_are_restarted_in_turn(cluster, _):
    for app in APPS:
        cluster.service(app, 'stop')
        cluster.start(app)
        # nginx asks one that failed again after 2 s.
        time.sleep(3)


# The longest time without a success that may be, writes and reads, and whether any request may fail.
BOUNDS_S = {switchover: (10, 10), apps_are_restarted_in_turn: (4, 4)}
FAILOVER_BOUND_S = (45, 45)
NO_REQUEST_FAILS = {apps_are_restarted_in_turn}

# The first three are the short form.
SHORT = (patroni_is_frozen_and_an_app_restarted, primary_loses_its_power, switchover)
ALL = (*SHORT, primary_is_cut_off_from_its_own, primary_is_cut_off_with_an_app, apps_are_restarted_in_turn, standby_loses_its_power,
       primary_is_unplugged, postgres_is_frozen, postgres_is_killed, standby_is_unplugged, etcd_is_killed, app_loses_its_power,
       app_is_unplugged, app_is_frozen, nginx_is_killed)
