//! Exchanges with a small server on this machine, friendly and hostile.

mod server;

use std::collections::BTreeMap;

use cog_base::hosts::{Allowance, Hosts};
use cog_gate::Failure;

use crate::client::LeadsOn;
use crate::{Client, Exchange, Reply, Trouble};

use server::{Script, Server};

fn anywhere(_: &str, _: &str, _: bool) -> Result<(), Failure> {
    Ok(())
}

fn get(url: String) -> Exchange {
    Exchange {
        method: "GET".into(),
        url,
        idempotency_key: "rcp_1".into(),
        timeout_ms: 5_000,
        bytes_max: 1_000,
        ..Exchange::default()
    }
}

fn post(url: String) -> Exchange {
    Exchange { method: "POST".into(), body: Some(b"hello".to_vec()), ..get(url) }
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone().unwrap()).unwrap()
}

/// `failed code`, `unknown code`, or the status and text of the answer.
async fn outcome(client: &Client, exchange: &Exchange) -> String {
    outcome_of(client, exchange, &anywhere).await
}

async fn outcome_of(client: &Client, exchange: &Exchange, leads_on: &LeadsOn<'_>) -> String {
    match client.exchange(exchange, leads_on).await {
        Ok(reply) => match &reply.body {
            Ok(_) => format!("{} {}", reply.status, text(&reply)),
            Err(failure) => format!("{} without body: {}", reply.status, failure.code),
        },
        Err(Trouble::Failed(failure)) => format!("failed {}", failure.code),
        Err(Trouble::Unknown(failure)) => format!("unknown {}", failure.code),
    }
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let server = Server::start(|path| match path {
        "/missing" => Script::answer("404 Not Found", "", "no"),
        "/broken" => Script::answer("500 Oops", "", "broken"),
        _ => Script::answer("200 OK", "Content-Type: text/plain\r\nX-Other: 1\r\n", "hi"),
    })
    .await;
    let client = server.client();
    let reply = client.exchange(&get(server.url("/")), &anywhere).await.unwrap();
    assert_eq!((reply.status, text(&reply).as_str()), (200, "hi"));
    let kept = BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]);
    assert_eq!(reply.headers, kept);
    assert_eq!(outcome(&client, &get(server.url("/missing"))).await, "404 no");
    assert_eq!(outcome(&client, &post(server.url("/broken"))).await, "500 broken");
}

#[tokio::test]
async fn what_acts_carries_the_receipt_as_its_idempotency_key() {
    let server = Server::start(|_| Script::answer("200 OK", "", "")).await;
    let client = server.client();
    client.exchange(&post(server.url("/pay")), &anywhere).await.unwrap();
    client.exchange(&get(server.url("/look")), &anywhere).await.unwrap();
    let [pay, look] = &server.requests()[..] else { panic!("two requests") };
    assert!(pay.starts_with("POST /pay HTTP/1.1\r\n"), "{pay}");
    assert!(pay.contains("\r\nidempotency-key: rcp_1\r\n"), "{pay}");
    assert!(pay.ends_with("\r\n\r\nhello"), "{pay}");
    assert!(!look.contains("idempotency-key"), "{look}");
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_asked() {
    let server = Server::start(|_| Script::answer("200 OK", "", "")).await;
    let client = Client::new(Hosts::default());
    assert_eq!(outcome(&client, &get(server.url("/"))).await, "failed http.host_not_allowed");
    assert_eq!(outcome(&client, &post(server.url("/"))).await, "failed http.host_not_allowed");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_private_address_is_refused_by_number_and_by_name() {
    let server = Server::start(|_| Script::answer("200 OK", "", "")).await;
    let port = server.port();
    let hosts = ["127.0.0.1", "localhost", "::1", "::ffff:7f00:1", "169.254.169.254"];
    let client =
        Client::new(hosts.map(|host| Allowance::usual(host, Some(port))).into_iter().collect());
    let mapped = "[::ffff:127.0.0.1]";
    for host in ["127.0.0.1", "localhost", "[::1]", mapped, "169.254.169.254", "2130706433"] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(
            outcome(&client, &get(url.clone())).await,
            "failed http.private_address",
            "{url}"
        );
        assert_eq!(outcome(&client, &post(url)).await, "failed http.private_address");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_is_checked_like_a_request() {
    let inner = Server::start(|_| Script::answer("200 OK", "", "credentials")).await;
    let target = inner.url("/latest/meta-data");
    let server = Server::start(move |_| Script::redirect("302 Found", &target)).await;
    let client = server.client();
    assert_eq!(outcome(&client, &get(server.url("/"))).await, "failed http.host_not_allowed");

    // Listed, but its address is not public.
    let listed = Allowance { private: false, ..inner.allowance() };
    let client = Client::new([listed, server.allowance()].into_iter().collect());
    assert_eq!(outcome(&client, &get(server.url("/"))).await, "failed http.private_address");

    // Listed, for https.
    let listed = Allowance { plain_http: false, ..inner.allowance() };
    let client = Client::new([listed, server.allowance()].into_iter().collect());
    assert_eq!(outcome(&client, &get(server.url("/"))).await, "failed http.host_not_allowed");
    assert!(inner.requests().is_empty());

    let client = Client::new([inner.allowance(), server.allowance()].into_iter().collect());
    assert_eq!(outcome(&client, &get(server.url("/"))).await, "200 credentials");
}

#[tokio::test]
async fn redirects_are_followed_a_bounded_number_of_times() {
    let server = Server::start(|path| match path {
        "/5" => Script::answer("200 OK", "", "there"),
        "/0" | "/1" | "/2" | "/3" | "/4" => {
            let next: u8 = path[1..].parse().unwrap();
            Script::redirect("302 Found", &format!("{}", next + 1))
        }
        _ => Script::redirect("302 Found", "/loop"),
    })
    .await;
    let client = server.client();
    assert_eq!(outcome(&client, &get(server.url("/0"))).await, "200 there");
    let looped = outcome(&client, &get(server.url("/loop"))).await;
    assert_eq!(looped, "failed http.redirect_refused");
    assert_eq!(server.requests().len(), 6 + 6);
}

#[tokio::test]
async fn a_redirect_to_another_host_loses_the_secrets() {
    let other = Server::start(|_| Script::answer("200 OK", "", "")).await;
    let target = other.url("/");
    let server = Server::start(move |_| Script::redirect("307 Temporary Redirect", &target)).await;
    let client = Client::new([server.allowance(), other.allowance()].into_iter().collect());
    let headers = ["Authorization", "Cookie", "X-Api-Key", "Accept"]
        .map(|name| (name.to_owned(), "token".to_owned()));
    let exchange = Exchange { headers: headers.into(), ..post(server.url("/")) };
    client.exchange(&exchange, &anywhere).await.unwrap();
    let (first, second) = (server.requests().remove(0), other.requests().remove(0));
    assert_eq!(first.matches(": token\r\n").count(), 4, "{first}");
    assert_eq!(second.matches(": token\r\n").count(), 1, "{second}");
    assert!(second.contains("\r\naccept: token\r\n"), "{second}");
    assert!(second.ends_with("\r\n\r\nhello"), "{second}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let server = Server::start(|path| match path {
        "/announced" => Script::answer("200 OK", "", &"x".repeat(1_001)),
        "/chunked" => Script::endless(),
        _ => Script::answer("200 OK", "", &"x".repeat(1_000)),
    })
    .await;
    let client = server.client();
    assert_eq!(outcome(&client, &get(server.url("/announced"))).await, "failed http.too_large");
    assert_eq!(outcome(&client, &get(server.url("/chunked"))).await, "failed http.too_large");
    let reply = client.exchange(&get(server.url("/")), &anywhere).await.unwrap();
    assert_eq!(reply.body.unwrap().len(), 1_000);
    let posted = outcome(&client, &post(server.url("/chunked"))).await;
    assert_eq!(posted, "200 without body: http.too_large");
}

#[tokio::test]
async fn a_server_that_says_nothing_or_stops_in_the_middle_is_left() {
    let server = Server::start(|path| match path {
        "/half" => Script::half("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        _ => Script::half(""),
    })
    .await;
    let client = server.client();
    for path in ["/half", "/silent"] {
        let quick = Exchange { timeout_ms: 200, ..get(server.url(path)) };
        assert_eq!(outcome(&client, &quick).await, "failed http.timeout");
        let quick = Exchange { timeout_ms: 200, ..post(server.url(path)) };
        assert_eq!(outcome(&client, &quick).await, "unknown http.timeout");
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_unknown_and_one_that_cannot_have_is_failed() {
    let server = Server::start(|_| Script::cut("")).await;
    let client = server.client();
    assert_eq!(outcome(&client, &get(server.url("/"))).await, "failed http.cut_off");
    assert_eq!(outcome(&client, &post(server.url("/"))).await, "unknown http.cut_off");
    let (url, client) = (server.url("/"), server.client());
    drop(server);
    assert_eq!(outcome(&client, &post(url.clone())).await, "failed http.connect");
    let Err(Trouble::Failed(failure)) = client.exchange(&get(url), &anywhere).await else {
        panic!("nobody is there")
    };
    assert!(failure.transient);
}

#[tokio::test]
async fn what_was_done_stays_done_when_the_way_to_the_result_is_barred() {
    let server = Server::start(|path| match path {
        "/done" => Script::redirect("303 See Other", "http://other.example/result"),
        "/result" => Script::answer("200 OK", "", "result"),
        "/see" => Script::redirect("303 See Other", "/result"),
        _ => Script::redirect("307 Temporary Redirect", "http://other.example/do"),
    })
    .await;
    let client = server.client();
    assert_eq!(outcome(&client, &post(server.url("/see"))).await, "200 result");
    assert!(server.requests()[1].starts_with("GET /result "));
    let done = outcome(&client, &post(server.url("/done"))).await;
    assert_eq!(done, "303 without body: http.host_not_allowed");
    let before = server.requests().len();
    let sent_on = outcome(&client, &post(server.url("/do"))).await;
    assert_eq!(sent_on, "307 without body: http.host_not_allowed");
    assert_eq!(server.requests().len(), before + 1, "it was sent once");
    // What changes nothing has failed, and may be sent again.
    let asked = outcome(&client, &get(server.url("/do"))).await;
    assert_eq!(asked, "failed http.host_not_allowed");
}

#[tokio::test]
async fn nothing_can_be_smuggled_into_a_request() {
    let server = Server::start(|_| Script::answer("200 OK", "", "")).await;
    let client = server.client();
    let with = |name: &str, value: &str| Exchange {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..post(server.url("/"))
    };
    let bad = "failed http.bad_header";
    assert_eq!(outcome(&client, &with("Host", "evil.example")).await, bad);
    assert_eq!(outcome(&client, &with("Content-Length", "0")).await, bad);
    assert_eq!(outcome(&client, &with("Transfer-Encoding", "chunked")).await, bad);
    assert_eq!(outcome(&client, &with("X-A", "1\r\n\r\nGET /admin HTTP/1.1")).await, bad);
    for method in ["CONNECT", "TRACE", "GET / HTTP/1.1\r\nX: ", "", "get"] {
        let exchange = Exchange { method: method.into(), ..get(server.url("/")) };
        assert_eq!(outcome(&client, &exchange).await, "failed http.bad_method", "{method}");
    }
    let sneaky = get(format!("{} HTTP/1.1\r\nX: 1\r\n\r\n", server.url("/")));
    client.exchange(&sneaky, &anywhere).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("GET /%20HTTP/1.1X:%201 HTTP/1.1\r\n"), "{requests:?}");
}

#[tokio::test]
async fn a_tls_client_is_not_talked_into_plain_text() {
    let server = Server::start(|_| Script::answer("200 OK", "", "")).await;
    let client = server.client();
    let url = server.url("/").replace("http:", "https:");
    assert_eq!(outcome(&client, &post(url)).await, "failed http.tls");
    assert_eq!(server.requests(), ["a TLS handshake"]);
}

#[tokio::test]
async fn a_private_name_is_asked_only_where_the_list_says_private() {
    let server = Server::start(|_| Script::answer("200 OK", "", "hi")).await;
    let url = format!("http://localhost:{}/", server.port());
    let listed = Allowance::usual("localhost", Some(server.port()));
    let client = Client::new([listed.clone()].into_iter().collect());
    assert_eq!(outcome(&client, &get(url.clone())).await, "failed http.private_address");
    let listed = Allowance { private: true, ..listed };
    let client = Client::new([listed].into_iter().collect());
    assert_eq!(outcome(&client, &get(url)).await, "200 hi");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_to_the_metadata_of_a_cloud_is_not_followed() {
    let server = Server::start(|path| {
        let host = if path == "/named" { "169.254.169.254" } else { "[fd00:ec2::254]" };
        Script::redirect("302 Found", &format!("http://{host}:1/latest/meta-data"))
    })
    .await;
    let client = server.client();
    for path in ["/named", "/six"] {
        let found = outcome(&client, &get(server.url(path))).await;
        assert_eq!(found, "failed http.host_not_allowed", "{path}");
    }
}

#[tokio::test]
async fn a_redirect_that_is_not_permitted_is_not_followed() {
    let other = Server::start(|_| Script::answer("200 OK", "", "reached")).await;
    let target = other.url("/pay");
    let server = Server::start(move |path| match path {
        "/see" => Script::redirect("303 See Other", &target),
        "/away" => Script::redirect("307 Temporary Redirect", &target),
        "/in" => Script::redirect("308 Permanent Redirect", "/secret"),
        "/fine" => Script::redirect("302 Found", "/open"),
        _ => Script::answer("200 OK", "", "here"),
    })
    .await;
    let client = Client::new([server.allowance(), other.allowance()].into_iter().collect());
    let leads_on = |method: &str, url: &str, with_body: bool| {
        let is_open = method == "GET" && !with_body && url.ends_with("/open");
        let barred =
            || Failure { code: "http.barred".into(), message: url.into(), transient: false };
        is_open.then_some(()).ok_or_else(barred)
    };
    let reach = async |exchange: Exchange| match client.exchange(&exchange, &leads_on).await {
        Ok(reply) => format!("{} {:?}", text(&reply), reply.redirects),
        Err(Trouble::Failed(failure)) => format!("failed {}", failure.code),
        Err(Trouble::Unknown(failure)) => format!("unknown {}", failure.code),
    };
    assert_eq!(reach(get(server.url("/away"))).await, "failed http.barred");
    assert_eq!(reach(get(server.url("/in"))).await, "failed http.barred");
    // The server has the request and answered it: that is what came of it.
    for (path, status) in [("/away", 307), ("/in", 308), ("/see", 303)] {
        let found = outcome_of(&client, &post(server.url(path)), &leads_on).await;
        assert_eq!(found, format!("{status} without body: http.barred"), "{path}");
    }
    assert_eq!(reach(get(server.url("/fine"))).await, format!("here [{:?}]", server.url("/open")));
    assert!(other.requests().is_empty());
}
