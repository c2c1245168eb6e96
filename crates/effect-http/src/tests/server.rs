//! A server that says what a script tells it to, byte for byte.

#![expect(clippy::disallowed_types, reason = "the tests need somebody to talk to")]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use cog_base::hosts::Allowance;

use crate::Client;

/// The first byte of a TLS client's first message.
const TLS_HANDSHAKE: u8 = 0x16;

/// What the server sends, and how it ends.
pub(super) struct Script {
    bytes: Vec<u8>,
    end: End,
}

enum End {
    Close,
    Hang,
    Repeat,
}

impl Script {
    pub(super) fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n");
        Self::cut(&format!("{head}Connection: close\r\n\r\n{body}"))
    }

    pub(super) fn redirect(status: &str, location: &str) -> Self {
        Self::answer(status, &format!("Location: {location}\r\n"), "")
    }

    /// Send this and close.
    pub(super) fn cut(text: &str) -> Self {
        Self { bytes: text.into(), end: End::Close }
    }

    /// Send this and fall silent.
    pub(super) fn half(text: &str) -> Self {
        Self { bytes: text.into(), end: End::Hang }
    }

    /// Chunks without end.
    pub(super) fn endless() -> Self {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n";
        Self { bytes: head.into(), end: End::Repeat }
    }
}

pub(super) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(script: impl Fn(&str) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, script) = (Arc::clone(&requests), Arc::new(script));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                tokio::spawn(async move { serve(stream, &seen, &*script).await });
            }
        });
        Self { port, requests, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn allowance(&self) -> Allowance {
        Allowance { private: true, ..Allowance::usual("127.0.0.1", Some(self.port)) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.place())
    }

    /// A client that may talk to this server only.
    pub(super) fn client(&self) -> Client {
        Client::new([self.allowance()].into_iter().collect())
    }

    /// The requests so far, as they came in.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    script: &(impl Fn(&str) -> Script + ?Sized),
) {
    let Some(request) = read_request(&mut stream).await else { return };
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(request);
    let script = script(&path);
    let _ = stream.write_all(&script.bytes).await;
    match script.end {
        End::Close => {}
        End::Hang => std::future::pending().await,
        End::Repeat => while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {},
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if bytes.first() == Some(&TLS_HANDSHAKE) {
            return Some("a TLS handshake".into());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}
