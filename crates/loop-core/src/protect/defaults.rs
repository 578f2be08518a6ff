//! Paths that steer a check in almost any repository.

/// Why a path of each table is protected.
pub(super) const LOOP_FILES: &str = "the loop's own files";
pub(super) const CI: &str = "CI configuration";
pub(super) const RUNNER: &str = "test-runner configuration";
pub(super) const EXPORT: &str = "decides what the gates' checkout holds";
pub(super) const TOOLS: &str = "chooses the tools that a gate runs";
pub(super) const MAKE: &str = "build file a gate runs";
pub(super) const PACKAGE_MANAGER: &str = "package manager configuration a gate uses";

/// Patterns with the reason they share; a name also stands for everything below it.
pub(super) const ALWAYS: [(&str, &[&str]); 5] = [
    (LOOP_FILES, &[".loop"]),
    (
        CI,
        &[
            ".github",
            ".gitlab-ci.yml",
            ".gitlab-ci",
            ".gitlab/ci",
            ".circleci",
            "**/Jenkinsfile*",
            "azure-pipelines*.{yml,yaml}",
            ".azure-pipelines",
            ".azure/pipelines",
            ".buildkite",
            ".travis.yml",
            "{.,}appveyor.yml",
            "bitbucket-pipelines.yml",
            ".drone.{yml,yaml,jsonnet,star}",
            ".woodpecker*",
            ".cirrus.{yml,star}",
            ".semaphore",
            ".teamcity",
            ".tekton",
            ".forgejo",
            ".gitea",
            ".builds",
            ".build.yml",
            ".ci",
            "cloudbuild.{yml,yaml,json}",
            "buildspec.{yml,yaml}",
            "codefresh.{yml,yaml}",
            "wercker.yml",
            ".pre-commit-config.yaml",
        ],
    ),
    (
        RUNNER,
        &[
            "**/{.,}pytest.{ini,toml}",
            "**/tox.{ini,toml}",
            "**/noxfile.py",
            // Deeper ones hold fixtures, which honest test work changes; they are test files.
            "conftest.py",
            "**/jest.config.*",
            "**/vitest.{config,workspace}.*",
            "**/.mocharc*",
            "**/karma.conf*",
            "**/playwright.config.*",
            "**/playwright-ct.config.*",
            "**/cypress.config.*",
            "**/wdio.conf.*",
            "**/web-test-runner.config.*",
            "**/ava.config.*",
            "**/.taprc",
            "**/jasmine.json",
            "**/phpunit{.dist,}.xml*",
            "**/.rspec*",
            "**/.proverc",
            "**/testng*.xml",
            "**/junit-platform.properties",
            "**/CTest{Config,Custom}.cmake",
            "**/.config/nextest.toml",
            "**/.cargo/config",
            "**/.cargo/config.toml",
            "**/.mvn",
            "**/bunfig.toml",
            "**/.runsettings",
        ],
    ),
    (EXPORT, &["**/.gitattributes"]),
    (
        TOOLS,
        &[
            "rust-toolchain{,.toml}",
            ".tool-versions",
            "{.,}mise.toml",
            ".python-version",
            // Committed, these would be run instead of what the machine has.
            "**/node_modules/.bin",
            "**/{.,}venv/bin",
        ],
    ),
];

/// What `make` and `just` read first, present or not: a new `GNUmakefile` would hide the Makefile.
pub(super) const MAKE_NAMES: [&str; 2] = ["GNUmakefile", "Makefile"];
pub(super) const JUST_NAMES: [&str; 2] = ["justfile", ".justfile"];

/// Files by which npm, yarn and pnpm choose what a script's name runs.
pub(super) const PACKAGE_MANAGER_FILES: [&str; 5] =
    ["**/.npmrc", "**/.yarnrc", "**/.yarnrc.yml", "**/.pnpmfile.{cjs,js}", "**/.yarn/plugins"];
