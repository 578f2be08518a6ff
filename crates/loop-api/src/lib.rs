//! The contract of Agentloop.
