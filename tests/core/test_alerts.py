"""Alerts: each fact raises its own, once, and is cleared once."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from energyd.core.alerts import Facts, changes, is_late, standing
from energyd.core.decide import decide
from energyd.core.order import LATE_AFTER
from energyd.model import Action, Alert, AlertName, Decision, Funds, Memory, OrderKind, OrderState, Reason

from .situations import ADDRESS, NOW, TRX, a_situation, an_order, seconds

QUIET = Facts(NOW)
LATE = NOW + LATE_AFTER + seconds(1)
POOR = decide(a_situation(memory=Memory(spent_hour_sun=60 * TRX)), "d")
UNRESOLVED = an_order(state=OrderState.UNRESOLVED, outcome="timed out")
DEAR = an_order(state=OrderState.DELIVERED, cost_sun=65_000 * 30 + 1)

ALERTS = {
    AlertName.NODE_UNAVAILABLE: (replace(QUIET, node_error="no answer"), ""),
    AlertName.NETTS_UNAVAILABLE: (replace(QUIET, netts_error="no answer"), ""),
    AlertName.NETTS_AUTH_FAILED: (replace(QUIET, auth_error="key refused"), ""),
    AlertName.LEDGER_FAILED: (replace(QUIET, ledger_error="disk full"), ""),
    AlertName.POLICIES_REJECTED: (replace(QUIET, policies_error="a.yaml:1:1"), ""),
    AlertName.NETTS_BALANCE_LOW: (replace(QUIET, funds=Funds(TRX - 1, NOW), top_up_sun=TRX), ""),
    AlertName.ORDER_UNRESOLVED: (replace(QUIET, orders=[UNRESOLVED]), UNRESOLVED.key),
    AlertName.DELIVERY_LATE: (Facts(LATE, orders=[an_order()]), an_order().key),
    AlertName.CHARGED_ABOVE_QUOTE: (replace(QUIET, orders=[DEAR]), DEAR.key),
    AlertName.BUDGET_EXHAUSTED: (replace(QUIET, decisions=[POOR]), "payouts"),
}


@pytest.mark.parametrize("name", ALERTS)
def test_a_fact_raises_its_alert_and_no_other(name: AlertName) -> None:
    facts, subject = ALERTS[name]
    (alert,) = standing(facts)
    assert (alert.name, alert.subject) == (name, subject)
    assert alert.summary


@pytest.mark.parametrize(
    "facts",
    [
        QUIET,
        replace(QUIET, funds=Funds(TRX, NOW), top_up_sun=TRX),
        replace(QUIET, funds=Funds(0, NOW)),
        replace(QUIET, top_up_sun=TRX),
        Facts(LATE - seconds(1), orders=[an_order()]),
        Facts(LATE, orders=[an_order(state=OrderState.DELIVERED)]),
        Facts(LATE, orders=[an_order(kind=OrderKind.CYCLES)]),
        Facts(LATE, orders=[an_order(state=OrderState.REFUSED)]),
        replace(QUIET, orders=[replace(DEAR, cost_sun=DEAR.cost_max_sun)]),
        replace(QUIET, orders=[replace(DEAR, state=OrderState.EXPIRED)]),
        replace(QUIET, decisions=[decide(a_situation(), "d")]),
        replace(QUIET, decisions=[replace(POOR, reason=Reason.COOLDOWN)]),
    ],
)
def test_nothing_is_raised_without_a_fact(facts: Facts) -> None:
    assert standing(facts) == ()


def test_a_policy_out_of_budget_is_one_alert_however_many_addresses_it_has() -> None:
    others: list[Decision] = [replace(POOR, address="T2"), replace(POOR, address="T3", reason=Reason.BUDGET_PER_DAY)]
    other_policy = replace(POOR, policy="second")
    raised = standing(replace(QUIET, decisions=[POOR, *others, other_policy]))
    assert [(alert.name, alert.subject) for alert in raised] == [
        (AlertName.BUDGET_EXHAUSTED, "payouts"),
        (AlertName.BUDGET_EXHAUSTED, "second"),
    ]


def test_what_a_person_reads_names_the_order_the_address_and_the_money() -> None:
    (unresolved,) = standing(replace(QUIET, orders=[UNRESOLVED]))
    assert ADDRESS in unresolved.summary
    assert "timed out" in unresolved.summary
    (dear,) = standing(replace(QUIET, orders=[DEAR]))
    assert "1.950001 TRX" in dear.summary
    assert "1.95 TRX" in dear.summary


def test_energy_is_late_only_after_a_minute() -> None:
    assert not is_late(an_order(), NOW + LATE_AFTER)
    assert is_late(an_order(), LATE)
    assert not is_late(replace(an_order(), sent_at=None), LATE)


# --- raised once, cleared once ---------------------------------------------------------------------------------------

subjects = st.sampled_from(["", ADDRESS, "payouts"])
sets_of_alerts = st.lists(
    st.builds(Alert, st.sampled_from(AlertName), subjects, st.text(max_size=3)),
    unique_by=lambda alert: (alert.name, alert.subject),
    max_size=6,
)


@given(st.lists(sets_of_alerts, max_size=8))
def test_over_any_time_an_alert_is_raised_once_for_each_stretch_that_it_stands(looks: list[list[Alert]]) -> None:
    told: dict[tuple[AlertName, str], int] = {}
    before: list[Alert] = []
    for after in [*looks, []]:
        raised, cleared = changes(before, after)
        for alert in raised:
            told[alert.name, alert.subject] = told.get((alert.name, alert.subject), 0) + 1
            assert told[alert.name, alert.subject] == 1, "raised twice without being cleared"
        for alert in cleared:
            told[alert.name, alert.subject] -= 1
            assert told[alert.name, alert.subject] == 0, "cleared without having been raised"
        assert {key for key, count in told.items() if count} == {(alert.name, alert.subject) for alert in after}
        before = after


def test_another_summary_is_the_same_alert() -> None:
    now, later = (Alert(AlertName.NETTS_BALANCE_LOW, "", summary) for summary in ("2 TRX", "1 TRX"))
    assert changes([now], [later]) == ((), ())


@given(sets_of_alerts)
def test_a_second_look_tells_nothing(alerts: list[Alert]) -> None:
    assert changes(alerts, alerts) == ((), ())


# --- cycles ---------------------------------------------------------------------------------------------------------

FEW = Decision(
    decision_id="d",
    address=ADDRESS,
    policy="fleet",
    at=NOW,
    action=Action.HOLD,
    reason=Reason.NO_FUNDS,
    detail="why",
    kind=OrderKind.CYCLES,
    demand=2,
    available=1,
)


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        (replace(QUIET, decisions=[FEW]), [AlertName.CYCLES_LOW]),
        (replace(QUIET, decisions=[FEW], uncounted=[ADDRESS]), [AlertName.CYCLES_LOW]),
        (replace(QUIET, uncounted=[ADDRESS]), [AlertName.CYCLES_LOW]),
        (replace(QUIET, decisions=[replace(FEW, reason=Reason.NOT_IN_HOST_MODE)]), [AlertName.CYCLES_LOW]),
        (replace(QUIET, decisions=[replace(FEW, available=2)]), []),
        (replace(QUIET, decisions=[replace(FEW, available=None, demand=None)]), []),
        (replace(QUIET, decisions=[replace(FEW, action=Action.ORDER_CYCLES)]), []),
        (replace(QUIET, decisions=[replace(FEW, reason=Reason.IN_FLIGHT)]), []),
        (replace(QUIET, decisions=[replace(FEW, kind=OrderKind.RENTAL)]), []),
        (replace(QUIET, doubted_keys={"cycle_set": "", "cycles_left": "why"}), [AlertName.CYCLES_DOUBTED]),
    ],
)
def test_low_and_uncounted_cycles_raise_their_alert_unless_they_are_on_their_way(
    facts: Facts, names: list[AlertName]
) -> None:
    assert [alert.name for alert in standing(facts)] == names
