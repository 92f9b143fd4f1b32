"""What a TRON full node answers: accounts, blocks, contract calls, figures of the network.

Follows java-tron 4.8.1: zero figures are left out, an account that is not activated is `{}`, addresses are hex unless
`visible`.
"""

from typing import Any

from energyd.sandbox import contracts, energy as rules, node_blocks
from energyd.sandbox.chain import MAINTENANCE_MS, SOLID_LAG, milliseconds
from energyd.sandbox.node_blocks import drop_zeros, spelled
from energyd.sandbox.node_requests import Params, View, called, message_address, number_of, plain_address
from energyd.sandbox.world import World

_MAX_BLOCKS = 100
_HASH_DIGITS = 64
_NET_LIMIT, _NET_WEIGHT, _FREE_NET = 43_200_000_000, 26_856_723_239, 600
_OPERATIONS = "7fff1fc0033e0300000000000000000000000000000000000000000000000000"
_SEARCH_STEP_SUN = 1_000_000
_PARAMETERS = """
getMaintenanceTimeInterval=21600000 getAccountUpgradeCost=9999000000 getCreateAccountFee=100000 getTransactionFee=1000
getAssetIssueFee=1024000000 getWitnessPayPerBlock=8000000 getWitnessStandbyAllowance=16000000
getCreateNewAccountFeeInSystemContract=1000000 getCreateNewAccountBandwidthRate=1 getAllowCreationOfContracts=1
getRemoveThePowerOfTheGr=-1 getEnergyFee=100 getExchangeCreateFee=1024000000 getMaxCpuTimeOfOneTx=80
getAllowUpdateAccountName=0 getAllowSameTokenName=1 getAllowDelegateResource=1 getTotalEnergyLimit=180000000000
getAllowTvmTransferTrc10=1 getTotalEnergyCurrentLimit=180000000000 getAllowMultiSign=1 getAllowAdaptiveEnergy=0
getTotalEnergyTargetLimit=0 getTotalEnergyAverageUsage=0 getUpdateAccountPermissionFee=100000000
getMultiSignFee=1000000 getAllowAccountStateRoot=0 getAllowProtoFilterNum=0 getAllowTvmConstantinople=1
getAllowTvmSolidity059=1 getAllowTvmIstanbul=1 getAllowShieldedTRC20Transaction=0 getForbidTransferToContract=0
getAdaptiveResourceLimitTargetRatio=10 getAdaptiveResourceLimitMultiplier=1000 getChangeDelegation=1
getWitness127PayPerBlock=128000000 getAllowMarketTransaction=0 getMarketSellFee=0 getMarketCancelFee=0 getAllowPBFT=0
getAllowTransactionFeePool=0 getMaxFeeLimit=15000000000 getAllowOptimizeBlackHole=1 getAllowNewResourceModel=0
getAllowTvmFreeze=0 getAllowTvmVote=1 getAllowTvmLondon=1 getAllowTvmCompatibleEvm=0
getAllowAccountAssetOptimization=0 getFreeNetLimit=600 getTotalNetLimit=43200000000
getAllowHigherLimitForMaxCpuTimeOfOneTx=1 getAllowAssetOptimization=1 getAllowNewReward=1 getMemoFee=1000000
getAllowDelegateOptimization=1 getUnfreezeDelayDays=14 getAllowOptimizedReturnValueOfChainId=1
getAllowDynamicEnergy=1 getDynamicEnergyThreshold=5000000000 getDynamicEnergyIncreaseFactor=2000
getDynamicEnergyMaxFactor=34000 getAllowTvmShangHai=1 getAllowCancelAllUnfreezeV2=1 getMaxDelegateLockPeriod=864000
getAllowOldRewardOpt=1 getAllowEnergyAdjustment=1 getMaxCreateAccountTxSize=1000
"""
_CHAIN_PARAMETERS = {key: int(value) for key, _, value in (entry.partition("=") for entry in _PARAMETERS.split())}


class NodeAnswers:
    """One method for each call of the interface: from parameters and a view to a JSON value."""

    def __init__(self, world: World, *, release: str, estimates: bool) -> None:
        self.world = world
        self.release = release
        self.estimates = estimates

    # Accounts

    def account_resource(self, params: Params, view: View) -> object:
        address = plain_address(params, "address", view)
        account = self.world.account(address) if address else None
        state = account.as_of(view.accounts) if account else None
        if state is None:
            return {}
        network = self.world.network(view.head)
        return drop_zeros(
            {
                "freeNetLimit": _FREE_NET,
                "TotalNetLimit": _NET_LIMIT,
                "TotalNetWeight": _NET_WEIGHT,
                "EnergyUsed": rules.energy_used(state.stake, self.world.slot_of(view.head)),
                "EnergyLimit": rules.energy_limit(state.stake, network),
                "TotalEnergyLimit": network.total_limit,
                "TotalEnergyWeight": network.total_weight,
            }
        )

    def account(self, params: Params, view: View) -> object:
        address = message_address(params, "address", view, self.release, "Account.address")
        account = self.world.account(address) if address else None
        state = account.as_of(view.accounts) if account else None
        if account is None or state is None:
            return {}
        stake = rules.booked(state.stake, 0, self.world.slot_of(view.head))
        spelling = spelled(account.address, visible=view.visible)
        return drop_zeros(
            {
                "type": "Contract" if account.is_contract else "",
                "address": spelling,
                "balance": state.balance_sun,
                "create_time": milliseconds(account.created_at),
                "net_window_size": rules.FULL_WINDOW_RAW,
                "net_window_optimized": True,
                "account_resource": drop_zeros(
                    {
                        "energy_usage": stake.usage,
                        "latest_consume_time_for_energy": state.stake.last_slot * rules.SLOT_MS,
                        "energy_window_size": stake.window_raw,
                        "delegated_frozenV2_balance_for_energy": self._given(account.address),
                        "acquired_delegated_frozenV2_balance_for_energy": stake.acquired,
                        "energy_window_optimized": stake.window_optimized,
                    }
                ),
                **_permissions(spelling),
                "frozenV2": [{}, drop_zeros({"type": "ENERGY", "amount": stake.own}), {"type": "TRON_POWER"}],
                "asset_optimized": True,
            }
        )

    def _given(self, address: str) -> int:
        return sum(balance for (owner, _), balance in self.world.delegations.items() if owner == address)

    def delegated(self, params: Params, view: View) -> object:
        field = "DelegatedResourceMessage"
        owner = message_address(params, "fromAddress", view, self.release, f"{field}.fromAddress")
        receiver = message_address(params, "toAddress", view, self.release, f"{field}.toAddress")
        if owner is None or receiver is None or not self.world.delegations.get((owner, receiver)):
            return {}
        entry = {
            "from": spelled(owner, visible=view.visible),
            "to": spelled(receiver, visible=view.visible),
            "frozen_balance_for_energy": self.world.delegations[owner, receiver],
        }
        return {"delegatedResource": [entry]}

    def delegation_index(self, params: Params, view: View) -> object:
        address = message_address(params, "value", view, self.release, "BytesMessage.value")
        if address is None:
            return {}
        pairs = [pair for pair, balance in self.world.delegations.items() if balance]
        return drop_zeros(
            {
                "account": spelled(address, visible=view.visible),
                "fromAccounts": [spelled(owner, visible=view.visible) for owner, to in pairs if to == address],
                "toAccounts": [spelled(to, visible=view.visible) for owner, to in pairs if owner == address],
            }
        )

    # Blocks

    def now_block(self, _: Params, view: View) -> object:
        return node_blocks.whole_block(self.world, view.head, visible=view.visible)

    def block(self, params: Params, view: View) -> object:
        number = self._number_of_block(str(params.get("id_or_num") or view.head))
        if not 0 < number <= view.head:
            return {}
        detail = str(params.get("detail", "")).lower() == "true"
        shape = node_blocks.whole_block if detail else node_blocks.header
        return shape(self.world, number, visible=view.visible)

    def _number_of_block(self, wanted: str) -> int:
        """The number behind a number or an id; 0 when there is no such block."""
        if len(wanted) != _HASH_DIGITS:
            return int(wanted) if wanted.isdecimal() else 0
        number = int(wanted[:16], 16) if set(wanted) <= set("0123456789abcdef") else 0
        return number if self.world.block_id(number) == wanted else 0

    def block_by_number(self, params: Params, view: View) -> object:
        number = number_of(params, "num")
        if not 0 < number <= view.head:
            return {}
        return node_blocks.whole_block(self.world, number, visible=view.visible)

    def blocks(self, params: Params, view: View) -> object:
        start, end = number_of(params, "startNum"), number_of(params, "endNum")
        if not 0 < start < end <= start + _MAX_BLOCKS:
            return {}
        numbers = range(start, min(end, view.head + 1))
        found = [node_blocks.whole_block(self.world, number, visible=view.visible) for number in numbers]
        return drop_zeros({"block": found})

    def receipts(self, params: Params, view: View) -> object:
        number = number_of(params, "num")
        if number <= 0:
            return {}
        events = self.world.events_of_block.get(number, []) if number <= view.head else []
        return [node_blocks.receipt(self.world, event, visible=view.visible) for event in events]

    def receipt(self, params: Params, view: View) -> object:
        event = self.world.event_of_transaction.get(str(params.get("value", "")))
        if event is None or event.block > view.head:
            return {}
        return node_blocks.receipt(self.world, event, visible=view.visible)

    # Contract calls

    def constant_call(self, params: Params, view: View) -> dict[str, Any]:
        if not params.get("owner_address"):
            problem = "class java.security.InvalidParameterException : owner_address isn't set."
            return _refused("OTHER_ERROR", problem, view)
        owner, contract = plain_address(params, "owner_address", view), plain_address(params, "contract_address", view)
        function, parameter = called(params)
        if owner is None or contract not in self.world.contracts:
            return _refused("CONTRACT_VALIDATE_ERROR", "Smart contract is not exist.", view)
        self.world.account(owner)
        measured = self.world.contracts[contract].measure(owner, function, parameter)
        value = {
            "data": contracts.selector_of(function) + parameter,
            "owner_address": spelled(owner, visible=view.visible),
            "contract_address": spelled(contract, visible=view.visible),
        }
        failed = {"ret": "FAILED"} if measured.reverted else {}
        made = node_blocks.transaction(self.world, "TriggerSmartContract", value, view.head, failed)
        message = {"message": _message("REVERT opcode executed", view)} if measured.reverted else {}
        return {
            "result": {"result": True, **message},
            **drop_zeros({"energy_used": measured.cost.energy, "energy_penalty": measured.cost.penalty}),
            "constant_result": [measured.output],
            "transaction": made | {"visible": view.visible},
        }

    def estimate(self, params: Params, view: View) -> object:
        if not self.estimates:
            return _refused("CONTRACT_VALIDATE_ERROR", "this node does not support estimate energy", view)
        tried = self.constant_call(params, view)
        result = tried["result"]
        if "message" in result:
            return {"result": {"code": result.get("code", "CONTRACT_EXE_ERROR"), "message": result["message"]}}
        required = _searched(tried["energy_used"], self.world.burn_price_sun())
        return {"result": {"result": True}, "energy_required": required}

    def contract_info(self, params: Params, view: View) -> object:
        contract = self.world.contracts.get(plain_address(params, "value", view) or "")
        if contract is None:
            return {}
        cycle = self.world.block_time_ms(view.head) // MAINTENANCE_MS
        smart_contract = {
            "origin_address": spelled(contract.deployer, visible=view.visible),
            "contract_address": spelled(contract.address, visible=view.visible),
            "abi": {"entrys": []},
            "bytecode": "6080604052",
            "name": contract.name,
            "origin_energy_limit": 10_000_000,
            "consume_user_resource_percent": 100,
            "code_hash": self.world.block_id(1),
        }
        state = drop_zeros({"energy_usage": 1, "energy_factor": contract.energy_factor, "update_cycle": cycle})
        return {"smart_contract": smart_contract, "runtimecode": "6080604052", "contract_state": state}

    # Network

    def chain_parameters(self, _: Params, view: View) -> object:
        total = self.world.network(view.head).total_limit
        now = {"getEnergyFee": self.world.burn_price_sun(), "getTotalEnergyCurrentLimit": total}
        return {"chainParameter": [drop_zeros({"key": k, "value": v}) for k, v in {**_CHAIN_PARAMETERS, **now}.items()]}

    def energy_prices(self, _: Params, view: View) -> object:
        until = self.world.block_time_ms(view.head + 1)
        return {"prices": ",".join(f"{since}:{price}" for since, price in self.world.burn_prices if since < until)}

    def next_maintenance(self, _: Params, view: View) -> object:
        return {"num": (self.world.block_time_ms(view.head) // MAINTENANCE_MS + 1) * MAINTENANCE_MS}

    def node_info(self, _: Params, view: View) -> object:
        solid = view.head - SOLID_LAG
        return {
            "activeConnectCount": 3,
            "beginSyncNum": solid,
            "block": f"Num:{view.head},ID:{self.world.block_id(view.head)}",
            "solidityBlock": f"Num:{solid},ID:{self.world.block_id(solid)}",
            "currentConnectCount": 60,
            "passiveConnectCount": 57,
            "totalFlow": 0,
            "configNodeInfo": {"codeVersion": self.release, "supportConstant": True, "dbVersion": 2},
            "machineInfo": {"cpuCount": 16, "javaVersion": "1.8.0_291", "osName": "Linux", "threadCount": 361},
        }


def _permissions(address: str) -> dict[str, Any]:
    keys = [{"address": address, "weight": 1}]
    owner = {"permission_name": "owner", "threshold": 1, "keys": keys}
    active = {"type": "Active", "id": 2, "permission_name": "active", "threshold": 1}
    return {"owner_permission": owner, "active_permission": [active | {"operations": _OPERATIONS, "keys": keys}]}


def _message(text: str, view: View) -> str:
    return text if view.visible else text.encode().hex()


def _refused(code: str, message: str, view: View) -> dict[str, Any]:
    return {"result": {"code": code, "message": _message(message, view)}}


def _searched(used: int, price_sun: int) -> int:
    """What estimateenergy finds: from twice the cost down by halves, stopping a TRX early (Wallet.estimateEnergy)."""
    low, high = used * price_sun, 2 * used * price_sun
    while low + _SEARCH_STEP_SUN < high:
        high = (low + high) // 2
    return -(-high // price_sun)
