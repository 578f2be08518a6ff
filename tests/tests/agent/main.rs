//! Agents that report what they do: the real Claude Code against a scripted model, and a fake one that does what the
//! real one does on its bad days.

mod budget;
mod fake;
mod killed;
mod scenario;
mod whole;
