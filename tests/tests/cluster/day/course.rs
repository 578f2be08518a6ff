//! What is to become of each run of the day: decided beforehand from a seed, without a cluster.

/// Random numbers that are the same for the same seed.
pub(super) struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// At least 0 and below 1.
    pub(super) fn next(&mut self) -> f64 {
        let bits = loop_tests::random(self.seed, self.thrown);
        self.thrown += 1;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() * end as f64) as usize
    }
}

/// What happens to a run once, in its first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fate {
    /// Nothing: it completes.
    Completes,
    /// Its iterations are used up.
    Fails,
    /// The same, and its user has it tried again.
    Retried,
    /// A container is killed.
    Killed,
    /// Its node ends the pod for want of memory.
    Evicted,
    /// Somebody deletes its pod, as a drain of the node does.
    Drained,
    /// Somebody deletes its pod by force, and its containers go on for a while.
    Forced,
    /// Its image cannot be pulled, until it can.
    Pulled,
    /// Its image cannot be pulled, and its user gives up.
    Stuck,
    /// Its repository cannot be cloned.
    Refused,
    /// Its user cancels it.
    Canceled,
    /// Its user pauses it for a while.
    Paused,
    /// Its user deletes it.
    Deleted,
}

/// Every fate and how many runs of a thousand have it; the rest complete.
const SHARES: [(Fate, usize); 12] = [
    (Fate::Fails, 110),
    (Fate::Retried, 10),
    (Fate::Killed, 40),
    (Fate::Evicted, 30),
    (Fate::Drained, 30),
    (Fate::Forced, 10),
    (Fate::Pulled, 10),
    (Fate::Stuck, 10),
    (Fate::Refused, 15),
    (Fate::Canceled, 20),
    (Fate::Paused, 20),
    (Fate::Deleted, 10),
];

/// One run of the day; all times are seconds of that day.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Course {
    pub(super) name: String,
    /// Which namespace it is in.
    pub(super) namespace: usize,
    /// When it is made.
    pub(super) at: f64,
    /// How long its loop works if nothing happens.
    pub(super) work: f64,
    /// Which part of that is done when something happens, and how long its user takes for an answer.
    pub(super) moment: f64,
    pub(super) answer: f64,
    pub(super) priority: usize,
    /// Which repository it is about.
    pub(super) repository: usize,
    pub(super) fate: Fate,
}

impl Course {
    /// The phase that it ends in; nothing where it is deleted.
    pub(super) fn end(&self) -> Option<&'static str> {
        match self.fate {
            Fate::Fails | Fate::Refused => Some("Failed"),
            Fate::Stuck | Fate::Canceled => Some("Canceled"),
            Fate::Deleted => None,
            _ => Some("Completed"),
        }
    }

    /// How many attempts it takes.
    pub(super) fn attempts(&self) -> u64 {
        match self.fate {
            Fate::Retried | Fate::Killed | Fate::Evicted | Fate::Drained | Fate::Forced | Fate::Paused => 2,
            _ => 1,
        }
    }
}

/// The last namespace has no worker, and few runs.
pub(super) const NAMESPACES: usize = 4;

/// The runs of a day of so many seconds, by their time. Runs take from two minutes to four hours, or a quarter of the day,
/// as many below as above the geometric mean; each fate happens to one at least.
pub(super) fn courses(count: usize, day: f64, seed: u64) -> Vec<Course> {
    let mut dice = Dice::new(seed);
    let mut fates: Vec<Fate> = SHARES
        .iter()
        .flat_map(|(fate, share)| std::iter::repeat_n(*fate, (count * share / 1000).max(1)))
        .collect();
    assert!(fates.len() <= count, "a day has {} runs at least", fates.len());
    fates.resize(count, Fate::Completes);
    for last in (1..count).rev() {
        fates.swap(last, dice.below(last + 1));
    }
    let (shortest, longest) = (120.0_f64, (4.0 * 3600.0_f64).min(day / 4.0));
    let mut all: Vec<Course> = fates
        .into_iter()
        .enumerate()
        .map(|(number, fate)| {
            // The lease of a lost one takes its time, which does not go faster with the day.
            let when = if fate == Fate::Forced { 0.2 } else { 0.7 };
            // Users need a while to change their mind, and what is at its last step is no longer stopped.
            let least =
                if [Fate::Canceled, Fate::Paused, Fate::Deleted].contains(&fate) { 1200.0 } else { shortest };
            Course {
                name: format!("r{number:05}"),
                namespace: if number % 33 == 0 { NAMESPACES - 1 } else { number % (NAMESPACES - 1) },
                at: dice.next() * when * day,
                work: (shortest * (longest / shortest).powf(dice.next())).max(least),
                moment: 0.1 + 0.6 * dice.next(),
                answer: 60.0 + 600.0 * dice.next(),
                priority: if dice.below(10) == 0 { 10 } else { 0 },
                repository: dice.below((count / 4).max(1)),
                fate,
            }
        })
        .collect();
    all.sort_by(|one, other| one.at.total_cmp(&other.at));
    all
}

#[test]
fn the_same_seed_makes_the_same_day_and_everything_happens_in_it() {
    let day = courses(40, 2700.0, 1);
    assert_eq!(day, courses(40, 2700.0, 1));
    assert_ne!(day, courses(40, 2700.0, 2));
    let fates: std::collections::BTreeSet<Fate> = day.iter().map(|course| course.fate).collect();
    assert_eq!(fates.len(), SHARES.len() + 1);
    assert!(
        day.iter().all(|course| (120.0..=1200.0).contains(&course.work) && course.at < 1890.0),
        "{day:?}"
    );
    assert!((0..NAMESPACES).all(|place| day.iter().any(|course| course.namespace == place)));
    let many = courses(2000, 86_400.0, 1);
    let mean = many.iter().map(|course| course.work).sum::<f64>() / 2000.0;
    assert!((2400.0..3600.0).contains(&mean), "about 50 minutes: {mean}");
}
