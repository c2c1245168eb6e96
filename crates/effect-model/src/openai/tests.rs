//! What is sent to a server, and what is made of its answers.

use super::*;
use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_gate::effect::Message;

fn chat(json: bool) -> ModelChat {
    let message =
        |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    ModelChat {
        model: "reader".into(),
        messages: vec![message("system", "Read."), message("user", "12,50 €")],
        tokens_max: 64,
        temperature_milli: 250,
        json,
    }
}

fn server(base_url: &str) -> OpenAi {
    OpenAi::new(base_url, "llama", Some(Secret::new("sk-secret"))).unwrap()
}

fn receipt() -> ReceiptId {
    ReceiptId::new(Timestamp::default(), &mut SeededEntropy::new(1)).unwrap()
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, headers: BTreeMap::new(), body: Ok(body.into()), redirects: Vec::new() }
}

/// `text/model/input/output/finish`, or the code of the failure.
fn read(status: u16, body: &str) -> String {
    let server = server("http://localhost:1/v1");
    match server.read(&chat(false), &reply(status, body), Listener::new(None)) {
        Ok(Answer { text, model, input_tokens, output_tokens, finish_reason }) => {
            format!("{text}/{model}/{input_tokens}/{output_tokens}/{finish_reason}")
        }
        Err(Unanswered { failure, billed }) => {
            let mut words = vec![failure.code.as_str()];
            words.extend(failure.transient.then_some("passing"));
            words.extend(billed.then_some("billed"));
            words.join(" ")
        }
    }
}

#[test]
fn the_question_is_sent_as_the_protocol_says() {
    let exchange = server("http://localhost:11434/v1/").exchange(&chat(true), receipt(), false);
    assert_eq!(exchange.url, "http://localhost:11434/v1/chat/completions");
    assert_eq!(exchange.headers["authorization"], "Bearer sk-secret");
    assert_eq!(exchange.idempotency_key, receipt().to_string());
    assert_eq!(
        String::from_utf8(exchange.body.unwrap()).unwrap(),
        concat!(
            r#"{"max_tokens":64,"messages":[{"content":"Read.","role":"system"},"#,
            r#"{"content":"12,50 €","role":"user"}],"model":"llama","#,
            r#""response_format":{"type":"json_object"},"stream":false,"temperature":0.25}"#,
        )
    );
}

#[test]
fn openai_itself_names_the_bound_differently() {
    let body = server("https://api.openai.com/v1").body(&chat(false), false).to_string();
    assert!(body.starts_with(r#"{"max_completion_tokens":64,"#), "{body}");
    assert!(!body.contains("response_format"), "{body}");
}

#[test]
fn the_first_choice_is_the_answer_and_the_usage_is_the_bill() {
    let choice = r#"{"message":{"role":"assistant","content":"hi"},"finish_reason":"length"}"#;
    let usage = r#""usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}"#;
    let body = format!(r#"{{"model":"llama-3","choices":[{choice}],{usage}}}"#);
    assert_eq!(read(200, &body), "hi/llama-3/12/5/length");
}

#[test]
fn a_server_that_does_not_count_is_billed_at_the_upper_bound() {
    let bound = chat(false).input_tokens_max();
    let choice = |text: &str| format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#);
    assert_eq!(read(200, &choice("hello")), format!("hello/llama/{bound}/5/stop"));
    assert_eq!(read(200, &choice("")), format!("/llama/{bound}/1/stop"));
    let zero = r#"{"choices":[{"message":{"content":"hello"}}],
        "usage":{"prompt_tokens":0,"completion_tokens":-3}}"#;
    assert_eq!(read(200, zero), format!("hello/llama/{bound}/5/stop"));
}

#[test]
fn a_count_that_cannot_be_is_no_count_or_the_largest() {
    let bound = chat(false).input_tokens_max();
    let counted = |input: &str, output: &str| {
        let usage = format!(r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
        read(200, &format!(r#"{{"choices":[{{"message":{{"content":"hi"}}}}],{usage}}}"#))
    };
    assert_eq!(counted("9000000000000000", "3"), "hi/llama/9000000000000000/3/stop");
    let most = Integer::MAX;
    for huge in ["9007199254740992", "18446744073709551616", "9e16", "1e300"] {
        assert_eq!(counted(huge, huge), format!("hi/llama/{most}/{most}/stop"), "{huge}");
    }
    for none in ["-1", "0", "-1e300", "0.5", "2.5", "-0.0", "null", "true", "\"7\"", "[7]", "{}"] {
        assert_eq!(counted(none, none), format!("hi/llama/{bound}/2/stop"), "{none}");
    }
    for absurd in ["7", "null", "[]", "\"none\""] {
        let body = format!(r#"{{"choices":[{{"message":{{"content":"hi"}}}}],"usage":{absurd}}}"#);
        assert_eq!(read(200, &body), format!("hi/llama/{bound}/2/stop"), "{absurd}");
    }
}

#[test]
fn without_a_count_the_answer_has_no_more_tokens_than_were_asked_for() {
    let long = "x".repeat(1_000);
    let body = format!(r#"{{"choices":[{{"message":{{"content":"{long}"}}}}]}}"#);
    assert!(read(200, &body).ends_with("/64/stop"));
}

#[tokio::test]
async fn openai_is_not_asked_without_a_key() {
    let server = OpenAi::new(OPENAI_URL, "gpt", None).unwrap();
    let Unanswered { failure, billed } =
        server.ask(&chat(false), receipt(), None).await.unwrap_err();
    assert_eq!((failure.code.as_str(), billed), ("model.no_key", false));
    assert!(failure.message.contains("OPENAI_API_KEY"), "{}", failure.message);
}

#[test]
fn an_answer_without_a_text_is_no_answer() {
    let bad = "model.bad_answer passing billed";
    assert_eq!(read(200, "<html>"), bad);
    assert_eq!(read(200, "{}"), bad);
    assert_eq!(read(200, r#"{"choices":[]}"#), bad);
    assert_eq!(read(200, r#"{"choices":[{"message":{"content":null}}]}"#), bad);
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let body = format!(r#"{{"choices":[{{"message":{{"content":"{long}"}}}}]}}"#);
    assert_eq!(read(200, &body), "model.bad_answer billed");
}

#[test]
fn a_status_says_whether_another_try_helps() {
    assert_eq!(read(401, ""), "model.unauthorised");
    assert_eq!(read(403, ""), "model.unauthorised");
    assert_eq!(read(404, ""), "model.not_found");
    assert_eq!(read(400, ""), "model.refused");
    assert_eq!(read(429, ""), "model.overloaded passing");
    assert_eq!(read(529, ""), "model.overloaded passing");
    assert_eq!(read(500, ""), "model.overloaded passing");
}

#[test]
fn a_server_that_sends_us_elsewhere_has_not_answered_and_bills_nothing() {
    let lost = failure("http.host_not_allowed", "not on the list".into(), false);
    let reply = Reply { body: Err(lost), ..reply(307, "") };
    let unanswered =
        server("https://a.example/v1").read(&chat(false), &reply, Listener::new(None)).unwrap_err();
    assert_eq!((unanswered.failure.code.as_str(), unanswered.billed), ("model.unreachable", false));
}

#[test]
fn a_complaint_is_shown_and_the_key_is_not() {
    let server = server("http://localhost:1/v1");
    let body = r#"{"error":{"message":"model `llama`\nnot found"}}"#;
    let failure =
        server.read(&chat(false), &reply(404, body), Listener::new(None)).unwrap_err().failure;
    assert_eq!(
        failure.message,
        "the model `llama` at `http://localhost:1/v1` answered 404: model `llama` not found"
    );
    assert!(!format!("{server:?}").contains("sk-secret"));
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    // Port 1 is reserved; nothing listens there.
    let unanswered = server("http://127.0.0.1:1/v1").ask(&chat(false), receipt(), None).await;
    let Unanswered { failure, billed } = unanswered.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.transient), ("model.unreachable", true));
    assert!(!billed, "what was not sent is not on the bill");
}

#[tokio::test]
async fn a_question_and_its_answer_cross_the_wire() {
    let body = r#"{"model":"llama-3","choices":[{"message":{"content":"hi"}}]}"#;
    let (url, served) = one_answer(body).await;
    let answer = server(&url).ask(&chat(false), receipt(), None).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.model.as_str()), ("hi", "llama-3"));
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Bearer sk-secret\r\n"), "{request}");
}

#[tokio::test]
async fn an_answer_is_streamed_where_somebody_listens_and_the_server_can() {
    use std::sync::Mutex;
    let chunk = |text: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let events = [&chunk("h"), &chunk("i"), "data: [DONE]\n\n"].concat();
    let whole = r#"{"choices":[{"message":{"content":"hi"}}]}"#;
    for (kind, body, expected) in
        [("text/event-stream", events.as_str(), "hi"), ("application/json", whole, "")]
    {
        let said = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&said);
        let mouth: Mouth = Arc::new(move |_: &'static str, text: &str| {
            to.lock().unwrap().push_str(text);
        });
        let (url, served) = one_answer_of(kind, body).await;
        let answer = server(&url).ask(&chat(false), receipt(), Some(mouth)).await.unwrap();
        assert_eq!((answer.text.as_str(), said.lock().unwrap().as_str()), ("hi", expected));
        let request = served.await.unwrap();
        assert!(
            request.contains("\r\naccept: text/event-stream, application/json\r\n"),
            "{request}"
        );
        let asked = r#""stream":true,"stream_options":{"include_usage":true}"#;
        assert!(request.contains(asked), "{request}");
    }
}

async fn one_answer(body: &str) -> (String, tokio::task::JoinHandle<String>) {
    one_answer_of("application/json", body).await
}

/// A server on this machine that answers once; it gives the request it got.
#[expect(clippy::disallowed_types, reason = "the test needs somebody to ask")]
async fn one_answer_of(kind: &str, body: &str) -> (String, tokio::task::JoinHandle<String>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://localhost:{}/v1", listener.local_addr().unwrap().port());
    let length = body.len();
    let head = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n");
    let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        // The body ends with the temperature.
        while !request.ends_with("}") {
            let mut chunk = [0; 4_096];
            let count = stream.read(&mut chunk).await.unwrap();
            request.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    (url, served)
}
