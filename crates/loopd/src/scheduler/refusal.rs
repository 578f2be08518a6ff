//! Why a run does not get a slot now: a word and a sentence with what to do. No number in it changes while the run waits, so
//! that nothing is written anew for nothing.

/// The first thing that stands in a run's way. Workers are named; the empty name is the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal<'a> {
    /// The labels of its namespace are not known yet.
    NamespaceUnseen { namespace: &'a str },
    /// It names a worker, where no workers are seen.
    NoWorkers { worker: &'a str },
    /// It names a worker that is not there.
    WorkerNotFound { worker: &'a str },
    /// It names a worker that does not take runs of its namespace.
    WorkerNotInReach { worker: &'a str, namespace: &'a str },
    /// The worker cannot be read.
    Offline { worker: &'a str },
    /// The worker takes no new runs.
    Draining { worker: &'a str },
    /// The worker lacks something that the run requires.
    NoWorkerOffers { worker: &'a str, namespace: &'a str, capability: &'a str },
    /// Neither run nor worker nor operator names an image.
    NoImage { worker: &'a str },
    /// The worker does not allow an image.
    Image { worker: &'a str, image: &'a str },
    /// The worker does not allow a runtime class.
    RuntimeClass { worker: &'a str, name: &'a str },
    /// The worker does not allow so many dollars, or any number.
    Cost { worker: &'a str, limit: Option<&'a str>, most: &'a str },
    /// The run's namespace has as many runs as it may.
    NamespaceSlotsFull { worker: &'a str, namespace: &'a str, most: u32 },
    /// The run's repository has as many runs as it may.
    WorkspaceBusy { worker: &'a str, workspace: &'a str, most: u32 },
    /// Every slot is taken, or goes to a run that comes first.
    SlotsFull { worker: &'a str, slots: usize },
}

impl Refusal<'_> {
    /// The reason of a condition; the label of a counter.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NamespaceUnseen { .. } => "NamespaceUnseen",
            Self::NoWorkers { .. } | Self::WorkerNotFound { .. } => "WorkerNotFound",
            Self::WorkerNotInReach { .. } => "WorkerNotInReach",
            Self::Offline { .. } => "WorkerOffline",
            Self::Draining { .. } => "Draining",
            Self::NoWorkerOffers { .. } => "NoWorkerOffers",
            Self::NoImage { .. } => "NoAgentImage",
            Self::Image { .. } | Self::RuntimeClass { .. } | Self::Cost { .. } => "NotAllowed",
            Self::NamespaceSlotsFull { .. } => "NamespaceSlotsFull",
            Self::WorkspaceBusy { .. } => "WorkspaceBusy",
            Self::SlotsFull { .. } => "SlotsFull",
        }
    }

    /// Whether nothing will come without somebody's doing.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(
            self.reason(),
            "WorkerNotFound"
                | "WorkerNotInReach"
                | "WorkerOffline"
                | "NoWorkerOffers"
                | "NoAgentImage"
                | "NotAllowed"
        )
    }

    /// What was seen and what to do.
    pub(crate) fn message(&self) -> String {
        match *self {
            Self::NamespaceUnseen { namespace } => {
                format!("the operator has not seen namespace {namespace} yet; the run goes on by itself")
            }
            Self::NoWorkers { worker } => format!(
                "the operator looks after one namespace and sees no LoopWorkers, so {worker} of spec.workerRef cannot take \
                 the run; make it anew without"
            ),
            Self::WorkerNotFound { worker } => format!(
                "LoopWorker {worker} of spec.workerRef is not there; make it, or make the run anew with another or none"
            ),
            Self::WorkerNotInReach { worker, namespace } => format!(
                "LoopWorker {worker} of spec.workerRef does not take runs of namespace {namespace}; give the namespace \
                 labels that its spec.namespaceSelector asks for, or make the run anew with another worker"
            ),
            Self::Offline { worker } => format!(
                "LoopWorker {worker} cannot be read by this operator; upgrade the operator, or see what is wrong with \
                 kubectl describe lw {worker}"
            ),
            Self::Draining { worker } => format!(
                "LoopWorker {worker} is drained and takes no new runs; the run starts when spec.drain.enabled of the worker \
                 is false again, or when another one takes it"
            ),
            Self::NoWorkerOffers { worker: "", namespace, capability } => format!(
                "spec.requires asks for {capability}, and no LoopWorker takes runs of namespace {namespace}; make one that \
                 has it in spec.capabilities, or make the run anew without"
            ),
            Self::NoWorkerOffers { worker, capability, .. } => format!(
                "spec.requires asks for {capability}, which LoopWorker {worker} does not offer; add it to spec.capabilities \
                 of a worker that has it, or make the run anew without"
            ),
            Self::NoImage { worker: "" } => {
                "no image says where agent and gates work; make the run anew with spec.agent.image, or start the operator \
                 with --agent-image"
                    .to_owned()
            }
            Self::NoImage { worker } => format!(
                "no image says where agent and gates work; make the run anew with spec.agent.image, or give LoopWorker \
                 {worker} one in spec.defaults.agent.image"
            ),
            Self::Image { worker, image } => format!(
                "LoopWorker {worker} does not allow image {image}; use one that spec.policy.images of the worker names, or \
                 have it added there"
            ),
            Self::RuntimeClass { worker, name } => format!(
                "LoopWorker {worker} does not allow runtime class {name} of the pod template; use one that \
                 spec.policy.runtimeClassNames of the worker names, or have it added there"
            ),
            Self::Cost { worker, limit: None, most } => format!(
                "LoopWorker {worker} takes only runs that limit their cost; set spec.limits.costUSD to \"{most}\" or less"
            ),
            Self::Cost { worker, limit: Some(limit), most } => format!(
                "LoopWorker {worker} allows at most {most} US dollars, and spec.limits.costUSD is {limit}; lower it"
            ),
            Self::NamespaceSlotsFull { worker, namespace, most } => format!(
                "namespace {namespace} has all of its {most} slots of LoopWorker {worker} in use; this run starts when one of \
                 its runs has ended"
            ),
            Self::WorkspaceBusy { worker, workspace, most } => format!(
                "LoopWorker {worker} lets at most {most} of the runs of {workspace} go on at once; this run starts when one \
                 of those has ended"
            ),
            Self::SlotsFull { worker: "", slots: 0 } => {
                "the operator has no slots; start it with --slots 1 or more".to_owned()
            }
            Self::SlotsFull { worker: "", slots: 1 } => {
                "the operator's only slot is taken; this run starts when those before it have ended"
                    .to_owned()
            }
            Self::SlotsFull { worker: "", slots } => {
                format!(
                    "all {slots} slots of the operator are taken; this run starts when older ones have ended"
                )
            }
            Self::SlotsFull { worker, slots: 0 } => {
                format!(
                    "LoopWorker {worker} has no slots; set its spec.slots to 1 or more (kubectl scale lw {worker})"
                )
            }
            Self::SlotsFull { worker, slots } => format!(
                "all slots of LoopWorker {worker} are taken ({slots}); this run starts when those before it have ended"
            ),
        }
    }
}
