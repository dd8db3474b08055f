//! A bucket, by the S3 protocol.
//!
//! *Invariant:* a request is tried at most [`RETRIES_MAX`] times more, for [`RETRY_FOR`] at most;
//! whoever needs it after that asks again. A conditional put is not repeated blindly: its error is
//! told, and the caller looks what became of it.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use model::{Objects, Put, Upload};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectStore,
    ObjectStoreExt as _, PutMode, PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::{Builder, Runtime};

use crate::{Access, Error, Place};

/// How often a request is tried again.
const RETRIES_MAX: usize = 2;
/// How long a request is tried again at most.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// How long one try may take: a part of 8 MiB over a slow line.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest reason that is told, in characters.
const WHY_CHARS_MAX: usize = 500;

/// Objects below a prefix of a bucket.
#[derive(Debug)]
pub struct S3 {
    store: Arc<AmazonS3>,
    place: Place,
    requests: Option<Runtime>,
}

impl S3 {
    /// Gets ready to speak with a store; nothing is sent yet.
    ///
    /// # Errors
    /// What it takes is missing, or is no certificate.
    pub fn open(place: Place, access: &Access) -> Result<Self, Error> {
        // Another part may have installed one already; any will do.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let store = Arc::new(client(&place, access)?);
        let requests = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        Ok(Self { store, place, requests: Some(requests) })
    }

    fn path(&self, name: &str) -> io::Result<Path> {
        let parts = [self.place.prefix.as_str(), name];
        let whole: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Path::parse(whole.join("/"))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Runs a request on the thread of requests; the calling thread waits.
    fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let runtime = self.requests.as_ref().ok_or_else(gone)?;
        wait(runtime.handle(), request)
    }
}

/// The same for whoever holds no [`S3`].
fn wait<T: Send + 'static>(
    on: &tokio::runtime::Handle,
    request: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    on.spawn(async move {
        // Whoever asked may be gone.
        let _gone = answer.send(request.await).is_err();
    });
    answered.recv().map_err(|_dropped| gone())?.map_err(told)
}

fn gone() -> io::Error {
    io::Error::other("the thread of requests has ended")
}

fn client(place: &Place, access: &Access) -> Result<AmazonS3, Error> {
    let broken = |source| Error::Access { place: place.to_string(), source };
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(&place.bucket);
    if !access.endpoint.is_empty() {
        builder = builder.with_endpoint(&access.endpoint);
    }
    if !access.region.is_empty() {
        builder = builder.with_region(&access.region);
    }
    if !access.access_key_id.is_empty() {
        builder = builder
            .with_access_key_id(&access.access_key_id)
            .with_secret_access_key(&access.secret_access_key);
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).unwrap_or_default();
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_MAX)
        .with_connect_timeout(CONNECT_MAX)
        .with_allow_http(endpoint.starts_with("http://"));
    if !access.authority.is_empty() {
        let read = Certificate::from_pem_bundle(&access.authority);
        let read =
            read.map_err(|source| Error::Authority { place: place.to_string(), source })?;
        for certificate in read {
            options = options.with_root_certificate(certificate);
        }
    }
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_FOR,
    };
    builder.with_client_options(options).with_retry(retry).build().map_err(broken)
}

/// A library's error in one line, with the kind that callers look at.
fn told(error: object_store::Error) -> io::Error {
    use object_store::Error as Said;
    let kind = match &error {
        Said::NotFound { .. } => io::ErrorKind::NotFound,
        Said::AlreadyExists { .. } | Said::Precondition { .. } => io::ErrorKind::AlreadyExists,
        Said::PermissionDenied { .. } | Said::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        // The library may add situations.
        _ => io::ErrorKind::Other,
    };
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let text = deeper.to_string();
        if !said.contains(&text) {
            // Writing to a String cannot fail.
            let _ok = write!(said, ": {text}");
        }
        cause = deeper.source();
    }
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    io::Error::new(kind, line.chars().take(WHY_CHARS_MAX).collect::<String>())
}

impl Drop for S3 {
    fn drop(&mut self) {
        // The last holder may be a task of another runtime, which must not wait.
        if let Some(requests) = self.requests.take() {
            requests.shutdown_background();
        }
    }
}

impl Objects for S3 {
    fn place(&self) -> String {
        self.place.to_string()
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        self.wait(async move { store.head(&path).await }).map(|about| about.size)
    }

    fn read(&self, name: &str, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let read = async move { store.get_opts(&path, options).await?.bytes().await };
        self.wait(read).map(Vec::from)
    }

    fn read_all(&self, name: &str) -> io::Result<Vec<u8>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let read = async move { store.get(&path).await?.bytes().await };
        self.wait(read).map(Vec::from)
    }

    fn put(&self, name: &str, bytes: Vec<u8>, put: Put) -> io::Result<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let mode = match put {
            Put::Create => PutMode::Create,
            Put::Replace => PutMode::Overwrite,
        };
        let options = PutOptions::from(mode);
        let written =
            async move { store.put_opts(&path, PutPayload::from(bytes), options).await };
        self.wait(written).map(drop)
    }

    fn upload(&self, name: &str) -> io::Result<Box<dyn Upload>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let parts = self.wait(async move { store.put_multipart(&path).await })?;
        let on = self.requests.as_ref().ok_or_else(gone)?.handle().clone();
        Ok(Box::new(Parts { parts: Some(parts), on }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let (store, path) = (Arc::clone(&self.store), self.path(folder)?);
        let found = self.wait(async move { store.list_with_delimiter(Some(&path)).await })?;
        let names = found.objects.iter().filter_map(|object| object.location.filename());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        match self.wait(async move { store.delete(&path).await }) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// An object that is sent part by part.
#[derive(Debug)]
struct Parts {
    parts: Option<Box<dyn MultipartUpload>>,
    on: tokio::runtime::Handle,
}

impl Upload for Parts {
    fn part(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let parts = self.parts.as_mut().ok_or_else(gone)?;
        let part = parts.put_part(PutPayload::from(bytes));
        wait(&self.on, part)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let mut parts = self.parts.take().ok_or_else(gone)?;
        wait(&self.on, async move { parts.complete().await }).map(drop)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            // Best effort: what stays behind is invisible, and a rule of the bucket ends it.
            self.on.spawn(async move { drop(parts.abort().await) });
        }
    }
}
