//! Whether a remote or a bucket has answered at all: a pure decision on what git and the client of buckets say of it.

/// What git 2.39 with curl 7.88 and OpenSSH 9.2, and newer ones, print where no answer came, or none but that it is not the
/// time. That the other end hung up is not among them: it also stands below a refusal.
const OF_REMOTES: [&str; 28] = [
    "git ls-remote: no end of it within",
    "git push: no end of it within",
    "unable to look up",
    "unable to connect",
    "Could not resolve",
    "Failed to connect",
    "Couldn't connect",
    "Could not connect",
    "connect to host",
    "Connection refused",
    "Connection reset",
    "Connection closed by",
    "kex_exchange_identification",
    "imed out",
    "Operation too slow",
    "Empty reply",
    "transfer closed with",
    "HTTP/2 stream",
    "early EOF",
    "unexpected disconnect",
    "SSL_ERROR_SYSCALL",
    "gnutls_handshake() failed: The TLS connection",
    "GnuTLS recv error",
    "returned error: 408",
    "returned error: 429",
    "returned error: 50",
    "returned error: 52",
    "returned error: 53",
];
/// The same of a bucket, as [`super::bucket`] tells it.
const OF_BUCKETS: [&str; 9] = [
    "it took longer than",
    "HTTP error: ",
    "SlowDown",
    "ServiceUnavailable",
    "(HTTP 5",
    "(HTTP 429",
    "status code: 408",
    "status code: 429",
    "status code: 5",
];
/// What is wrong, although the connection came to nothing by it.
const WRONG: [&str; 2] = ["invalid peer certificate", "corrupt message"];

/// Whether nothing was heard that would say that address or credential are wrong.
pub(super) fn is_missing(reason: &str) -> bool {
    let has = |all: &[&str]| all.iter().any(|words| reason.contains(words));
    if reason.starts_with("the bucket ") { has(&OF_BUCKETS) && !has(&WRONG) } else { has(&OF_REMOTES) }
}

#[cfg(test)]
mod tests {
    use super::is_missing;

    #[test]
    fn an_outage_is_told_from_a_refusal() {
        for outage in [
            "git ls-remote: fatal: unable to look up git (port 9418) (Name or service not known)",
            "git ls-remote: fatal: unable to connect to git:; git[0: 10.0.0.1]: errno=Connection refused",
            "git ls-remote: no end of it within 15 s",
            "git clone: fatal: unable to access 'https://h/a/': The requested URL returned error: 503",
            "git clone: fatal: unable to access 'https://h/a/': Failed to connect to h port 443 after 3 ms: Couldn't connect to server",
            "git ls-remote: ssh: connect to host h port 22: No route to host; fatal: Could not read from remote repository.",
            "git ls-remote: kex_exchange_identification: Connection closed by remote host",
            "git ls-remote: fatal: unable to access 'https://h/a/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
            "git clone: error: RPC failed; curl 18 transfer closed with outstanding read data remaining; fatal: early EOF",
            "the bucket loops cannot be listed, HTTP error: Connection refused (os error 111)",
            "the bucket loops cannot be listed, Server returned non-2xx status code: 503 Service Unavailable: ",
            "the bucket loops cannot be written, InternalError: We encountered an internal error (HTTP 500)",
            "the bucket loops cannot be listed, it took longer than 40 s",
        ] {
            assert!(is_missing(outage), "{outage}");
        }
        for refusal in [
            "git clone: fatal: Authentication failed for 'https://h/a/'",
            "git ls-remote: fatal: could not read Username for 'https://h': terminal prompts disabled",
            "git ls-remote: fatal: remote error: access denied or repository not exported: /none.git",
            "git ls-remote: fatal: repository 'http://h/SlowDown.git/' not found",
            "git push: fatal: unable to access 'https://h/a/': The requested URL returned error: 403",
            "git ls-remote: git@h: Permission denied (publickey).; fatal: Could not read from remote repository.",
            "git ls-remote: fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none",
            "git ls-remote: fatal: the remote end hung up unexpectedly",
            "git clone: no end of it within 600 s",
            "the bucket loops cannot be listed, HTTP error: invalid peer certificate: UnknownIssuer",
            "the bucket loops cannot be listed, NoSuchBucket",
        ] {
            assert!(!is_missing(refusal), "{refusal}");
        }
    }
}
