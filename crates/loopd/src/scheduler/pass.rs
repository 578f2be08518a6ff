//! One look at all runs: who is admitted where.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use loop_api::worker::QueuePolicy;

use super::policies::{self, Usage};
use super::{Cluster, Entry, Place, Pool, Refusal};

/// What becomes of a waiting run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It gets a slot of this worker; the empty one is the operator.
    Admitted(&'a str),
    /// It waits, for this.
    Refused(Refusal<'a>),
}

/// How a pool stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Share {
    /// Name of the worker; empty = the operator.
    pub(crate) worker: String,
    /// Slots in all.
    pub(crate) slots: usize,
    /// Runs, and pods whose run is gone, that have one.
    pub(crate) active: usize,
    /// Runs that wait and that it would take.
    pub(crate) queued: usize,
    /// Whether one of those that have a slot cannot go on elsewhere.
    pub(crate) bound: bool,
}

/// Verdicts on all runs.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    cluster: &'a Cluster<'a>,
    entries: &'a [Entry<'a>],
    /// In use, in the order of the pools, with those that are admitted now.
    usage: Vec<Usage<'a>>,
    /// Those that are admitted now, with the pool.
    admitted: HashMap<usize, usize>,
}

/// The order within a namespace: priority, then creation as the pool's policy has it, then the name; and which run it is.
type Rank<'a> = Reverse<(Reverse<i32>, i64, &'a str, usize)>;

/// Waiting runs that nothing but room keeps out of a pool, by namespace, the first of each on top.
type Queues<'a> = HashMap<&'a str, BinaryHeap<Rank<'a>>>;

impl<'a> Pass<'a> {
    /// Admits as many of the waiting runs as there is room for.
    ///
    /// On each pool the next one is that of the highest priority; of those, the one whose namespace has the fewest runs
    /// there; of those, the first by the pool's policy. A run that several pools would take goes to the one with the most
    /// free slots. A run that is kept out keeps out nobody else.
    pub(crate) fn new(cluster: &'a Cluster<'a>, entries: &'a [Entry<'a>]) -> Self {
        let usage = in_use(cluster, entries);
        let mut pass = Self { cluster, entries, usage, admitted: HashMap::new() };
        let mut queues = pass.queues();
        while let Some((run, pool)) = pass.next(&mut queues) {
            pass.usage[pool].add(&entries[run]);
            pass.admitted.insert(run, pool);
        }
        pass
    }

    /// What becomes of a run; `None` when it does not wait.
    pub(crate) fn verdict(&self, run: usize) -> Option<Verdict<'a>> {
        let entry = self.entries.get(run).filter(|entry| entry.place == Place::Waits)?;
        if let Some(pool) = self.admitted.get(&run) {
            return Some(Verdict::Admitted(self.cluster.pools[*pool].name));
        }
        let candidates = match self.cluster.candidates(entry) {
            Ok(candidates) => candidates,
            Err(refusal) => return Some(Verdict::Refused(refusal)),
        };
        // Of several pools the one that the run gets furthest with, so that it says what is the least to wait for.
        let refusals = candidates
            .iter()
            .filter_map(|pool| policies::refusal(entry, &self.cluster.pools[*pool], &self.usage[*pool]));
        let furthest = refusals.reduce(|best, other| if other.0 > best.0 { other } else { best });
        furthest.map(|(_, refusal)| Verdict::Refused(refusal))
    }

    /// What becomes of the run with this uid.
    pub(crate) fn verdict_on(&self, uid: &str) -> Option<Verdict<'a>> {
        self.verdict(self.entries.iter().position(|entry| entry.uid == uid)?)
    }

    /// Runs that are admitted now.
    pub(crate) fn admitted(&self) -> impl Iterator<Item = &'a Entry<'a>> {
        self.admitted.keys().map(|run| &self.entries[*run])
    }

    /// How many runs wait, with those that are admitted now.
    pub(crate) fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.place == Place::Waits).count()
    }

    /// Workers that can be read.
    pub(crate) fn online(&self) -> usize {
        self.cluster.pools.iter().skip(1).filter(|pool| pool.spec.is_some()).count()
    }

    /// How the pools stand before anybody is admitted.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let used = in_use(self.cluster, self.entries);
        let mut queued = vec![0; self.cluster.pools.len()];
        for entry in self.entries.iter().filter(|entry| entry.place == Place::Waits) {
            for pool in self.cluster.candidates(entry).unwrap_or_default() {
                queued[*pool] += usize::from(policies::fits(entry, &self.cluster.pools[*pool]));
            }
        }
        let share = |((pool, usage), queued): ((&Pool<'_>, Usage<'_>), usize)| Share {
            worker: pool.name.to_owned(),
            slots: pool.slots(),
            active: usage.active,
            queued,
            bound: usage.bound,
        };
        self.cluster.pools.iter().zip(used).zip(queued).map(share).collect()
    }

    /// The waiting runs of each pool that has a free slot.
    fn queues(&self) -> Vec<Queues<'a>> {
        let mut waiting: Vec<HashMap<&str, Vec<Rank<'a>>>> =
            self.cluster.pools.iter().map(|_| HashMap::new()).collect();
        let open: Vec<bool> = (0..waiting.len()).map(|pool| self.free(pool) > 0).collect();
        if open.contains(&true) {
            for (run, entry) in
                self.entries.iter().enumerate().filter(|(_, entry)| entry.place == Place::Waits)
            {
                for &index in self.cluster.candidates(entry).unwrap_or_default() {
                    let pool = &self.cluster.pools[index];
                    if !open[index] || !policies::is_eligible(entry, pool, &self.usage[index]) {
                        continue;
                    }
                    let newest = pool.spec.is_some_and(|spec| spec.queue_policy == QueuePolicy::NewestFirst);
                    let when = if newest { -entry.created } else { entry.created };
                    let rank = Reverse((Reverse(entry.wants.priority), when, entry.name, run));
                    waiting[index].entry(entry.namespace).or_default().push(rank);
                }
            }
        }
        // A heap is made in one go, since mostly only its top is asked for.
        let heaps = |all: HashMap<&'a str, Vec<Rank<'a>>>| {
            all.into_iter().map(|(space, ranks)| (space, ranks.into())).collect()
        };
        waiting.into_iter().map(heaps).collect()
    }

    fn free(&self, pool: usize) -> usize {
        self.cluster.pools[pool].slots().saturating_sub(self.usage[pool].active)
    }

    /// The next run to be admitted, and to which pool.
    fn next(&self, queues: &mut [Queues<'a>]) -> Option<(usize, usize)> {
        let mut pools: Vec<usize> = (0..queues.len()).filter(|pool| self.free(*pool) > 0).collect();
        pools.sort_by_key(|pool| Reverse(self.free(*pool)));
        pools.into_iter().find_map(|pool| Some((self.first(pool, &mut queues[pool])?, pool)))
    }

    /// The first run of a pool's queues that there is room for. Those that there is none for are dropped: while runs are
    /// admitted, no room comes.
    fn first(&self, pool: usize, queues: &mut Queues<'a>) -> Option<usize> {
        let usage = &self.usage[pool];
        let mut best = None;
        queues.retain(|namespace, queue| {
            let first = loop {
                let Some(Reverse(rank)) = queue.peek() else { return false };
                let run = rank.3;
                let capped = policies::is_capped(&self.entries[run], &self.cluster.pools[pool], usage);
                if !capped && !self.admitted.contains_key(&run) {
                    break *rank;
                }
                queue.pop();
            };
            let (priority, when, name, run) = first;
            let key = (priority, usage.of_namespace(namespace), when, *namespace, name, run);
            if best.is_none_or(|best| key < best) {
                best = Some(key);
            }
            true
        });
        best.map(|key| key.5)
    }
}

/// What is in use of each pool. Runs of a worker that is gone are nobody's.
fn in_use<'a>(cluster: &Cluster<'a>, entries: &'a [Entry<'a>]) -> Vec<Usage<'a>> {
    let mut usage: Vec<Usage<'a>> = cluster.pools.iter().map(|_| Usage::default()).collect();
    for entry in entries {
        if let Place::Holds(worker) = entry.place
            && let Some(pool) = cluster.pool(worker)
        {
            usage[pool].add(entry);
        }
    }
    usage
}
