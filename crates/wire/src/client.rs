//! A small client: one server, JSON out and in, connections that are used again.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it connects, and the time that a server may take is real time"
)]

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cog_base::Value;
use cog_base::json::parse;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The most connections that are kept to be used again.
const IDLE_MAX: usize = 64;

/// Asks one server.
#[derive(Debug)]
pub struct Client {
    /// `HOST:PORT`.
    authority: String,
    token: HeaderValue,
    answer_bytes_max: usize,
    idle: Mutex<VecDeque<SendRequest<Full<Bytes>>>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The address cannot be used.
    #[error("`{0}` is no address of the form http://HOST:PORT")]
    Address(String),
    /// A token has only visible letters.
    #[error("the token has letters that no header can hold")]
    Token,
    /// The connection failed.
    #[error("no answer from {authority}: {why}")]
    Connection {
        /// Who was asked.
        authority: String,
        /// What happened.
        why: String,
    },
    /// It took too long.
    #[error("no answer from {authority} within {ms} ms")]
    Time {
        /// Who was asked.
        authority: String,
        /// How long it was waited for.
        ms: u128,
    },
}

impl Client {
    /// A client of the server at `http://HOST:PORT`.
    ///
    /// # Errors
    /// [`NoAnswer`] when that is no such address, or when the token does not fit into a header.
    pub fn new(url: &str, token: &str, answer_bytes_max: usize) -> Result<Self, NoAnswer> {
        let bad = || NoAnswer::Address(url.to_owned());
        let authority = url.strip_prefix("http://").ok_or_else(bad)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':').ok_or_else(bad)?;
        let is_bad =
            |letter: char| matches!(letter, '/' | '@' | '?' | '#') || letter.is_whitespace();
        if host.is_empty() || host.contains(is_bad) || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut token = bearer.map_err(|_| NoAnswer::Token)?;
        token.set_sensitive(true);
        let (authority, idle) = (authority.to_owned(), Mutex::default());
        Ok(Self { authority, token, answer_bytes_max, idle })
    }

    /// Send a document to a path, and give status and document of the answer.
    ///
    /// # Errors
    /// [`NoAnswer`]: whether the server took what was sent nobody knows then.
    pub async fn post(
        &self,
        path: &str,
        document: &Value,
        wait: Duration,
    ) -> Result<(u16, Value), NoAnswer> {
        let body = Some(document.canonical());
        self.ask("POST", path, body, wait).await
    }

    /// Read the document at a path.
    ///
    /// # Errors
    /// [`NoAnswer`] when there is none.
    pub async fn get(&self, path: &str, wait: Duration) -> Result<(u16, Value), NoAnswer> {
        self.ask("GET", path, None, wait).await
    }

    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Vec<u8>>,
        wait: Duration,
    ) -> Result<(u16, Value), NoAnswer> {
        let asked = tokio::time::timeout(wait, self.exchange(method, path, body)).await;
        let authority = || self.authority.clone();
        let ms = wait.as_millis();
        let answered = asked.map_err(|_| NoAnswer::Time { authority: authority(), ms })?;
        answered.map_err(|why| NoAnswer::Connection { authority: authority(), why })
    }

    async fn exchange(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, Value), String> {
        let mut sender = self.connected().await?;
        let mut request = hyper::Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
        *request.method_mut() = method.parse().map_err(|_| "no such method")?;
        *request.uri_mut() = path.parse().map_err(|error| format!("{path}: {error}"))?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&self.authority).map_err(|error| error.to_string())?;
        headers.insert(HOST, host);
        headers.insert(AUTHORIZATION, self.token.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), self.answer_bytes_max).collect().await;
        let body = body.map_err(|error| format!("its answer: {error}"))?.to_bytes();
        let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
        let document = parse(text).map_err(|error| format!("its answer: {error}"))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_ready() && idle.len() < IDLE_MAX {
            idle.push_back(sender);
        }
        drop(idle);
        Ok((status, document))
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_back()
    }

    /// A connection that was not closed meanwhile, as far as is known, or a new one.
    async fn connected(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        while let Some(mut sender) = self.kept() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream =
            TcpStream::connect(&self.authority).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // It ends with the sender, or when the server closes it.
        tokio::spawn(connection);
        Ok(sender)
    }
}
