//! A server is asked by the client of this house, and by sockets that keep to nothing.

#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "the tests talk to real sockets, and fail by panicking"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cog_base::Value;
use cog_wire::{Answer, Bounds, Client, Head, NoAnswer, Problem, Request, Server, Service, Work};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(150);

/// Says what it was asked; `/slow` when it is told to.
#[derive(Default)]
struct Echo {
    answered: AtomicUsize,
    is_slow: Notify,
    go: Notify,
}

impl Service for Echo {
    fn admit(&self, head: &Head) -> Result<(), Problem> {
        match head.bearer() {
            Some("secret") => Ok(()),
            _ => Err(Problem::new(401, "test.who", "Who are you", "no token that is known")),
        }
    }

    fn answer(&self, request: Request) -> Work<'_, Answer> {
        self.answered.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if request.head.path == "/slow" {
                self.is_slow.notify_one();
                self.go.notified().await;
            }
            let said = [
                ("method", Value::from(request.head.method.as_str())),
                ("path", request.head.path.as_str().into()),
                ("bytes", (request.body.len() as u64).into()),
            ];
            Answer::json(200, &Value::map(said))
        })
    }
}

struct Place {
    runtime: Runtime,
    echo: Arc<Echo>,
    server: Server,
}

impl Place {
    fn new(bounds: Bounds) -> Self {
        let runtime = Runtime::new().unwrap();
        let echo = Arc::new(Echo::default());
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(runtime.handle(), any, bounds, echo.clone()).unwrap();
        Self { runtime, echo, server }
    }

    fn client(&self, token: &str) -> Client {
        Client::new(&format!("http://{}", self.server.address()), token, 1_024).unwrap()
    }

    /// Send bytes, and give all that is answered until the server ends the connection.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.server.address()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        // The server may have closed it before it was all sent.
        let _ = socket.write_all(bytes);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

fn bounds() -> Bounds {
    Bounds { body_bytes_max: 1_000, ..Bounds::default() }
}

#[test]
fn what_is_asked_is_answered_many_times_over_one_connection() {
    let place = Place::new(Bounds { connections_max: 1, ..bounds() });
    let client = place.client("secret");
    for n in 0_u64..50 {
        let document = Value::map([("n", Value::from(n))]);
        let answered = place.runtime.block_on(client.post("/a", &document, LONG)).unwrap();
        assert_eq!(answered.1.get("method").unwrap().as_text(), Some("POST"));
        let answered = place.runtime.block_on(client.get("/b?c=d", LONG)).unwrap();
        assert_eq!((answered.0, answered.1.get("path").unwrap().as_text()), (200, Some("/b")));
    }
}

#[test]
fn whoever_may_not_ask_is_told_before_anything_else_is_read() {
    let place = Place::new(bounds());
    for token in ["", "wrong", "secret2", "secre"] {
        let asked = place.client(token);
        let (status, said) = place.runtime.block_on(asked.get("/", LONG)).unwrap();
        assert_eq!((status, said.get("code").unwrap().as_text()), (401, Some("test.who")));
    }
    // It says that far more comes, sends none of it, and is answered all the same.
    let head =
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n";
    assert!(place.raw(head.as_bytes()).starts_with("HTTP/1.1 401"));
    assert_eq!(place.echo.answered.load(Ordering::SeqCst), 0);
}

#[test]
fn what_is_too_large_or_no_request_is_refused() {
    let place = Place::new(bounds());
    let head =
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer secret\r\nconnection: close\r\n";
    let long = "x".repeat(40_000);
    let many: String = (0..200).map(|n| format!("h{n}: x\r\n")).collect();
    for (sent, status) in [
        (format!("{head}content-length: 1001\r\n\r\n"), "413"),
        (format!("{head}content-length: 1000\r\n\r\n{}", "x".repeat(1_000)), "200"),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n", "x".repeat(1_001)),
            "413",
        ),
        (format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"), "400"),
        (format!("{head}x: {long}\r\n\r\n"), "431"),
        (format!("{head}{many}\r\n"), "431"),
        (format!("POST /{long} HTTP/1.1\r\n\r\n"), "431"),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = place.raw(sent.as_bytes());
        let expected = format!("HTTP/1.1 {status}");
        let shown: String = sent.chars().take(120).collect();
        assert!(answer.starts_with(&expected), "{shown}: {answer}");
    }
}

#[test]
fn whoever_is_slow_is_let_go() {
    let place = Place::new(Bounds { head_time_max: SHORT, body_time_max: SHORT, ..bounds() });
    // Nothing, half a head, and after an answer nothing more: the connection is ended.
    assert_eq!(place.raw(b""), "");
    assert!(!place.raw(b"GET / HTTP/1.1\r\nhost:").contains(" 200 "));
    let whole = "GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer secret\r\n\r\n";
    assert!(place.raw(whole.as_bytes()).starts_with("HTTP/1.1 200"));
    let half = "POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer secret\r\n\
                content-length: 10\r\nconnection: close\r\n\r\nabc";
    assert!(place.raw(half.as_bytes()).starts_with("HTTP/1.1 408"));
}

#[test]
fn those_who_send_nothing_keep_nobody_out_for_long() {
    let bounds = Bounds { connections_max: 4, head_time_max: SHORT, ..bounds() };
    let place = Place::new(bounds);
    let idle: Vec<TcpStream> =
        (0..8).map(|_| TcpStream::connect(place.server.address()).unwrap()).collect();
    let client = place.client("secret");
    assert_eq!(place.runtime.block_on(client.get("/", LONG)).unwrap().0, 200);
    drop(idle);
}

#[test]
fn an_answer_that_takes_too_long_is_none() {
    let place = Place::new(Bounds { answer_time_max: SHORT, ..bounds() });
    let client = place.client("secret");
    let (status, said) = place.runtime.block_on(client.get("/slow", LONG)).unwrap();
    assert_eq!((status, said.get("code").unwrap().as_text()), (503, Some("http.answer_too_slow")));
    let waited = place.runtime.block_on(client.get("/slow", Duration::from_millis(1)));
    assert!(matches!(waited, Err(NoAnswer::Time { .. })), "{waited:?}");
}

#[test]
fn a_server_that_stops_gives_the_answers_that_are_under_way() {
    let Place { runtime, echo, server } = Place::new(bounds());
    let address = server.address();
    let client = Client::new(&format!("http://{address}"), "secret", 1_024).unwrap();
    let asked = runtime.spawn(async move { client.get("/slow", LONG).await });
    runtime.block_on(echo.is_slow.notified());
    let stopping = std::thread::spawn(move || server.stop());
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    echo.go.notify_one();
    assert_eq!(runtime.block_on(asked).unwrap().unwrap().0, 200);
    stopping.join().unwrap();
}

#[test]
fn an_address_is_a_host_and_a_port() {
    for (url, is_one) in [
        ("http://127.0.0.1:8080", true),
        ("http://scheduler:80/", true),
        ("http://[::1]:80", true),
        ("https://127.0.0.1:8080", false),
        ("127.0.0.1:8080", false),
        ("http://127.0.0.1", false),
        ("http://a@b:80", false),
        ("http://a:80/path", false),
        ("http://:80", false),
    ] {
        assert_eq!(Client::new(url, "t", 10).is_ok(), is_one, "{url}");
    }
    assert_eq!(Client::new("http://a:1", "a\nb", 10).unwrap_err(), NoAnswer::Token);
}
