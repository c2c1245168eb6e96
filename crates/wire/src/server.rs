//! A server whose every input has a bound: how many connections, how long and how slow a head and
//! a body may be, and how long an answer may take.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a surface: it listens, and the time a client may take is real time"
)]

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as Listener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::message::{Answer, Head, Problem, Request};

/// How long is waited after a connection could not be accepted, as when there are no file
/// descriptors left.
const BREATH: Duration = Duration::from_millis(50);
/// The longest name that a request may give itself, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// A future that may move between threads.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a server may be asked, and what it answers.
pub trait Service: Send + Sync + 'static {
    /// Whether this may be asked at all, and by whom: by the head alone, before its body is read.
    ///
    /// # Errors
    /// The problem that is answered in place of what was asked for.
    fn admit(&self, head: &Head) -> Result<(), Problem>;

    /// The answer. It is dropped when it takes longer than it may, or when nobody waits any more.
    fn answer(&self, request: Request) -> Work<'_, Answer>;
}

/// What a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most connections at once; more wait outside.
    pub connections_max: usize,
    /// The largest head, in bytes.
    pub head_bytes_max: usize,
    /// The most headers.
    pub headers_max: usize,
    /// How long a head may take, and how long a connection may be idle.
    pub head_time_max: Duration,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// How long a body may take.
    pub body_time_max: Duration,
    /// How long an answer may take.
    pub answer_time_max: Duration,
    /// How long answers that are under way may take when the server stops.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 256,
            head_bytes_max: 16 * 1_024,
            headers_max: 64,
            head_time_max: Duration::from_secs(10),
            body_bytes_max: 1024 * 1_024,
            body_time_max: Duration::from_secs(10),
            answer_time_max: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}

/// A server that runs. It stops when the value is dropped, or with [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    runtime: Handle,
}

struct House {
    service: Arc<dyn Service>,
    bounds: Bounds,
    /// The number of the next request that does not name itself.
    next: AtomicU64,
}

impl Server {
    /// Listen at `address`, and answer on `runtime`.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub fn start(
        runtime: &Handle,
        address: SocketAddr,
        bounds: Bounds,
        service: Arc<dyn Service>,
    ) -> std::io::Result<Self> {
        let listener = Listener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let inside = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(inside);
        let (stop, stopped) = watch::channel(false);
        let house = Arc::new(House { service, bounds, next: AtomicU64::new(1) });
        let accepting = runtime.spawn(accept(listener, house, stopped));
        Ok(Self { address, stop, accepting, runtime: runtime.clone() })
    }

    /// Where it listens: with the port that it was given, if any would do.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Take nothing more, and wait for the answers that are under way, as long as the grace is.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        // A task of ours that panicked has stopped, too.
        let _ = self.runtime.block_on(self.accepting);
    }
}

async fn accept(listener: TcpListener, house: Arc<House>, mut stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(house.bounds.connections_max));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Some((Ok((stream, _)), permit)) => {
                let (house, stopped) = (Arc::clone(&house), stopped.clone());
                connections.spawn(connection(stream, house, stopped, permit));
            }
            Some((Err(_), _)) => tokio::time::sleep(BREATH).await,
            None => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // What is not answered by then is cut off.
    let _ = tokio::time::timeout(house.bounds.grace, all).await;
}

async fn connection(
    stream: TcpStream,
    house: Arc<House>,
    mut stopped: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // Answers are small and awaited.
    let _ = stream.set_nodelay(true);
    let Bounds { head_time_max, head_bytes_max, headers_max, .. } = house.bounds;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_time_max)
        .max_buf_size(head_bytes_max.max(8_192))
        .max_headers(headers_max);
    let own = Arc::clone(&house);
    let service = service_fn(move |request| {
        let house = Arc::clone(&own);
        async move { Ok::<_, Infallible>(house.respond(request).await) }
    });
    let mut talking = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Whatever the client did, the connection is over.
        _ = talking.as_mut() => return,
        _ = stopped.changed() => talking.as_mut().graceful_shutdown(),
    }
    let _ = talking.await;
}

impl House {
    async fn respond(&self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let head = self.head(&parts);
        let request_id = head.request_id.clone();
        let is_head = parts.method == hyper::Method::HEAD;
        let answer = match self.asked(head, body).await {
            Ok(answer) => answer,
            Err(problem) => problem.answer(&request_id),
        };
        response(answer, &request_id, is_head)
    }

    async fn asked(&self, head: Head, body: Incoming) -> Result<Answer, Problem> {
        self.service.admit(&head)?;
        let bounds = &self.bounds;
        let too_large = || {
            let detail = format!("a body has at most {} bytes", bounds.body_bytes_max);
            Problem::new(413, "http.body_too_large", "The body is too large", &detail)
        };
        let said = head.header("content-length").and_then(|length| length.parse::<u64>().ok());
        if said.is_some_and(|bytes| bytes > bounds.body_bytes_max as u64) {
            return Err(too_large());
        }
        let body = Limited::new(body, bounds.body_bytes_max).collect();
        let body = tokio::time::timeout(bounds.body_time_max, body).await.map_err(|_| {
            let detail = format!("it may take {} ms", bounds.body_time_max.as_millis());
            Problem::new(408, "http.body_too_slow", "The body took too long", &detail)
        })?;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return too_large();
            }
            let title = "The body could not be read";
            Problem::new(400, "http.body_broken", title, &error.to_string())
        })?;
        let request = Request { head, body: body.to_bytes().to_vec() };
        let answer = self.service.answer(request);
        tokio::time::timeout(bounds.answer_time_max, answer).await.map_err(|_| {
            let detail = format!("it may take {} ms", bounds.answer_time_max.as_millis());
            Problem::new(503, "http.answer_too_slow", "There was no answer in time", &detail)
        })
    }

    fn head(&self, parts: &Parts) -> Head {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let headers = parts.headers.iter();
        let headers: Vec<(String, String)> = headers
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)))
            .collect();
        let own = headers.iter().find(|(name, _)| name == "x-request-id");
        let own = own.map(|(_, id)| id.clone()).filter(|id| is_safe(id));
        let number = || format!("req_{}", self.next.fetch_add(1, Ordering::Relaxed));
        Head {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers,
            request_id: own.unwrap_or_else(number),
        }
    }
}

/// Whether a request may be called so: what people read in logs, and nothing that ends a line.
fn is_safe(id: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(safe)
}

fn response(answer: Answer, request_id: &str, is_head: bool) -> hyper::Response<Full<Bytes>> {
    let Answer { status, content_type, headers, body } = answer;
    let body = if is_head { Bytes::new() } else { Bytes::from(body) };
    let mut response = hyper::Response::new(Full::new(body));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let own = [("content-type", content_type.to_owned()), ("x-request-id", request_id.to_owned())];
    for (name, value) in own.into_iter().chain(headers) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
