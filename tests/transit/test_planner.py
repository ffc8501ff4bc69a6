"""Route planning: fewest transfers, then fewest stops, all ties, along adjacent stops."""

from __future__ import annotations

import itertools
import pickle
import time
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import (
    Plan,
    Planner,
    best_plans,
    fewest_transfers,
    line_graph,
    stops_between,
)
from rewardmap_verl.transit.reader import parse_network, read_network


def build(**lines: str) -> Network:
    """Build a network with stops of one letter: ``build(x="abc", y="cde")``."""
    return parse_network({name: list(stops) for name, stops in lines.items()}, "no", "where")


def ask(network: Network, trip: str, limit: int = 8) -> list[str]:
    """Plan a trip such as "ae" and show each plan as "x:abc y:cde"."""
    here, there = (network.find_stops(name)[0].index for name in trip)
    return [show(network, plan) for plan in best_plans(network, here, there, limit)]


def show(network: Network, plan: Plan) -> str:
    return " ".join(
        f"{leg.line}:"
        + "".join(network.stops[i].name for i in (leg.departure, *leg.via, leg.arrival))
        for leg in plan.legs
    )


def test_a_direct_ride_beats_a_shorter_trip_with_a_transfer() -> None:
    assert ask(build(x="abcdefg", y="ahg", z="ah"), "ag") == ["y:ahg"]
    assert ask(build(x="abcdefg", y="ah", z="hg"), "ag") == ["x:abcdefg"]


def test_with_equal_transfers_the_fewest_stops_win() -> None:
    assert ask(build(x="abc", y="cde", z="bfghe"), "ae") == ["x:abc y:cde"]
    assert ask(build(x="abc", y="cdhe", z="bfe"), "ae") == ["x:ab z:bfe"]


def test_all_ties_are_found_in_a_fixed_order_up_to_the_limit() -> None:
    network = build(x="abcd", y="abcd", z="dce")
    everything = ask(network, "ae")
    assert everything == ["x:abc z:ce", "y:abc z:ce"]
    assert ask(network, "ae", limit=1) == everything[:1]
    both_ways = build(loop="abcda")
    assert sorted(ask(both_ways, "ac")) == ["loop:abc", "loop:adc"]


def test_loops_are_ridden_in_the_shorter_direction() -> None:
    network = build(loop="abcdefa")
    assert ask(network, "ae") == ["loop:afe"]
    assert ask(network, "ac") == ["loop:abc"]


def test_branches_are_reached_through_their_junction() -> None:
    rows = ["a", "j (Branch-starting Station)", "b", "c", "j", "d"]
    network = parse_network({"x": rows}, "no", "where")
    assert ask(network, "ad") == ["x:ajd"]
    assert ask(network, "cd") == ["x:cbjd"]


def test_unreachable_stops_have_no_plan() -> None:
    network = build(x="ab", y="cd")
    assert ask(network, "ac") == ask(network, "aa") == []
    assert fewest_transfers(network, 0, 2) is None
    assert fewest_transfers(network, 0, 0) is None
    assert fewest_transfers(network, 0, 1) == 0
    with pytest.raises(IndexError, match="where has no stop 9"):
        best_plans(network, 0, 9)


def test_a_plan_counts_its_transfers_and_rides() -> None:
    network = build(x="abc", y="cde")
    plan = best_plans(network, 0, 4)[0]
    assert (plan.transfers, plan.rides) == (1, 4)
    assert plan.legs[0].via == (1,)


def test_results_do_not_depend_on_earlier_calls() -> None:
    network = build(x="abcd", y="dcea", z="fbe")
    fresh = {
        pair: best_plans(network, *pair)
        for pair in itertools.permutations(range(len(network.stops)), 2)
    }
    planner = Planner(network)
    for pair in reversed(list(fresh)):
        assert planner.best_plans(*pair) == fresh[pair]
    assert pickle.loads(pickle.dumps(planner)).best_plans(0, 3) == fresh[0, 3]


@st.composite
def small_networks(draw: st.DrawFn) -> Network:
    rows = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=6, unique=True)
    lines = draw(st.lists(rows, min_size=1, max_size=4))
    closed = draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    return parse_network(
        {
            f"{i}": [*row, row[0]] if loop and len(row) > 2 else row
            for i, (row, loop) in enumerate(zip(lines, closed, strict=True))
        },
        "no",
        "where",
    )


def by_search(network: Network, origin: int, destination: int) -> tuple[int, int] | None:
    """Return (transfers, rides) of the best route by exhaustive search over (line, stop) pairs."""
    best: dict[tuple[str, int], tuple[int, int]] = {
        (line, origin): (0, 0) for line in network.stops[origin].lines
    }
    changed = True
    while changed:
        changed = False
        for (line, stop), (transfers, rides) in list(best.items()):
            steps = [(line, n, transfers, rides + 1) for n in line_graph(network.line(line))[stop]]
            steps += [(o, stop, transfers + 1, rides) for o in network.stops[stop].lines]
            for other, where, t, r in steps:
                if (t, r) < best.get((other, where), (99, 99)):
                    best[other, where] = (t, r)
                    changed = True
    found = [cost for (_, stop), cost in best.items() if stop == destination]
    return min(found, default=None)


def check_plan(network: Network, plan: Plan, origin: int, destination: int) -> None:
    """Check that a plan moves between adjacent stops and changes lines where a leg ends."""
    assert plan.legs[0].departure == origin
    assert plan.legs[-1].arrival == destination
    for leg, following in itertools.pairwise(plan.legs):
        assert leg.arrival == following.departure
        assert leg.line != following.line
    for leg in plan.legs:
        graph = line_graph(network.line(leg.line))
        ride = (leg.departure, *leg.via, leg.arrival)
        assert nx.is_simple_path(graph, ride)


@given(small_networks())
@settings(max_examples=40)
def test_plans_match_an_exhaustive_search(network: Network) -> None:
    planner = Planner(network)
    for origin, destination in itertools.permutations(range(len(network.stops)), 2):
        plans = planner.best_plans(origin, destination, 50)
        best = by_search(network, origin, destination)
        assert bool(plans) == (best is not None)
        assert len(set(plans)) == len(plans)
        for plan in plans:
            assert (plan.transfers, plan.rides) == best
            check_plan(network, plan, origin, destination)


def test_real_plans_are_fast_and_follow_the_lines(shared_data: Path) -> None:
    seconds = []
    for city in ("china/beijing", "america/new_york", "norway/oslo", "italy/rome"):
        network = read_network(shared_data / "stations" / f"{city}.json")
        planner = Planner(network)
        count = len(network.stops)
        for origin, destination in ((i, (i * 37 + 11) % count) for i in range(0, count, 12)):
            if origin == destination:
                continue
            start = time.perf_counter()
            plans = planner.best_plans(origin, destination)
            seconds.append(time.perf_counter() - start)
            assert plans
            for plan in plans:
                check_plan(network, plan, origin, destination)
    assert sorted(seconds)[len(seconds) // 2] < 0.05


def test_real_trips_across_branches_and_loops(shared_data: Path) -> None:
    def trip(city: str, here: str, there: str) -> Plan:
        network = read_network(shared_data / "stations" / f"{city}.json")
        stops = [network.find_stops(name)[0].index for name in (here, there)]
        return best_plans(network, *stops)[0]

    assert trip("italy/rome", "Bologna", "Jonio").rides == 4
    assert trip("china/beijing", "巴沟", "火器营").rides == 1
    assert trip("china/beijing", "西直门", "车公庄").rides == 1
    assert trip("china/shanghai", "上海体育馆", "虹桥路").rides == 2
    assert trip("america/new_york", "Astor Pl", "Canarsie-Rockaway Pkwy").transfers == 1


def between(network: Network, trip: str, line: int = 0) -> str | None:
    here, there = (network.find_stops(name)[0].index for name in trip)
    stops = stops_between(network.lines[line], here, there)
    return None if stops is None else "".join(network.stops[i].name for i in stops)


def test_stops_between_for_unambiguous_rides() -> None:
    network = build(x="abcde", loop="fghf")
    assert between(network, "ae") == "bcd"
    assert between(network, "db") == "c"
    assert between(network, "ab") == ""
    assert between(network, "aa") is None
    assert between(network, "af") is None
    assert between(network, "fg", line=1) is None


def test_no_stops_between_across_a_junction_or_on_a_doubtful_line() -> None:
    rows = ["a", "j (Branch-starting Station)", "b", "c", "j", "d", "e"]
    network = parse_network({"x": rows}, "no", "where")
    assert between(network, "ac") == "jb"
    assert between(network, "je") == "d"
    assert between(network, "be") is None
    doubtful = parse_network({"x": rows[:4]}, "no", "where")
    assert between(doubtful, "ab") is None


def test_stops_between_on_a_line_that_returns_to_a_stop() -> None:
    network = build(x="abcdbe")
    assert between(network, "ab") == ""
    assert between(network, "bd") is None
