"""One probe of a virtual server, now: `looksalive check`. The same engine and the same checks as the service's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bindings.model import VirtualServer
from probe.environment import Environment, ResolveError
from probe.monitor.engine import Engine
from probe.monitor.plan import ProbePlan
from probe.monitor.recording import unasked
from probe.monitor.resolve import verdict_of
from probe.monitor.target import Result, Target
from probe.monitor.targets import Targets
from probe.values import Outcome, Reason, Stage, Verdict, evidence_of

IN_FLIGHT_MAX = 64


async def probe_once(
    environment: Environment, server: VirtualServer, group_address: str | None = None, *, explains: bool = False
) -> list[Result]:
    """Ask every binding once, at the same time, and wait for the ends of the goodbyes.

    Returns a result for each binding in their order, for a name one for each of its addresses; the stages end with
    `quit` where there was a goodbye. With `explains` each has its whole dialogue, also when all is well.
    """
    engine = Engine(environment, max_in_flight=IN_FLIGHT_MAX, explains=explains)
    try:
        targets = Targets(environment).targets_for(server, group_address)
        found = await asyncio.gather(*(_ask(environment, engine, target) for target in targets))
    finally:
        engine.close()
    return [result for results in found for result in results]


async def probe_plan_once(environment: Environment, plan: ProbePlan) -> Verdict:
    """Ask what a plan asks, once, and weigh the answers by its policy: what is told is the first that decides."""
    if plan.observe is not None:
        return await plan.observe()
    engine = Engine(environment, max_in_flight=IN_FLIGHT_MAX)
    try:
        found = await asyncio.gather(*(_ask(environment, engine, target) for target in plan.targets))
    finally:
        engine.close()
    verdicts = [result.verdict for results in found for result in results]
    if plan.policy == "first":
        return verdicts[0]
    decides = plan.policy == "any"  # one that is alive decides, else one that is not
    return next((each for each in verdicts if (each.outcome is Outcome.ALIVE) is decides), verdicts[0])


async def _ask(environment: Environment, engine: Engine, target: Target) -> Sequence[Result]:
    if target.name is None:
        return [await _dial(engine, target)]
    now = environment.clock.now
    started = now()
    try:
        async with asyncio.timeout(target.timeout_s):
            addresses = await environment.network.resolve(target.name.text)
    except ResolveError as error:
        fault = verdict_of(error)
    except TimeoutError:
        evidence = evidence_of(f"no answer about {target.name.text} within {target.timeout_s:g} s")
        fault = Verdict(Reason.DNS_TIMEOUT, evidence, Stage.RESOLVE)
    else:
        resolve = (Stage.RESOLVE, now() - started)
        pinned = [target.name.pin(*one) for one in target.name.fitting(addresses)]
        results = await asyncio.gather(*(_dial(engine, one) for one in pinned))
        return [result._replace(stages=(resolve, *result.stages)) for result in results]
    ended = now()
    took_s = ended - started
    return [Result(target, fault, started, ended, ((Stage.RESOLVE, took_s),), moments=unasked(took_s))]


async def _dial(engine: Engine, target: Target) -> Result:
    closed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    results: list[Result] = []
    dial = engine.dial(target, results.append, closed.set_result)
    goodbye_s = await closed
    result = results[0]
    if engine.explains:
        result = result._replace(moments=dial.moments)  # the goodbye too
    return result._replace(stages=(*result.stages, (Stage.QUIT, goodbye_s))) if goodbye_s else result
