//! Models: a live server on the loopback, a recording of it, and answers that are missing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use cog_base::Value;
use cog_base::json::parse_loose;

use crate::program::{Answer, Folder, text};

/// A server of the OpenAI protocol that answers with the number of words of the question.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// The first `failures` requests get the status 500.
    fn start(failures: usize) -> Self {
        Self::counting(failures, r#"{"prompt_tokens":20,"completion_tokens":10}"#)
    }

    /// One that says it used so many tokens.
    fn counting(failures: usize, usage: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, bodies, ended) = (Arc::clone(&asked), Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let body = answer(stream.unwrap(), number < failures, usage);
                bodies.lock().unwrap().extend(body);
            }
        });
        Self { port, asked, heard, stop, thread: Some(thread) }
    }

    fn model(&self) -> String {
        format!("http://127.0.0.1:{}/v1#counter", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.thread.take().map(JoinHandle::join).unwrap().unwrap();
    }
}

/// Answer one request and close; what was asked.
fn answer(stream: TcpStream, fails: bool, usage: &str) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let header = line.trim().to_ascii_lowercase();
        if let Some(bytes) = header.strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let (status, reply) = if fails {
        ("500 Internal Server Error", r#"{"error":{"message":"out of memory"}}"#.to_owned())
    } else {
        ("200 OK", reply(&body, usage))
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{reply}",
        reply.len()
    )
    .unwrap();
    Some(body)
}

fn reply(body: &str, usage: &str) -> String {
    let asked = parse_loose(body).unwrap();
    let messages = asked.get("messages").unwrap().as_list().unwrap();
    let question = messages.last().unwrap().get("content").unwrap().as_text().unwrap();
    let said = format!("{} words", question.split_whitespace().count());
    let message = Value::map([("role", "assistant"), ("content", said.as_str())]);
    let choice = Value::map([("message", message), ("finish_reason", "stop".into())]);
    format!(r#"{{"model":"counter-1","choices":[{choice}],"usage":{usage}}}"#)
}

const WORKFLOW: &str = r#"
name: count-words
domain: counting
inputs:
  folder: { type: string, default: ./notes }
roots:
  notes: { path: "${{ inputs.folder }}", access: read }
budget: { cost_micros: 1000000, effects: 100, minutes: 5 }
steps:
  - id: list
    uses: file.read
    with: { root: notes, path: . }
  - id: note
    needs: [list]
    foreach: "${{ steps.list.output.entries }}"
    max_parallel: 1
    steps:
      - id: text
        uses: file.read
        with: { root: notes, path: "${{ item.name }}" }
      - id: count
        needs: [text]
        uses: model.chat
        with: { model: counter, tokens_max: 50, messages: [ { role: user, content: "${{ steps.text.output.text }}" } ] }
        retry: { attempts: 3, backoff_ms: 1, on: [transient] }
outputs:
  counts: "${{ steps.note.output.map(i, i.steps.count.output.text).join(', ') }}"
"#;

const CANON: &str = "name = \"counting\"\ndomain = \"counting\"\n[change]\napprovals = 1\n\
    approvers = [\"user:operator\"]\n[models.counter]\nprovider = \"cassette\"\nreplaceable = true\n\
    input_micros_per_million = 1_000_000\noutput_micros_per_million = 2_000_000\n\
    [roots]\n\"*\" = { within = [\".\"] }\n";

const SCHEMA: &str = "entity User;\nentity Root;\nentity Model;\n\
    action \"file.read\" appliesTo { principal: [User], resource: [Root], context: {} };\n\
    action \"model.chat\" appliesTo { principal: [User], resource: [Model], context: {} };\n";

const POLICY: &str = "@id(\"all\")\n@reason(\"It is about counting.\")\npermit (principal == User::\"operator\", action, resource);\n";

const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

fn counting(name: &str) -> Folder {
    let folder = Folder::new(name);
    for (name, text) in [
        ("workflow.yaml", WORKFLOW),
        ("canon/canon.toml", CANON),
        ("canon/schema.cedarschema", SCHEMA),
        ("canon/policies/all.cedar", POLICY),
        ("canon/facts/people.json", FACTS),
        ("notes/a.txt", "one two three"),
        ("notes/b.txt", "one two three four"),
        ("mine/c.txt", "five words are in here"),
    ] {
        folder.write(name, text);
    }
    folder
}

#[test]
fn a_live_model_answers_and_is_paid_for() {
    let (folder, server) = (counting("live"), Server::start(0));
    let run = folder.cog(&["run", "workflow.yaml", "--model", &server.model()]).ends(0);
    // 20 tokens at 1 and 10 at 2 millionths, twice.
    run.says(&["counts: 3 words, 4 words", "$0.00008 spent"]);
    assert_eq!(server.asked(), 2);
    assert!(server.heard.lock().unwrap().iter().all(|body| body.contains("\"counter\"")));
    folder.holds();
}

#[test]
fn another_server_answers_only_where_the_canon_says_so() {
    let server = Server::start(0);
    let at = format!("http://127.0.0.1:{}", server.port);
    let with = |name: &str, replaceable: &str| {
        let folder = counting(name);
        folder.write("canon/canon.toml", &CANON.replace("replaceable = true\n", replaceable));
        let run = folder.cog(&["run", "workflow.yaml", "--model", &server.model()]);
        (folder, run)
    };
    for (name, replaceable) in [
        ("not-said", String::new()),
        ("said-not", "replaceable = false\n".to_owned()),
        ("other-port", "replaceable = [\"http://127.0.0.1:1\"]\n".to_owned()),
        ("other-scheme", format!("replaceable = [\"{}\"]\n", at.replace("http:", "https:"))),
    ] {
        let (folder, run) = with(name, &replaceable);
        run.ends(4).says(&["in place of none of its models: counter", "replaceable = [\"http"]);
        assert_eq!(folder.entries("session.started").len(), 0);
    }
    assert_eq!(server.asked(), 0, "not a word left");
    let (folder, run) = with("said", &format!("replaceable = [\"{at}/v1\"]\n"));
    run.ends(0);
    // Who answered is in the ledger.
    let outcomes = folder.entries("outcome");
    let last = text(outcomes.last().unwrap(), &["data", "receipt"]).to_owned();
    folder.cog(&["why", &last, "--json"]).ends(0).says(&["served_by", &at]);
    folder.holds();
}

/// Half of the words are not counted by a recording because `--model` was left out.
#[test]
fn a_run_goes_on_with_the_server_that_answered() {
    let (folder, server) = (counting("goes-on"), Server::start(0));
    let last = "outputs:\n";
    let ask = "  - { id: go, needs: [note], approve: { by: [\"user:ada\"], message: Go on? } }
  - id: again
    needs: [go]
    uses: model.chat
    with: { model: counter, tokens_max: 50, messages: [ { role: user, content: one } ] }
outputs:\n";
    folder.write("workflow.yaml", &WORKFLOW.replace(last, ask));
    let ada = r#"[{"uid": {"type": "User", "id": "ada"}, "attrs": {}, "parents": []},"#;
    let facts = FACTS.replacen('[', ada, 1);
    folder.write("canon/facts/people.json", &facts);
    let model = server.model();
    folder.cog(&["run", "workflow.yaml", "--model", &model, "--no-input"]).ends(8);
    let requested = folder.entries("approval.requested");
    let request = text(requested.last().unwrap(), &["data", "id"]).to_owned();
    folder.cog(&["approvals", "approve", &request, "--as", "user:ada"]).ends(0);
    let run = text(requested.last().unwrap(), &["session"]).to_owned();
    let refused = folder.cog(&["run", "--resume", &run]).ends(4);
    refused.says(&["answered for the model `counter`", &format!("--resume {run} --model {model}")]);
    assert_eq!((server.asked(), folder.entries("session.sealed").len()), (2, 0));
    folder.cog(&["run", "--resume", &run, "--model", &model]).ends(0);
    assert_eq!(server.asked(), 3);
    folder.holds();
}

/// What was to become production meanwhile goes on with the models that its canon names.
#[test]
fn a_run_whose_environment_became_production_goes_on_without_the_other_server() {
    let (folder, server) = (counting("became-production"), Server::start(0));
    let go = "  - { id: go, needs: [note], approve: { by: [\"user:ada\"], message: Go on? } }\noutputs:\n";
    folder.write("workflow.yaml", &WORKFLOW.replace("outputs:\n", go));
    let people = r#"[{"uid": {"type": "User", "id": "ada"}, "attrs": {}, "parents": []},
        {"uid": {"type": "User", "id": "bob"}, "attrs": {}, "parents": []},"#;
    folder.write("canon/facts/people.json", &FACTS.replacen('[', people, 1));
    let canon = CANON.replace("approvers = [", "approvers = [\"user:ada\", ");
    folder.write("canon/canon.toml", &canon);
    let model = server.model();
    let run =
        folder.cog(&["run", "workflow.yaml", "--model", &model, "--no-input"]).ends(8).id("run");
    let real = "[environments]\nallow = [\"development\"]\nproduction = [\"development\"]\n";
    folder.write("canon/canon.toml", &format!("{canon}{real}"));
    let proposal = folder.cog(&["canon", "propose", "canon", "--as", "user:bob"]).ends(0).id("prp");
    folder.cog(&["canon", "approve", &proposal, "--as", "user:ada"]).ends(0);
    folder.cog(&["canon", "activate", &proposal, "--as", "user:ada"]).ends(0);
    let resume = ["run", "--resume", &run];
    let refused = folder.cog(&[&resume[..], &["--model", &model]].concat()).ends(4);
    refused.says(&["is production", &format!("--resume {run}, without --model")]);
    let asked = folder.cog(&[&resume[..], &["--no-input"]].concat()).ends(8);
    let request = asked.id("apr");
    folder.cog(&["approvals", "approve", &request, "--as", "user:ada"]).ends(0);
    folder.cog(&resume).ends(0);
    folder.holds();
}

#[test]
fn a_server_that_no_model_of_the_workflow_lets_in_is_not_passed_over() {
    let folder = counting("other-model");
    let spare = "[models.spare]\nprovider = \"cassette\"\nreplaceable = true\n";
    let priced = "input_micros_per_million = 0\noutput_micros_per_million = 0\n";
    let canon = CANON.replace("replaceable = true\n", "");
    folder.write("canon/canon.toml", &format!("{canon}{spare}{priced}"));
    for more in [&[][..], &["--dry-run"]] {
        let run = ["run", "workflow.yaml", "--model", "http://127.0.0.1:1/v1#x"];
        let run = folder.cog(&[&run[..], more].concat()).ends(4);
        run.says(&["in place of none of the models that the workflow asks: counter"]);
    }
    assert_eq!(folder.entries("session.started").len(), 0);
}

#[test]
fn a_server_that_fails_is_asked_again_under_the_same_receipt() {
    let (folder, server) = (counting("retried"), Server::start(2));
    let run = folder.cog(&["run", "workflow.yaml", "--model", &server.model()]).ends(0);
    run.says(&["retry", "500", "counts: 3 words, 4 words"]);
    assert_eq!(server.asked(), 4);
    let outcomes = folder.entries("outcome");
    let attempts = |outcome: &Value| outcome.at(&["data", "attempts"]).unwrap().as_u64().unwrap();
    assert_eq!(outcomes.iter().map(attempts).max(), Some(3));
    assert_eq!(folder.entries("receipt").len(), 5);
    folder.holds();
}

#[test]
fn a_server_that_keeps_failing_fails_the_run_with_its_words() {
    let (folder, server) = (counting("failing"), Server::start(100));
    let run = folder.cog(&["run", "workflow.yaml", "--model", &server.model()]).ends(1);
    run.says(&["500"]);
    assert_eq!(server.asked(), 3);
    folder.holds();
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let folder = counting("nobody");
    let port = Server::start(0).port;
    let model = format!("http://127.0.0.1:{port}/v1#x");
    folder.cog(&["run", "workflow.yaml", "--model", &model]).ends(1).says(&["127.0.0.1"]);
    folder.holds();
}

#[test]
fn a_recording_answers_without_the_server() {
    let folder = counting("recorded");
    folder.write("recordings/keep", "");
    let tape = ["--record", "recordings/counter.jsonl"];
    let server = Server::start(0);
    let model = server.model();
    let run = ["run", "workflow.yaml"];
    let live = folder.cog(&[&run[..], &["--model", &model], &tape].concat()).ends(0);
    drop(server);
    assert_eq!(folder.read("recordings/counter.jsonl").lines().count(), 2);
    let recorded = folder.cog(&[&run[..], &["--data", "other"]].concat()).ends(0);
    for words in ["counts: 3 words, 4 words", "$0.00008 spent"] {
        assert!(live.out.contains(words) && recorded.out.contains(words), "{live}\n{recorded}");
    }
    folder.cog(&["replay", "--data", "other"]).ends(0);
    folder.holds();
}

#[test]
fn a_question_that_was_not_recorded_says_what_to_do() {
    let folder = counting("unrecorded");
    folder.write("recordings/counter.jsonl", "# nothing yet\n");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(1);
    run.says(&["`counter`", "has no answer to this question", "--model"]);
    folder.holds();
}

#[test]
fn the_users_own_folder_is_read() {
    let (folder, server) = (counting("own-folder"), Server::start(0));
    let own = folder.path("mine").display().to_string();
    for given in ["folder=mine".to_owned(), format!("folder={own}")] {
        let run = ["run", "workflow.yaml", "--input", &given, "--model", &server.model()];
        folder.cog(&run).ends(0).says(&["counts: 5 words"]);
    }
    let missing = ["run", "workflow.yaml", "--input", "folder=missing"];
    folder.cog(&missing).ends(2).says(&["missing"]);
}

#[test]
fn a_model_that_makes_no_sense_is_bad_usage() {
    let folder = counting("bad-model");
    for model in [
        "http://127.0.0.1/v1",
        "http://127.0.0.1/v1#",
        "http://127.0.0.1/v1# ",
        "openai:",
        "#x",
        "ftp://127.0.0.1/v1#x",
        "http://key@127.0.0.1/v1#x",
        "llama3",
    ] {
        let run = folder.cog(&["run", "workflow.yaml", "--model", model]).ends(2);
        run.says(&["--model", "try:"]);
    }
}

#[test]
fn a_server_that_claims_more_than_can_be_is_booked_at_the_worst_case() {
    for (usage, claimed) in [
        (r#"{"prompt_tokens":9000000000000000,"completion_tokens":10}"#, "$9000000000.00002"),
        (r#"{"prompt_tokens":1e300,"completion_tokens":1e300}"#, "it cost"),
        (r#"{"prompt_tokens":20,"completion_tokens":18446744073709551616}"#, "it cost"),
    ] {
        let folder = counting("claiming");
        let server = Server::counting(0, usage);
        // 41 and 46 bytes and words of frame at 1, and twice 50 tokens at 2 millionths.
        let run = folder.cog(&["run", "workflow.yaml", "--model", &server.model()]).ends(0);
        run.says(&["counts: 3 words, 4 words", "$0.000287 spent"]);
        let receipts = folder.entries("receipt");
        let chat = receipts
            .iter()
            .find(|it| it.at(&["data", "action"]).and_then(Value::as_text) == Some("model.chat"));
        let id = chat.and_then(|it| it.at(&["data", "id"])).and_then(Value::as_text).unwrap();
        folder.cog(&["why", id]).ends(0).says(&[claimed, "all that is booked"]);
        folder.cog(&["replay"]).ends(0);
        folder.holds();
    }
}

#[test]
fn a_server_that_counts_nothing_that_can_be_is_booked_at_the_bound() {
    for usage in [
        r#"{"prompt_tokens":-9000000000000000,"completion_tokens":-1}"#,
        r#"{"prompt_tokens":"many","completion_tokens":null}"#,
        "null",
        "[]",
    ] {
        let folder = counting("miscounting");
        let server = Server::counting(0, usage);
        let run = folder.cog(&["run", "workflow.yaml", "--model", &server.model()]).ends(0);
        // 41 and 46 of the questions at 1, and 7 bytes of each answer at 2 millionths.
        run.says(&["counts: 3 words, 4 words", "$0.000115 spent"]);
        folder.holds();
    }
}

#[test]
fn openai_is_not_asked_without_a_key() {
    let folder = counting("no-key");
    let run = folder.cog(&["run", "workflow.yaml", "--model", "openai:gpt-4o-mini"]).ends(2);
    run.says(&["OPENAI_API_KEY is not set", "export OPENAI_API_KEY="]);
    let openai = "[models.counter]\nprovider = \"openai\"";
    let canon = CANON.replace("[models.counter]\nprovider = \"cassette\"", openai);
    let folder = counting("no-key-configured");
    folder.write("canon/canon.toml", &canon);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(1);
    run.says(&["wants a key: export OPENAI_API_KEY="]);
    folder.holds();
}

/// A run that posts a question to the server, under a canon with this list of hosts.
fn posting(name: &str, hosts: &str, url: &str) -> Answer {
    let folder = counting(name);
    let post = "name: post\ndomain: counting\nsteps:\n  - id: post\n    uses: http.request\n    \
        with: { method: POST, url: \"URL\", json: { messages: [ { content: a b c } ] } }\n";
    folder.write("workflow.yaml", &post.replace("URL", url));
    folder.write("canon/canon.toml", &format!("{CANON}[hosts]\nallow = [{hosts}]\n"));
    let schema = "entity Host;\naction \"http.request\" appliesTo { principal: [User], \
        resource: [Host], context: {} };\n";
    folder.write("canon/schema.cedarschema", &format!("{SCHEMA}{schema}"));
    let answer = folder.cog(&["run", "workflow.yaml"]);
    let receipts = folder.entries("receipt").len();
    assert_eq!(receipts, usize::from(answer.code == 0), "a receipt for nothing: {answer}");
    folder.holds();
    answer
}

#[test]
fn a_service_on_this_machine_is_asked_only_where_the_canon_says_so() {
    let server = Server::start(0);
    let port = server.port;
    let url = format!("http://127.0.0.1:{port}/");
    let private =
        format!("{{ host = \"127.0.0.1\", ports = [{port}], private = true, plain_http = true }}");
    let refused = |name: &str, hosts: &str, url: &str, says: &[&str]| {
        posting(name, hosts, url).ends(4).says(says);
    };
    refused("unlisted", "", &url, &["does not list the host `127.0.0.1`"]);
    refused("port", "\"127.0.0.1\"", &url, &[&format!("not its port {port}")]);
    let listed = format!("\"127.0.0.1:{port}\"");
    refused("private", &listed, &url, &["`127.0.0.1` is not public"]);
    let user = format!("http://cfo:secret@127.0.0.1:{port}/");
    refused("user", &private, &user, &["holds a user or a password"]);
    assert_eq!(server.asked(), 0);
    posting("allowed", &private, &url).ends(0);
    assert_eq!(server.asked(), 1);
}
