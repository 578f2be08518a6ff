//! The policies that a run has to pass to be admitted to a pool, in their order. The first that refuses counts.

use std::collections::HashMap;

use loop_api::worker::Policy as Limits;

use super::{Entry, Pool, Refusal};

/// What is in use of a pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Usage<'a> {
    pub(super) active: usize,
    /// Whether one of them cannot go on elsewhere.
    pub(super) bound: bool,
    pub(super) namespaces: HashMap<&'a str, u32>,
    pub(super) workspaces: HashMap<&'a str, u32>,
}

impl<'a> Usage<'a> {
    /// One more run.
    pub(super) fn add(&mut self, run: &'a Entry<'a>) {
        self.active += 1;
        self.bound |= !run.keeps;
        *self.namespaces.entry(run.namespace).or_default() += 1;
        *self.workspaces.entry(&run.workspace).or_default() += 1;
    }

    pub(super) fn of_namespace(&self, namespace: &str) -> u32 {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }
}

type Policy = for<'a> fn(&'a Entry<'a>, &Pool<'a>, &Usage<'a>) -> Option<Refusal<'a>>;

/// Whether the pool takes runs at all.
const SERVES: [Policy; 2] = [offline, draining];
/// Whether it takes this run. What budgets and rate limits say belongs here too, once there is a gateway that meters.
const FITS: [Policy; 5] = [capabilities, no_image, images, runtime_class, cost];
/// Whether there is room. These can only grow fuller while runs are admitted.
const ROOM: [Policy; 3] = [namespace_slots, workspace, slots];

/// The first refusal, with how far the run got before it.
pub(super) fn refusal<'a>(
    run: &'a Entry<'a>,
    pool: &Pool<'a>,
    usage: &Usage<'a>,
) -> Option<(usize, Refusal<'a>)> {
    let chain = SERVES.iter().chain(&FITS).chain(&ROOM);
    chain.enumerate().find_map(|(depth, policy)| Some((depth, policy(run, pool, usage)?)))
}

/// Whether nothing but room keeps a run out of a pool.
pub(super) fn is_eligible<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, usage: &Usage<'a>) -> bool {
    SERVES.iter().chain(&FITS).all(|policy| policy(run, pool, usage).is_none())
}

/// Whether a pool would take a run if it was in service and had room.
pub(super) fn fits<'a>(run: &'a Entry<'a>, pool: &Pool<'a>) -> bool {
    not_allowed(run, pool).is_none()
}

/// What in a run a pool does not take, whatever room there is.
pub(super) fn not_allowed<'a>(run: &'a Entry<'a>, pool: &Pool<'a>) -> Option<Refusal<'a>> {
    let usage = Usage::default();
    FITS.iter().find_map(|policy| policy(run, pool, &usage))
}

/// Whether its namespace or its repository keeps a run out of a pool.
pub(super) fn is_capped<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, usage: &Usage<'a>) -> bool {
    namespace_slots(run, pool, usage).or_else(|| workspace(run, pool, usage)).is_some()
}

fn offline<'a>(_: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    pool.spec.is_none().then_some(Refusal::Offline { worker: pool.name })
}

fn draining<'a>(_: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    pool.spec?.is_draining().then_some(Refusal::Draining { worker: pool.name })
}

fn capabilities<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    let offered = pool.spec.map_or(&[][..], |spec| &spec.capabilities);
    let missing = run.wants.requires.iter().find(|capability| !offered.contains(capability))?;
    Some(Refusal::NoWorkerOffers { worker: pool.name, namespace: run.namespace, capability: missing })
}

fn no_image<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    let has_none = run.wants.image.is_none() && !run.wants.by_template && pool.image.is_none();
    has_none.then_some(Refusal::NoImage { worker: pool.name })
}

fn limits<'a>(pool: &Pool<'a>) -> Option<&'a Limits> {
    pool.spec?.policy.as_ref()
}

fn images<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    let limits = limits(pool)?;
    let of_template = run.wants.template.into_iter().flat_map(|asks| &asks.images).map(String::as_str);
    // What the worker itself gives is not asked for.
    let own = run.wants.image.filter(|image| pool.image != Some(image));
    let image = own.into_iter().chain(of_template).find(|image| !limits.allows_image(image))?;
    Some(Refusal::Image { worker: pool.name, image })
}

fn runtime_class<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    let name = run.wants.template?.runtime_class.as_deref()?;
    (!limits(pool)?.allows_runtime_class(name)).then_some(Refusal::RuntimeClass { worker: pool.name, name })
}

fn cost<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, _: &Usage<'a>) -> Option<Refusal<'a>> {
    let (limits, limit) = (limits(pool)?, run.wants.cost);
    let most = limits.cost_usd.as_deref()?;
    (!limits.allows_cost(limit)).then_some(Refusal::Cost { worker: pool.name, limit, most })
}

fn namespace_slots<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, usage: &Usage<'a>) -> Option<Refusal<'a>> {
    let (worker, namespace, most) = (pool.name, run.namespace, pool.spec?.slots_per_namespace?);
    (usage.of_namespace(namespace) >= most).then_some(Refusal::NamespaceSlotsFull { worker, namespace, most })
}

fn workspace<'a>(run: &'a Entry<'a>, pool: &Pool<'a>, usage: &Usage<'a>) -> Option<Refusal<'a>> {
    let (worker, workspace, most) = (pool.name, &*run.workspace, pool.spec?.max_runs_per_workspace?);
    let used = usage.workspaces.get(workspace).copied().unwrap_or_default();
    (used >= most).then_some(Refusal::WorkspaceBusy { worker, workspace, most })
}

fn slots<'a>(_: &'a Entry<'a>, pool: &Pool<'a>, usage: &Usage<'a>) -> Option<Refusal<'a>> {
    let slots = pool.slots();
    (usage.active >= slots).then_some(Refusal::SlotsFull { worker: pool.name, slots })
}
