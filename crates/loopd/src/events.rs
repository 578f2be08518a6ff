//! What is told as Kubernetes Events: what a status says too, for those who look at what happened.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use loop_api::names;

/// Tells of an object, with the event's reason and action.
///
/// # Errors
/// When the API server refuses, or is not reached.
pub(crate) async fn tell(
    client: &Client,
    about: ObjectReference,
    type_: EventType,
    (reason, action): (&str, &str),
    note: &str,
) -> Result<(), kube::Error> {
    let reporter = Reporter { controller: names::OPERATOR.into(), instance: None };
    let event = Event {
        type_,
        reason: reason.into(),
        note: Some(note.to_owned()),
        action: action.into(),
        secondary: None,
    };
    Recorder::new(client.clone(), reporter).publish(&event, &about).await
}
