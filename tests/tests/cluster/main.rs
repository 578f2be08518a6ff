//! Runs on a real cluster, which `tests/cluster/up` starts and `LOOP_CLUSTER_RUN` leads to. Without it nothing is tested
//! and that is said; where everything is required, it is a failure.

mod checkout;
mod claude;
mod credentials;
mod day;
mod disk;
mod example;
mod faults;
mod hostile;
mod leases;
mod lifecycle;
mod lost;
mod memory;
mod operator;
mod place;
mod policies;
mod refusals;
mod repeats;
mod rights;
mod speed;
mod stores;
mod templates;
mod together;
mod wishes;
mod worker_examples;
mod workers;
mod worktrunk;
mod writes;
