"""The pretend chain with its people: accounts, contract calls, delegations and rentals.

Time passes when somebody looks: every verb first does what has become due. So a world under a virtual clock and one
under the real clock behave alike. Money is integer sun; moments are aware UTC datetimes.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from energyd.sandbox import addresses, contracts, energy as rules
from energyd.sandbox.chain import EPOCH, Chain, block_at
from energyd.sandbox.contracts import USDT, Contract, Measured, Token
from energyd.sandbox.energy import Stake
from energyd.sandbox.history import Account, Call, Delivery, Event, Reclaim, Rental, State, Use
from energyd.units import SUN_PER_TRX

RENTAL = timedelta(hours=1)


class World(Chain):
    """One chain under one clock; `rng` is the only source of chance.

    With `activate_unknown` an address that is looked at for the first time exists from then on, holding
    `new_balance_sun` and `new_tokens` (millionths of a USDT) as every account does that is added without figures.
    `watchers` are called with an address whenever its energy was changed by a call, a delivery or a reclaim.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        rng: random.Random,
        total_energy: int = 180_000_000_000,
        weight_trx: int = 18_971_780_957,
        drift_ppm: int = 0,
        activate_unknown: bool = False,
        new_balance_sun: int = 10_000 * SUN_PER_TRX,
        new_tokens: int = 1_000_000_000_000,
    ) -> None:
        super().__init__(now, rng, total_energy=total_energy, weight_trx=weight_trx, drift_ppm=drift_ppm)
        self.rng = rng
        self.activate_unknown = activate_unknown
        self._new_balance_sun, self._new_tokens = new_balance_sun, new_tokens
        self.accounts: dict[str, Account] = {}
        self.usdt = Token(USDT, name="TetherToken", energy_factor=34_000)
        self.contracts: dict[str, Contract] = {USDT: self.usdt}
        self.uses: list[Use] = []
        self.deliveries: list[Delivery] = []
        self.reclaims: list[Reclaim] = []
        self.undelivered: list[Rental] = []
        self.events_of_block: dict[int, list[Event]] = {}
        self.event_of_transaction: dict[str, Event] = {}
        self.delegations: dict[tuple[str, str], int] = {}
        self.watchers: list[Callable[[str], None]] = []
        self._running: dict[int, tuple[Rental, int]] = {}
        self.lender = addresses.made_up("lender")
        self.add_account(self.lender, stake_sun=10**15)
        self.add_account(USDT, is_contract=True)

    # Accounts

    def add_account(
        self,
        address: str,
        *,
        stake_sun: int = 0,
        stake_energy: int = 0,
        balance_sun: int | None = None,
        tokens: int | None = None,
        is_contract: bool = False,
    ) -> Account:
        """An activated account that was always there, with own stake in sun or as the energy that it makes today.

        Replaces an older one of that address.
        """
        addresses.hex_of(address)
        stake = Stake(own=stake_sun + rules.sun_for(stake_energy, self.network(), whole_trx=False))
        account = self.accounts[address] = Account(address, self.time, is_contract)
        balance = self._new_balance_sun if balance_sun is None else balance_sun
        account.states.append(State(EPOCH, 0, stake, balance))
        self.usdt.balances[address] = self._new_tokens if tokens is None else tokens
        return account

    def add_contract(self, contract: Contract) -> None:
        self.contracts[contract.address] = contract
        self.add_account(contract.address, is_contract=True)

    def account(self, address: str) -> Account | None:
        """The account of an address; None while it is not activated."""
        known = self.accounts.get(address)
        if known is None and self.activate_unknown and addresses.is_address(address):
            return self.add_account(address)
        return known

    def activate(self, address: str) -> None:
        """Activates an address with the next block, empty but for the dust that activation leaves."""
        account = self.accounts[address] = Account(address, self.time, is_contract=False)
        account.states.append(State(self.time, self.head + 1, Stake(), 0))

    def available(self, address: str) -> int:
        """Energy that the address has now; 0 when it is not activated."""
        self.advance()
        account = self.account(address)
        return rules.available(account.states[-1].stake, self.slot, self.network()) if account else 0

    def available_at(self, address: str, when: datetime) -> int:
        """Energy that the address had at a past moment, calls that waited for their block included."""
        head, account = block_at(when), self.accounts.get(address)
        state = account.at(when) if account else None
        return rules.available(state.stake, self.slot_of(head), self.network(head)) if state else 0

    def _known(self, address: str) -> Account:
        account = self.account(address)
        if account is None:
            raise ValueError(f"{address} is not activated")
        return account

    def _write(self, account: Account, stake: Stake, balance_sun: int) -> None:
        """Changes wait for the next block; of several in one block the last state counts."""
        account.states.append(State(self.time, self.head + 1, stake, balance_sun))

    # Contract calls

    def measure(self, caller: str, contract: str, function: str, parameter: str) -> Measured | None:
        """What a call would cost now; None when there is no such contract. `parameter` is ABI words in hex."""
        known = self.contracts.get(contract)
        return known.measure(caller, function, parameter) if known else None

    def use(
        self,
        address: str,
        energy: int,
        *,
        contract: str = USDT,
        success: bool = True,
        fee_limit_sun: int | None = None,
    ) -> Use:
        """A contract call now that needs `energy`: from whole TRX of stake first, TRX burned for the rest.

        Where balance or fee limit do not reach, all that the caller may spend is lost and the result is OUT_OF_ENERGY.
        """
        self.advance()
        return self._perform(Call(address, energy, contract, success=success, fee_limit_sun=fee_limit_sun))

    def plan_use(self, at: datetime, address: str, energy: int) -> None:
        """A contract call at a later moment."""
        self.plan(at, partial(self._perform, Call(address, energy, USDT)))

    def transfer(self, sender: str, receiver: str, amount: int = 1_000_000) -> Use:
        """A USDT transfer now, at the cost that `measure` gives; `amount` in millionths of a USDT."""
        self.advance()
        data = contracts.transfer_data(receiver, amount)
        tried = self.usdt.measure(sender, *contracts.function_and_parameter(data))
        use = self._perform(Call(sender, tried.cost.energy, USDT, data, tried.cost.penalty, not tried.reverted))
        if use.result == "SUCCESS":
            self.usdt.move(sender, receiver, amount)
        return use

    def _perform(self, call: Call) -> Use:
        account, price = self._known(call.address), self.burn_price_sun()
        *_, stake, balance = account.states[-1]
        own = rules.spendable(stake, self.slot, self.network())
        limit = own + balance // price
        if call.fee_limit_sun is not None:
            limit = min(limit, call.fee_limit_sun // price)
        spent = min(call.energy, limit)
        drawn = min(spent, own)
        result = "OUT_OF_ENERGY" if call.energy > limit else "SUCCESS" if call.success else "REVERT"
        use = Use(
            at=self.time,
            tx_id=self.new_transaction(),
            block=self.head + 1,
            address=call.address,
            contract=call.contract,
            data=call.data or contracts.transfer_data(self.lender, 1),
            energy=spent,
            penalty=call.penalty,
            from_stake=drawn,
            burned=spent - drawn,
            burned_sun=(spent - drawn) * price,
            result=result,
        )
        stake = rules.after_call(stake, drawn, self.slot, success=result == "SUCCESS")
        self._write(account, stake, balance - use.burned_sun)
        self.uses.append(use)
        self._record(use, call.address)
        return use

    # Delegations

    def rent(
        self,
        receiver: str,
        energy: int,
        *,
        delay: timedelta = timedelta(seconds=2),
        length: timedelta = RENTAL,
        exact: bool = False,
    ) -> Rental:
        """Energy from the lender: on chain after `delay`, taken back `length` after now.

        The lender delegates whole TRX, which gives up to a dozen units more than `energy`; `exact` gives no more.
        A rental that cannot be delivered ends up in `undelivered`.
        """
        now = self.advance()
        rental = Rental(
            rental_id=self.next_number(),
            tx_id=self.new_transaction(),
            receiver=receiver,
            energy=energy,
            ordered_at=now,
            due_at=now + delay,
            until=now + length,
            exact=exact,
        )
        self.plan(rental.due_at, partial(self._deliver, rental))
        return rental

    def take_back(self, rental_id: int) -> None:
        """Ends a running rental now; nothing happens when it does not run."""
        running = self._running.pop(rental_id, None)
        if running:
            rental, balance = running
            self._undelegate(self.lender, rental.receiver, balance, rental)

    def delegate(self, owner: str, receiver: str, balance_sun: int) -> Delivery:
        """Delegates stake for energy between two accounts, now and for good."""
        self.advance()
        return self._delegate(owner, receiver, balance_sun, None)

    def undelegate(self, owner: str, receiver: str, balance_sun: int) -> Reclaim:
        self.advance()
        return self._undelegate(owner, receiver, balance_sun, None)

    def _deliver(self, rental: Rental) -> None:
        account = self.account(rental.receiver)
        if account is None or account.is_contract or rental.until <= self.time:
            self.undelivered.append(rental)
            return
        balance = rules.sun_for(rental.energy, self.network(), whole_trx=not rental.exact)
        self._running[rental.rental_id] = rental, balance
        self.plan(rental.until, partial(self.take_back, rental.rental_id))
        self._delegate(self.lender, rental.receiver, balance, rental)

    def _delegate(self, owner: str, receiver: str, balance_sun: int, rental: Rental | None) -> Delivery:
        giver, taker = self._known(owner), self._known(receiver)
        if giver.states[-1].stake.own < balance_sun:
            raise ValueError(f"{owner} has not staked {balance_sun} sun")
        delivery = Delivery(
            at=self.time,
            tx_id=rental.tx_id if rental else self.new_transaction(),
            block=self.head + 1,
            owner=owner,
            receiver=receiver,
            balance_sun=balance_sun,
            energy=rental.energy if rental else rules.energy_limit(Stake(balance_sun), self.network()),
            rental_id=rental.rental_id if rental else None,
        )
        self.delegations[owner, receiver] = self.delegations.get((owner, receiver), 0) + balance_sun
        self._settle(giver, taker, *rules.delegated(giver.states[-1].stake, taker.states[-1].stake, balance_sun))
        self.deliveries.append(delivery)
        self._record(delivery, receiver)
        return delivery

    def _undelegate(self, owner: str, receiver: str, balance_sun: int, rental: Rental | None) -> Reclaim:
        giver, taker = self._known(owner), self._known(receiver)
        left = self.delegations.get((owner, receiver), 0) - balance_sun
        if left < 0:
            raise ValueError("delegated Resource does not exist")
        giver_stake, taker_stake, _ = rules.reclaimed(
            giver.states[-1].stake, taker.states[-1].stake, balance_sun, self.slot, self.network()
        )
        reclaim = Reclaim(
            at=self.time,
            tx_id=self.new_transaction(),
            block=self.head + 1,
            owner=owner,
            receiver=receiver,
            balance_sun=balance_sun,
            energy=rental.energy if rental else rules.energy_limit(Stake(balance_sun), self.network()),
            rental_id=rental.rental_id if rental else None,
        )
        self.delegations[owner, receiver] = left
        self._settle(giver, taker, giver_stake, taker_stake)
        self.reclaims.append(reclaim)
        self._record(reclaim, receiver)
        return reclaim

    def _settle(self, giver: Account, taker: Account, giver_stake: Stake, taker_stake: Stake) -> None:
        self._write(giver, giver_stake, giver.states[-1].balance_sun)
        self._write(taker, taker_stake, taker.states[-1].balance_sun)

    def _record(self, event: Event, address: str) -> None:
        self.events_of_block.setdefault(event.block, []).append(event)
        self.event_of_transaction[event.tx_id] = event
        for watcher in self.watchers:
            watcher(address)
