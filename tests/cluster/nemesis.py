"""Breaks a cluster in one way after the other while clients use it, mends it after each, and says what came of it. Knows the clients and the
faults; nothing of how a host is made."""
import random
import time

import faults
from callers import Clients
from cluster import await_


def one(cluster, clients, fault, chance, say):
    """What is wrong with how it went, in words."""
    clients.writes.take()
    clients.reads.take()
    clients.failed.clear()
    before, began = (clients.writes.count, clients.reads.count), time.monotonic()
    fault(cluster, chance)
    cluster.mend()
    # Until a success ends the last gap.
    for gaps in (clients.writes, clients.reads):
        count = gaps.count
        await_('clients succeed again', 30, lambda: gaps.count > count)
    longest = (clients.writes.take(), clients.reads.take())
    failed = len(clients.failed)
    say(f'{fault.__name__.replace("_", " ")}: {time.monotonic() - began:.0f} s, {clients.writes.count - before[0]} writes, '
        f'{clients.reads.count - before[1]} reads, {failed} answered 503; longest without: {longest[0]:.1f} s, {longest[1]:.1f} s')
    bounds = faults.BOUNDS_S.get(fault, faults.FAILOVER_BOUND_S)
    wrong = [f'{fault.__name__}: no {what} for {seconds:.1f} s' for what, seconds, bound in zip(('write', 'read'), longest, bounds)
             if seconds > bound]
    if fault in faults.NO_REQUEST_FAILS and failed:
        wrong.append(f'{fault.__name__}: {failed} requests failed: {clients.failed[:3]}')
    return wrong


def run(cluster, order, seed, say, until=None):
    """`until`: a moment (time.monotonic()) after which no fault is begun. What is wrong, in words."""
    chance, wrong, left = random.Random(seed), [], list(order)
    with Clients(cluster, seed) as clients:
        while left and (until is None or time.monotonic() < until):
            try:
                wrong += one(cluster, clients, left.pop(0), chance, say)
            except TimeoutError as error:
                return [*wrong, str(error), *clients.faults[:3], *clients.stale[:3], cluster.roles()]
    say(f'{len(clients.added)} acknowledged additions, {len(clients.removed)} removals, {clients.reads.count} reads; '
        f'{len(clients.stale)} stale; members made anew: {cluster.helped}')
    if left:
        say(f'no time was left for: {", ".join(fault.__name__ for fault in left)}')
    if len(clients.added) < 100:
        wrong.append(f'only {len(clients.added)} additions: nothing was tried')
    return wrong + clients.verify()
