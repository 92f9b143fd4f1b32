"""The pretend chain: energy comes, is used, is burned, and goes."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.sandbox import addresses
from energyd.sandbox.contracts import USDT, Contract, Cost
from energyd.sandbox.world import World

A, B = addresses.made_up("a"), addresses.made_up("b")
TRX = 1_000_000


@pytest.fixture
def account(world: World) -> str:
    world.add_account(A)
    return A


def test_addresses_of_both_spellings_name_the_same_account() -> None:
    address = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
    assert addresses.of_hex(addresses.hex_of(address)) == address
    assert addresses.of_word(addresses.word_of(address)) == address
    assert not addresses.is_address(address[:-1] + "F")
    assert not addresses.is_address("T0l")


def test_a_rental_is_there_after_its_delay_and_gone_after_its_hour(world: World, account: str, clock: Any) -> None:
    world.rent(account, 65_000, delay=timedelta(seconds=5))
    seen = []
    for seconds in (4, 1, 3_594, 1):
        clock.move(seconds=seconds)
        seen.append(world.available(account))
    assert [energy >= 65_000 for energy in seen] == [False, True, True, False]
    assert seen[-1] == 0


def test_a_shorter_delivery_gives_just_that_much(world: World, account: str, clock: Any) -> None:
    world.rent(account, 64_999, exact=True)
    clock.move(seconds=10)
    assert world.available(account) == 64_999


def test_a_rental_for_an_address_that_is_not_activated_is_not_delivered(world: World, clock: Any) -> None:
    rental = world.rent(B, 65_000)
    clock.move(seconds=10)
    assert world.available(B) == 0
    assert world.undelivered == [rental]


def test_a_call_takes_stake_first_and_burns_the_rest_at_the_price_of_the_hour(world: World, clock: Any) -> None:
    world.add_account(A, stake_energy=50_000)
    world.set_burn_price(210)
    use = world.use(A, 64_285)
    assert use.from_stake + use.burned == 64_285
    assert 49_990 <= use.from_stake <= 50_000
    assert use.burned_sun == use.burned * 210
    assert world.accounts[A].states[-1].balance_sun == 10_000 * TRX - use.burned_sun


def test_without_enough_money_all_that_may_be_spent_is_lost(world: World) -> None:
    world.add_account(A, balance_sun=1 * TRX)
    use = world.use(A, 64_285)
    assert (use.result, use.burned_sun) == ("OUT_OF_ENERGY", 1 * TRX)
    assert world.use(A, 100, fee_limit_sun=9_900).result == "OUT_OF_ENERGY"


def test_a_first_transfer_to_an_address_costs_more_than_the_second(world: World, account: str) -> None:
    first, second = world.transfer(account, B), world.transfer(account, B)
    assert (first.energy, second.energy) == (130_285, 64_285)
    assert world.usdt.balances[B] == 2_000_000


def test_a_transfer_without_tokens_reverts_and_costs_little(world: World) -> None:
    world.add_account(A, tokens=0)
    use = world.transfer(A, B)
    assert (use.result, use.energy, use.penalty) == ("REVERT", 8_624, 5_859)


def test_other_contracts_cost_what_they_were_given(world: World, account: str) -> None:
    contract = Contract(addresses.made_up("pool"), calls={"deposit()": Cost(91_000, 1_000)})
    world.add_contract(contract)
    measured = world.measure(account, contract.address, "deposit()", "")
    assert measured is not None
    assert measured.cost.energy == 91_000
    reverted = world.measure(account, contract.address, "withdraw()", "")
    assert reverted is not None
    assert reverted.reverted
    assert world.measure(account, A, "deposit()", "") is None


def test_used_energy_comes_back_within_a_day(world: World, clock: Any) -> None:
    world.add_account(A, stake_energy=100_000)
    world.use(A, 80_000)
    left = []
    for _ in range(4):
        left.append(world.available(A))
        clock.move(hours=8)
    assert left == sorted(left)
    assert left[-1] >= 99_999


def test_what_was_planned_happens_at_its_moment_however_late_one_looks(world: World, clock: Any) -> None:
    world.add_account(A, stake_energy=100_000)
    at = clock() + timedelta(minutes=7)
    world.plan_use(at, A, 30_000)
    clock.move(hours=2)
    world.advance()
    assert [use.at for use in world.uses] == [at]
    assert world.available_at(A, at - timedelta(seconds=3)) >= 100_000
    assert 70_000 <= world.available_at(A, at + timedelta(seconds=3)) < 70_100


def test_history_tells_what_reads_told_at_the_time(world: World, account: str, clock: Any) -> None:
    told = {}
    world.rent(account, 131_000)
    for step in range(40):
        told[clock()] = world.available(account)
        if step == 10:
            world.use(account, 64_285)
            told[clock()] = world.available(account)
        clock.move(minutes=3)
    assert {moment: world.available_at(account, moment) for moment in told} == told


def test_a_delegation_that_does_not_exist_cannot_be_taken_back(world: World, account: str) -> None:
    with pytest.raises(ValueError, match="delegated Resource does not exist"):
        world.undelegate(world.lender, account, TRX)


def test_blocks_hang_together_and_a_fork_replaces_the_newest(world: World) -> None:
    before = [world.block_id(world.head - back) for back in range(4)]
    world.fork(2)
    after = [world.block_id(world.head - back) for back in range(4)]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True, True]
    assert int(before[0][:16], 16) == world.head


def test_mainnet_numbers_and_times_of_blocks_are_kept(clock: Any) -> None:
    clock.now = datetime(2026, 7, 31, 9, 57, 21, tzinfo=UTC)
    world = World(now=clock, rng=random.Random(1))
    assert (world.head, world.block_time_ms(world.head)) == (84_940_364, 1_785_491_841_000)


def test_limits_drift_a_little_in_each_block(clock: Any) -> None:
    world = World(now=clock, rng=random.Random(1), drift_ppm=3)
    world.add_account(A, stake_energy=1_000_000)
    limits = []
    for _ in range(50):
        clock.move(seconds=3)
        limits.append(world.available(A))
    assert len(set(limits)) > 3
    assert max(limits) - min(limits) < 1_000


def test_an_unknown_address_exists_only_where_that_was_asked_for(clock: Any, world: World) -> None:
    open_world = World(now=clock, rng=random.Random(1), activate_unknown=True)
    assert open_world.account(B) is not None
    assert world.account(B) is None
    assert open_world.account("T0l") is None


def run(seed: int, steps: list[tuple[int, int]]) -> tuple[World, list[Any]]:
    moment = [datetime(2026, 11, 21, tzinfo=UTC)]
    world = World(now=lambda: moment[0], rng=random.Random(seed), drift_ppm=5)
    world.add_account(A, stake_energy=20_000)
    for seconds, energy in steps:
        moment[0] += timedelta(seconds=seconds)
        if energy % 2:
            world.rent(A, energy, delay=timedelta(seconds=energy % 60))
        else:
            world.use(A, energy)
    moment[0] += timedelta(days=1)
    world.advance()
    return world, [*world.uses, *world.deliveries, *world.reclaims]


STEPS = st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 200_000)), max_size=20)


@given(st.integers(0, 2**32), STEPS)
def test_the_same_seed_gives_the_same_history(seed: int, steps: list[tuple[int, int]]) -> None:
    assert run(seed, steps)[1] == run(seed, steps)[1]


@given(STEPS)
def test_nothing_is_lost_or_made(steps: list[tuple[int, int]]) -> None:
    world, _ = run(1, steps)
    lender, account = world.accounts[world.lender].states[-1], world.accounts[A].states[-1]
    assert lender.stake.own == 10**15
    assert account.stake.acquired == 0
    assert account.balance_sun == 10_000 * TRX - sum(use.burned_sun for use in world.uses)
    assert all(use.from_stake + use.burned == use.energy for use in world.uses)
    assert len(world.reclaims) == len(world.deliveries)
    assert USDT in world.contracts
