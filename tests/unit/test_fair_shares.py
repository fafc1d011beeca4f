"""Fair sharing of resources between builds."""

from __future__ import annotations

from databuild.event_log.coordination import ClaimRequest, Need
from databuild.event_log.fair_shares import FairShares, Holding, Sharer


def request(build: str, amount: int = 1, *, of: str = "r", limit: int = 2, task: int = 1) -> ClaimRequest:
    return ClaimRequest(build, f"{build}.{task}.1", (), (Need(of, amount, limit),))


def test_a_resource_is_granted_up_to_its_limit() -> None:
    shares = FairShares({}, ())

    assert [shares.take(request("a", task=number), number) for number in (1, 2, 3)] == ["", "", "r"]
    assert shares.granted == [Holding("a.1.1", "r", "a", 1), Holding("a.2.1", "r", "a", 1)]
    assert shares.updated == {"a": Sharer("a", 2, frozenset({"r"}))}


def test_amounts_held_by_others_count() -> None:
    assert FairShares({"r": 2}, ()).take(request("a"), 1) == "r"
    assert FairShares({"other": 2}, ()).take(request("a"), 1) == ""


def test_the_build_with_the_oldest_grant_goes_first() -> None:
    waiting = Sharer("b", 5, frozenset({"r"}))

    assert FairShares({"r": 1}, [waiting, Sharer("a", 9)]).take(request("a"), 10) == "r"
    assert FairShares({"r": 1}, [waiting, Sharer("a", 9)]).take(request("b"), 10) == ""
    assert FairShares({"r": 1}, [waiting, Sharer("a", 4)]).take(request("a"), 10) == ""


def test_a_new_build_goes_after_those_that_wait_already() -> None:
    assert FairShares({}, [Sharer("b", 5, frozenset({"r"}))]).take(request("new"), 10) == "r"


def test_a_build_that_waits_for_another_resource_does_not_block() -> None:
    assert FairShares({}, [Sharer("b", 5, frozenset({"other"}))]).take(request("a"), 10) == ""


def test_small_requests_do_not_starve_a_large_one() -> None:
    shares = FairShares({"r": 1}, [Sharer("small", 9)])

    assert shares.take(request("large", 2), 10) == "r"
    assert shares.take(request("small"), 11) == ""  # granted longer ago
    assert shares.take(request("small"), 12) == "r"  # the turn of the large request, although one is free


def test_builds_that_want_two_resources_each_do_not_wait_for_each_other() -> None:
    both = {"x": frozenset({"r", "s"}), "y": frozenset({"r", "s"})}
    sharers = [Sharer(build, turn, both[build]) for turn, build in enumerate(both, 1)]
    needs = (Need("r", 1, 1), Need("s", 1, 1))

    taken = [
        FairShares({}, sharers).take(ClaimRequest(build, f"{build}.1.1", (), order), 10)
        for build, order in (("x", needs), ("y", needs[::-1]))
    ]

    assert taken == ["", "s"]
