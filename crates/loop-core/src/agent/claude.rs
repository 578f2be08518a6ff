//! Claude Code, as of version 2.1.197, whose output the fixtures under `tests/fixtures/claude` hold.
//!
//! What it really does: totals in a `result` are those of one process, also when a session is continued; a session id
//! that is in use already is refused, and so is one to continue that does not exist; an error of the service comes as
//! subtype `success` with `is_error`; as root it refuses to skip permissions unless `IS_SANDBOX` is set.

mod limit;
mod line;
mod text;

pub(super) use limit::resets_at;
pub(super) use line::StreamJson;

use super::{Adapter, Output, StateFolder};

/// `claude -p`, with the user's own login or key.
pub static CLAUDE: Adapter = Adapter {
    name: "claude",
    program: Some("claude"),
    install: "install it with `npm install -g @anthropic-ai/claude-code` and log in once with `claude`, or set ANTHROPIC_API_KEY",
    access: "log in with `claude`, or set ANTHROPIC_API_KEY to a key that is valid and paid for",
    credentials: &[
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
    ],
    default_model: Some("opus"),
    arguments: &[
        &["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"],
        &["--model", "{{model}}"],
        &["--session-id", "{{newSession}}"],
        &["--resume", "{{session}}"],
    ],
    // The program is read-only to it.
    environment: &[("DISABLE_AUTOUPDATER", "1")],
    // True there, and without it root may not skip permissions.
    confined_environment: &[("IS_SANDBOX", "1")],
    output: Output::StreamJson,
    announces: true,
    analyses: true,
    state: Some(StateFolder {
        variable: "CLAUDE_CONFIG_DIR",
        default: ".claude",
        shown: &[
            "settings.json",
            "CLAUDE.md",
            "agents",
            "commands",
            "hooks",
            "output-styles",
            "plugins",
            "rules",
            "skills",
        ],
        shared: &[".credentials.json"],
        copied: &[(".claude.json", ".claude.json")],
        sessions: "projects",
    }),
};
