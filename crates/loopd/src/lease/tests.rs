use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn lease(holder: &str, seconds: i32) -> Lease {
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    let mut lease = held(None, holder, now);
    lease.metadata.resource_version = Some("7".into());
    lease.spec.as_mut().expect("a spec").lease_duration_seconds = Some(seconds);
    lease
}

fn decided(lease: &Lease, unwritten: Duration) -> Step {
    decide(lease.spec.as_ref(), "me", unwritten)
}

#[test]
fn a_lease_that_is_not_there_or_free_or_ours_is_claimed_at_once() {
    assert_eq!(decide(None, "me", Duration::ZERO), Step::Claim);
    assert_eq!(decide(Some(&LeaseSpec::default()), "me", Duration::ZERO), Step::Claim);
    assert_eq!(decided(&lease("", 15), Duration::ZERO), Step::Claim);
    assert_eq!(decided(&lease("me", 15), Duration::ZERO), Step::Claim);
}

#[test]
fn a_lease_of_another_is_claimed_when_nobody_wrote_it_for_as_long_as_it_says() {
    assert_eq!(decided(&lease("other", 15), Duration::ZERO), Step::Wait(LOOK));
    assert_eq!(decided(&lease("other", 15), 14 * SECOND), Step::Wait(SECOND));
    assert_eq!(decided(&lease("other", 15), 15 * SECOND), Step::Claim);
    assert_eq!(decided(&lease("other", 60), 59 * SECOND), Step::Wait(SECOND));
    // Written by something else, and without sense.
    assert_eq!(decided(&lease("other", -1), Duration::ZERO), Step::Claim);
}

#[test]
fn a_holder_gives_up_before_another_may_begin() {
    assert!(GIVE_UP + RETRY < LEASE && RENEW + ANSWER < GIVE_UP);
}

#[test]
fn what_is_written_names_the_version_that_was_read() {
    let later: Timestamp = "2026-01-01T00:01:00Z".parse().expect("a time");
    let first = held(None, "me", later);
    assert_eq!((first.name_any().as_str(), first.resource_version()), (names::OPERATOR, None));

    let read = lease("other", 60);
    let taken = held(Some(&read), "me", later);
    assert_eq!(taken.resource_version().as_deref(), Some("7"));
    let spec = taken.spec.clone().expect("a spec");
    assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(1), Some(15)));
    assert_eq!((spec.acquire_time, spec.renew_time), (Some(MicroTime(later)), Some(MicroTime(later))));

    let latest: Timestamp = "2026-01-01T00:02:00Z".parse().expect("a time");
    let renewed = held(Some(&taken), "me", latest).spec.expect("a spec");
    assert_eq!((renewed.lease_transitions, renewed.acquire_time), (Some(1), Some(MicroTime(later))));
    assert_eq!(renewed.renew_time, Some(MicroTime(latest)));

    let given = free(&taken, latest);
    assert_eq!(given.resource_version().as_deref(), Some("7"));
    assert_eq!(decide(given.spec.as_ref(), "other", Duration::ZERO), Step::Claim);
    assert_eq!(given.spec.expect("a spec").lease_transitions, Some(1));
}
