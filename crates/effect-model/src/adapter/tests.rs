//! Which provider answers, and what is recorded.

use super::*;
use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_gate::effect::Message;

fn chat(model: &str, content: &str) -> ModelChat {
    ModelChat {
        model: model.into(),
        messages: vec![Message { role: "user".into(), content: content.into() }],
        tokens_max: 10,
        temperature_milli: 0,
        json: false,
    }
}

fn answer(text: &str) -> Answer {
    Answer {
        text: text.into(),
        model: "m".into(),
        input_tokens: 1,
        output_tokens: 1,
        finish_reason: "stop".into(),
    }
}

fn receipt() -> ReceiptId {
    ReceiptId::new(Timestamp::default(), &mut SeededEntropy::new(1)).unwrap()
}

fn adapter() -> ModelAdapter {
    let line = Cassette::line(request_key(&chat("", "hello")), &answer("hi"), "");
    let cassette = Provider::Cassette(Arc::new(Cassette::parse(&line).unwrap()));
    ModelAdapter::new([("reader".to_owned(), cassette)].into())
}

#[tokio::test]
async fn a_recorded_question_is_answered_whatever_the_budget() {
    let adapter = adapter();
    let question = ModelChat { tokens_max: 7, ..chat("reader", "hello") };
    assert_eq!(adapter.ask(&question, receipt(), None).await, Ok(answer("hi")));
}

#[tokio::test]
async fn a_question_that_was_not_recorded_says_what_to_do() {
    let failure = adapter().ask(&chat("reader", "bye"), receipt(), None).await.unwrap_err().failure;
    assert_eq!((failure.code.as_str(), failure.transient), ("model.not_recorded", false));
    assert!(failure.message.contains("`--model`"), "{}", failure.message);
    let key = request_key(&chat("reader", "bye")).to_string();
    assert!(failure.message.contains(&key), "{}", failure.message);
}

#[tokio::test]
async fn an_unknown_model_names_the_known_ones() {
    let failure =
        adapter().ask(&chat("writer", "hello"), receipt(), None).await.unwrap_err().failure;
    assert_eq!(failure.code, "model.unknown");
    assert!(failure.message.ends_with("there are: reader"), "{}", failure.message);
}

#[test]
fn a_recording_that_is_no_json_is_not_asked_for_again() {
    let question = ModelChat { json: true, ..chat("reader", "hello") };
    let failure = adapter().output(&question, &answer("hi")).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.transient), ("model.bad_json", false));
    let live = ModelChat { json: true, ..chat("live", "hello") };
    assert!(adapter().output(&live, &answer("hi")).unwrap_err().transient);
}

#[test]
fn each_question_is_recorded_once() {
    #[derive(Default)]
    struct Lines(Mutex<String>);
    impl Recorder for Lines {
        fn record(&self, line: &str) {
            self.0.lock().unwrap().push_str(line);
        }
    }
    let lines = Arc::new(Lines::default());
    let known = BTreeSet::from([request_key(&chat("live", "known"))]);
    let adapter = adapter().recording(lines.clone(), known);
    for content in ["a", "known", "a", "b"] {
        adapter.record(&chat("live", content), &answer(content));
    }
    let text = lines.0.lock().unwrap().clone();
    let cassette = Cassette::parse(&text).unwrap();
    assert_eq!(cassette.requests().len(), 2);
    let recorded = cassette.answer(&request_key(&chat("other", "b"))).unwrap();
    assert_eq!(recorded, &answer("b"));
}
