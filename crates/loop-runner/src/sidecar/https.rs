//! How requests get to a bucket: by the client and the provider of TLS that the sidecar has for the API server already.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector as Connect, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Longest that a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Longest that the head of an answer may take, after a request of some megabytes.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Makes clients that believe these authorities.
#[derive(Debug)]
pub(super) struct Https {
    config: ClientConfig,
}

impl Https {
    /// Believes the authorities of the system and, if they are given, those of a file `ca.crt`.
    ///
    /// # Errors
    /// When that file holds no certificates.
    pub(super) fn new(own: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        if let Some(text) = own {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
            let read = read.map_err(|error| format!("ca.crt cannot be read: {error:?}"))?;
            if read.is_empty() {
                return Err("ca.crt holds no certificate".into());
            }
            for certificate in read {
                roots.add(certificate).map_err(|error| format!("ca.crt cannot be used: {error}"))?;
            }
        }
        // A system without any is no failure: an endpoint may be plain http, or have its own.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config })
    }
}

impl Connect for Https {
    // Time and scheme are ours to decide, so nothing of the options is left.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut plain = HttpConnector::new();
        plain.set_connect_timeout(Some(CONNECT_TIME));
        plain.set_nodelay(true);
        plain.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.config.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        Ok(HttpClient::new(Service(Client::builder(TokioExecutor::new()).build(connector))))
    }
}

#[derive(Debug)]
struct Service(Client<HttpsConnector<HttpConnector>, HttpRequestBody>);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = tokio::time::timeout(ANSWER_TIME, self.0.request(request)).await;
        let answer = asked.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        let answer = answer.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new_boxed(kind, root(error).into())
        })?;
        let (parts, body) = answer.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// The last of a chain of errors, which says what has happened.
fn root(error: impl Error + 'static) -> String {
    let mut last: &dyn Error = &error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
