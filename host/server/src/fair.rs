//! Whose sync runs next: tenants share the slots by the time they used them. Pure: no clock, no I/O.
//!
//! Start-time fair queueing. Every tenant has a tag: the slot time it was given, on a common scale. The lowest tag is next
//! and pays the cost that is expected of its sync; what it cost in truth is settled at its end. A tenant that had nothing to
//! run starts at the scale's present, so idle time is no claim; and a tag is at most [`DEBT_MAX_MS`] ahead of it, so that one
//! long sync is not held against its tenant for as long as it took. So a tenant with a thousand syncs waiting holds up one
//! with a single sync by no more than a tenant with two would.

use std::collections::{HashMap, VecDeque};

/// How far a tenant can be ahead of the others, in milliseconds of slot time.
pub(super) const DEBT_MAX_MS: u64 = 60_000;

/// Of so many slots of a host one is left to others, whatever quota a tenant has.
const OTHERS_SHARE: usize = 8;

/// How many of a host's slots one tenant may have: at least one of every eight stays for others, and one where there are fewer.
pub(super) fn most_of_one(slots: usize) -> u32 {
    let others = if slots < 2 { 0 } else { slots.div_ceil(OTHERS_SHARE) };
    u32::try_from(slots - others).unwrap_or(u32::MAX)
}

/// Syncs that wait, by tenant.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    lanes: HashMap<String, Lane<T>>,
    /// The tag of the sync that was taken last.
    now: u64,
    /// How many were taken.
    turns: u64,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<Entry<T>>,
    running: u32,
    tag: u64,
    /// When the tenant was last served: among equal tags the one that waited longest is first.
    turn: u64,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    cost_ms: u64,
}

/// What was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn<T> {
    pub(super) tenant: String,
    pub(super) item: T,
    /// What it is expected to cost, to be settled with what it did.
    pub(super) cost_ms: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), now: 0, turns: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Puts a sync at the end of its tenant's line. `cost_ms`: the slot time it is expected to take.
    pub(super) fn push(&mut self, tenant: &str, item: T, cost_ms: u64) {
        let (now, turn) = (self.now, self.turns);
        let lane = self.lanes.entry(tenant.to_owned()).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            running: 0,
            tag: now,
            turn,
        });
        if lane.waiting.is_empty() {
            lane.tag = lane.tag.max(now);
        }
        lane.waiting.push_back(Entry { item, cost_ms: cost_ms.max(1) });
    }

    /// Takes the sync whose turn it is. `room`: how many syncs a tenant may run at once; `fits`: whether a sync can run now
    /// (one whose file another sync writes cannot). Nothing: no sync can.
    pub(super) fn take(&mut self, room: impl Fn(&str) -> u32, fits: impl Fn(&T) -> bool) -> Option<Turn<T>> {
        let now = self.now;
        let free = self.lanes.iter().filter(|(tenant, lane)| lane.running < room(tenant));
        let ready = free.filter_map(|(tenant, lane)| {
            let index = lane.waiting.iter().position(|entry| fits(&entry.item))?;
            Some((lane.tag.max(now), lane.turn, tenant.clone(), index))
        });
        let (tag, _, tenant, index) = ready.min()?;
        let lane = self.lanes.get_mut(&tenant)?;
        let entry = lane.waiting.remove(index)?;
        self.now = tag;
        self.turns += 1;
        lane.turn = self.turns;
        lane.running += 1;
        lane.tag = (tag + entry.cost_ms).min(tag + DEBT_MAX_MS);
        Some(Turn { tenant, item: entry.item, cost_ms: entry.cost_ms })
    }

    /// A sync has ended: its tenant pays what it took instead of what was expected.
    pub(super) fn settle(&mut self, tenant: &str, expected_ms: u64, actual_ms: u64) {
        let now = self.now;
        let Some(lane) = self.lanes.get_mut(tenant) else { return };
        lane.running = lane.running.saturating_sub(1);
        let paid = lane.tag.saturating_add(actual_ms).saturating_sub(expected_ms.min(DEBT_MAX_MS));
        lane.tag = paid.min(now + DEBT_MAX_MS);
        // Who was ahead is forgotten once nobody is there to be ahead of.
        if self.lanes.values().all(|lane| lane.running == 0 && lane.waiting.is_empty()) {
            self.lanes.clear();
        }
    }

    /// Takes a sync out of the line. Nothing: it does not wait.
    pub(super) fn remove(&mut self, tenant: &str, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let lane = self.lanes.get_mut(tenant)?;
        let index = lane.waiting.iter().position(|entry| is_it(&entry.item))?;
        lane.waiting.remove(index).map(|entry| entry.item)
    }

    /// How many syncs wait, by tenant.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lanes.iter().map(|(tenant, lane)| (tenant.as_str(), lane.waiting.len())).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const MANY: u32 = 1_000_000;

    /// Takes until nothing is left, and settles each as expected at once.
    fn drain(queue: &mut FairQueue<u32>) -> Vec<(String, u32)> {
        let mut order = Vec::new();
        while let Some(turn) = queue.take(|_| MANY, |_| true) {
            queue.settle(&turn.tenant, turn.cost_ms, turn.cost_ms);
            order.push((turn.tenant, turn.item));
        }
        order
    }

    #[test]
    fn no_tenant_has_all_slots() {
        for (slots, most) in [(0, 0), (1, 1), (2, 1), (3, 2), (8, 7), (9, 7), (16, 14), (64, 56), (10_000, 8_750)] {
            assert_eq!(most_of_one(slots), most, "{slots}");
        }
    }

    #[test]
    fn a_tenant_with_a_thousand_syncs_does_not_delay_a_tenant_with_one() {
        let mut queue = FairQueue::default();
        (0..1_000).for_each(|item| queue.push("many", item, 1_000));
        for _ in 0..100 {
            let turn = queue.take(|_| MANY, |_| true).unwrap();
            queue.settle(&turn.tenant, turn.cost_ms, turn.cost_ms);
        }
        queue.push("one", 0, 1_000);
        let place = drain(&mut queue).iter().position(|(tenant, _)| tenant == "one").unwrap();
        assert!(place <= 1, "{place} went first");
    }

    #[test]
    fn a_tenant_that_comes_back_every_time_gets_its_share_and_no_more() {
        let mut queue = FairQueue::default();
        (0..1_000).for_each(|item| queue.push("many", item, 1_000));
        queue.push("one", 0, 1_000);
        let mut shares: HashMap<String, u32> = HashMap::new();
        for item in 0..200 {
            let turn = queue.take(|_| MANY, |_| true).unwrap();
            queue.settle(&turn.tenant, turn.cost_ms, 1_000);
            if turn.tenant == "one" {
                queue.push("one", item, 1_000);
            }
            *shares.entry(turn.tenant).or_default() += 1;
        }
        assert!((99..=101).contains(&shares["one"]), "{shares:?}");
    }

    #[test]
    fn what_a_sync_cost_in_truth_is_what_its_tenant_pays() {
        let mut queue = FairQueue::default();
        for item in 0..100 {
            queue.push("slow", item, 1_000);
            queue.push("quick", item, 1_000);
        }
        let mut time: HashMap<String, u64> = HashMap::new();
        for _ in 0..100 {
            let turn = queue.take(|_| MANY, |_| true).unwrap();
            let actual = if turn.tenant == "slow" { 4_000 } else { 1_000 };
            queue.settle(&turn.tenant, turn.cost_ms, actual);
            *time.entry(turn.tenant).or_default() += actual;
        }
        assert!(time["slow"].abs_diff(time["quick"]) <= 5_000, "{time:?}");
    }

    #[test]
    fn a_tenant_that_could_not_run_has_no_claim_later() {
        let mut queue = FairQueue::default();
        for item in 0..100 {
            queue.push("blocked", item, 1_000);
            queue.push("other", item, 1_000);
        }
        for _ in 0..50 {
            let turn = queue.take(|tenant| if tenant == "blocked" { 0 } else { MANY }, |_| true).unwrap();
            queue.settle(&turn.tenant, turn.cost_ms, turn.cost_ms);
        }
        let next: Vec<String> = drain(&mut queue).into_iter().take(20).map(|(tenant, _)| tenant).collect();
        let blocked = next.iter().filter(|tenant| *tenant == "blocked").count();
        assert!((9..=11).contains(&blocked), "{next:?}");
    }

    #[test]
    fn what_does_not_fit_lets_others_pass() {
        let mut queue = FairQueue::default();
        (1..=3).for_each(|item| queue.push("a", item, 1));
        let turn = queue.take(|_| MANY, |item| *item != 1).unwrap();
        assert_eq!((turn.item, queue.remove("a", |item| *item == 3)), (2, Some(3)));
        assert_eq!(queue.remove("a", |item| *item == 3), None);
        assert_eq!(queue.waiting().collect::<Vec<_>>(), [("a", 1)]);
        assert!(queue.take(|_| 1, |_| true).is_none(), "one runs already");
        queue.settle("a", 1, 1);
        assert_eq!(queue.take(|_| 1, |_| true).unwrap().item, 1);
    }

    #[test]
    fn one_long_sync_is_not_held_against_its_tenant_for_ever() {
        let mut queue = FairQueue::default();
        queue.push("long", 0, 1_000);
        queue.push("long", 1, 1_000);
        let turn = queue.take(|_| MANY, |_| true).unwrap();
        queue.settle("long", turn.cost_ms, 6 * 3_600_000);
        (0..1_000).for_each(|item| queue.push("other", item, 1_000));
        let place = drain(&mut queue).iter().position(|(tenant, _)| tenant == "long").unwrap();
        assert!(place as u64 <= DEBT_MAX_MS / 1_000 + 1, "{place} went first");
    }

    /// What can happen to a queue: tenant and cost of a push, or a take, or the end of a sync and what it cost.
    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, u64),
        Take,
        End(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..5u8, 1..10_000u64).prop_map(|(tenant, cost)| Step::Push(tenant, cost)),
            Just(Step::Take),
            (0..100_000u64).prop_map(Step::End),
        ]
    }

    proptest! {
        /// Everything is taken once, a tenant's own in order, never more at once than there is room for.
        #[test]
        fn nothing_is_lost_doubled_or_overtaken(steps in prop::collection::vec(step(), 0..200), room in 1..4u32) {
            let mut queue = FairQueue::default();
            let mut pushed: HashMap<String, Vec<u32>> = HashMap::new();
            let mut taken: HashMap<String, Vec<u32>> = HashMap::new();
            let mut running: Vec<Turn<u32>> = Vec::new();
            let mut number = 0;
            for step in steps {
                match step {
                    Step::Push(tenant, cost) => {
                        let tenant = tenant.to_string();
                        queue.push(&tenant, number, cost);
                        pushed.entry(tenant).or_default().push(number);
                        number += 1;
                    }
                    Step::Take => {
                        if let Some(turn) = queue.take(|_| room, |_| true) {
                            taken.entry(turn.tenant.clone()).or_default().push(turn.item);
                            running.push(turn);
                        }
                    }
                    Step::End(actual) => {
                        if let Some(turn) = running.pop() {
                            queue.settle(&turn.tenant, turn.cost_ms, actual);
                        }
                    }
                }
                for tenant in pushed.keys() {
                    prop_assert!(running.iter().filter(|turn| turn.tenant == *tenant).count() <= room as usize);
                }
            }
            for (tenant, item) in drain(&mut queue) {
                taken.entry(tenant).or_default().push(item);
            }
            prop_assert_eq!(taken, pushed);
        }

        /// Of tenants that always have something waiting, none gets more than the others by more than two syncs' worth.
        #[test]
        fn slots_are_shared_by_cost(costs in prop::collection::vec(1..5_000u64, 2..6), takes in 1..300u32) {
            let mut queue = FairQueue::default();
            for (tenant, cost) in costs.iter().enumerate() {
                (0..takes).for_each(|item| queue.push(&tenant.to_string(), item, *cost));
            }
            let mut used = vec![0; costs.len()];
            for _ in 0..takes {
                let turn = queue.take(|_| MANY, |_| true).unwrap();
                queue.settle(&turn.tenant, turn.cost_ms, turn.cost_ms);
                used[turn.tenant.parse::<usize>().unwrap()] += turn.cost_ms;
            }
            let bound = 2 * costs.iter().max().unwrap();
            prop_assert!(used.iter().max().unwrap() - used.iter().min().unwrap() <= bound, "{used:?}");
        }

        /// Whatever waits elsewhere, a tenant that comes with one sync waits for at most one turn of each other tenant.
        #[test]
        fn who_comes_with_one_waits_for_one_round(
            backlog in prop::collection::vec((1..100u32, 1..5_000u64), 1..8), before in 0..100usize,
        ) {
            let mut queue = FairQueue::default();
            for (tenant, (count, cost)) in backlog.iter().enumerate() {
                (0..*count).for_each(|item| queue.push(&tenant.to_string(), item, *cost));
            }
            for _ in 0..before {
                if let Some(turn) = queue.take(|_| MANY, |_| true) {
                    queue.settle(&turn.tenant, turn.cost_ms, turn.cost_ms);
                }
            }
            queue.push("one", 0, 1_000);
            let place = drain(&mut queue).iter().position(|(tenant, _)| tenant == "one").unwrap();
            prop_assert!(place <= backlog.len(), "{place} went first");
        }
    }
}
