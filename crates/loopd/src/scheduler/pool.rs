//! Workers, and which of them a run may go to.

use std::collections::{BTreeMap, HashMap};

use loop_api::worker::LoopWorkerSpec;

use super::{Entry, Refusal, policies};

/// Slots that runs are admitted to: a `LoopWorker`'s, or the operator's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool<'a> {
    /// Name of the worker; empty = the operator.
    pub(crate) name: &'a str,
    /// What it takes; `None` = it cannot be read, so that nobody knows.
    pub(crate) spec: Option<&'a LoopWorkerSpec>,
    /// The image in which agent and gates of a run work that names none: the worker's, or the operator's.
    pub(crate) image: Option<&'a str>,
}

impl<'a> Pool<'a> {
    /// Of a worker, where the operator has this image.
    pub(crate) fn new(name: &'a str, spec: Option<&'a LoopWorkerSpec>, own: &'a LoopWorkerSpec) -> Self {
        Self { name, spec, image: spec.and_then(image).or_else(|| image(own)) }
    }

    /// Slots in all.
    pub(crate) fn slots(&self) -> usize {
        self.spec.map_or(0, |spec| spec.slots as usize)
    }
}

/// The image that a worker gives.
fn image(spec: &LoopWorkerSpec) -> Option<&str> {
    spec.defaults.as_ref()?.image()
}

/// All pools, and who may go where.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    /// The operator's first, then the workers by their names.
    pub(super) pools: Vec<Pool<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// Which workers take runs of a namespace; where none does, the operator.
    reach: HashMap<&'a str, Vec<usize>>,
    /// Whether workers are seen at all.
    sees_workers: bool,
}

impl<'a> Cluster<'a> {
    /// Of an operator that sees workers and namespaces, these with their labels.
    pub(crate) fn new(
        own: &'a LoopWorkerSpec,
        workers: impl IntoIterator<Item = Pool<'a>>,
        namespaces: impl IntoIterator<Item = (&'a str, &'a BTreeMap<String, String>)>,
    ) -> Self {
        let mut cluster = Self::alone(own);
        cluster.sees_workers = true;
        cluster.pools.extend(workers);
        cluster.pools[1..].sort_unstable_by_key(|pool| pool.name);
        let names = cluster.pools.iter().enumerate().skip(1);
        cluster.by_name = names.map(|(index, pool)| (pool.name, index)).collect();
        for (namespace, labels) in namespaces {
            let mut reach: Vec<usize> = (1..cluster.pools.len())
                .filter(|index| {
                    let selector =
                        cluster.pools[*index].spec.and_then(|spec| spec.namespace_selector.as_ref());
                    selector.is_none_or(|selector| selector.matches(labels))
                })
                .collect();
            if reach.is_empty() {
                reach.push(0);
            }
            cluster.reach.insert(namespace, reach);
        }
        cluster
    }

    /// Of an operator that looks after one namespace and sees no workers.
    pub(crate) fn alone(own: &'a LoopWorkerSpec) -> Self {
        let pools = vec![Pool { name: "", spec: Some(own), image: image(own) }];
        Self { pools, by_name: HashMap::new(), reach: HashMap::new(), sees_workers: false }
    }

    /// The number of a worker's pool.
    pub(super) fn pool(&self, worker: &str) -> Option<usize> {
        if worker.is_empty() { Some(0) } else { self.by_name.get(worker).copied() }
    }

    /// What in a run, beside room, the worker that has admitted it does not take.
    pub(crate) fn not_allowed(&self, run: &'a Entry<'a>, worker: &str) -> Option<Refusal<'a>> {
        policies::not_allowed(run, self.pools.get(self.pool(worker)?)?)
    }

    /// Pools that may take a run, by their numbers.
    pub(super) fn candidates(&self, run: &Entry<'a>) -> Result<&[usize], Refusal<'a>> {
        if !self.sees_workers {
            return match run.wants.worker {
                Some(worker) => Err(Refusal::NoWorkers { worker }),
                None => Ok(&[0]),
            };
        }
        let namespace = run.namespace;
        let reach = self.reach.get(namespace).ok_or(Refusal::NamespaceUnseen { namespace })?;
        let Some(worker) = run.wants.worker else { return Ok(reach) };
        let index = self.by_name.get(worker).ok_or(Refusal::WorkerNotFound { worker })?;
        if reach.contains(index) {
            Ok(std::slice::from_ref(index))
        } else {
            Err(Refusal::WorkerNotInReach { worker, namespace })
        }
    }
}
