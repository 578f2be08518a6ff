//! Worktrees by Worktrunk, with its real command `wt` where `LOOP_TEST_WT` names one, and with broken ones.

mod hooks;
mod killed;
mod providers;
mod scenario;
mod without;
