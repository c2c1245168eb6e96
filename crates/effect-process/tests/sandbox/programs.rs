//! Programs that behave, and helpers that do not.

use cog_effect_process::Sandbox;
use cog_gate::effect::ProcessRun;

use crate::bench::{Bench, outcome, program, receipt, sh};

#[tokio::test]
async fn a_program_reads_its_input_and_writes_its_output() {
    let effect = ProcessRun { stdin: Some("3\n1\n2\n".into()), ..program("sort", &[]) };
    assert_eq!(outcome(&effect, None).await, "0|1\n2\n3\n|");
    assert_eq!(outcome(&sh("echo out; echo err >&2; exit 3"), None).await, "3|out\n|err\n");
    assert_eq!(outcome(&program("/usr/bin/printf", &["%s", "a b"]), None).await, "0|a b|");
    assert_eq!(outcome(&sh("kill -9 $$"), None).await, "137||");
    assert_eq!(outcome(&sh("true; exit 255"), None).await, "255||");
}

#[tokio::test]
async fn its_environment_is_the_given_one_and_nothing_else() {
    let env = [("GREETING".to_owned(), "hi ä".to_owned())].into();
    let effect = ProcessRun { env, ..program("env", &[]) };
    assert_eq!(outcome(&effect, None).await, "0|GREETING=hi ä\n|");
}

#[tokio::test]
async fn it_works_in_its_root_and_leaves_what_it_made() {
    let bench = Bench::new();
    let folder = bench.lend(true);
    let effect = sh("pwd; cat in.txt; mkdir -p a/b && echo made > a/b/out.txt; rm in.txt");
    assert_eq!(outcome(&effect, Some(&folder)).await, "0|/workspace\ninput\n|");
    let made = std::fs::read_to_string(bench.folder.join("root/a/b/out.txt")).unwrap();
    assert_eq!(made, "made\n");
    assert!(!bench.folder.join("root/in.txt").exists());
}

#[tokio::test]
async fn output_that_is_not_text_is_shown_as_far_as_it_is() {
    let effect = program("printf", &["a\\377b"]);
    assert_eq!(outcome(&effect, None).await, "0|a\u{fffd}b|");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let check = async |name: &str, expected: &str| {
        assert_eq!(outcome(&program(name, &[]), None).await, expected);
    };
    check(
        "no-such",
        "process.not_found: could not run `no-such`: it is neither in /usr/bin nor in /bin",
    )
    .await;
    check("/home/x", "process.not_found: could not run `/home/x`: the sandbox has no such file")
        .await;
    check(
        "../sh",
        "process.not_found: could not run `../sh`: name an absolute path, or a program in /usr/bin or /bin",
    )
    .await;
    check("/usr/bin", "process.not_found: could not run `/usr/bin`: the sandbox has no such file")
        .await;
    let bench = Bench::new();
    let folder = bench.lend(true);
    let text = outcome(&program("/workspace/in.txt", &[]), Some(&folder)).await;
    assert!(text.starts_with("process.not_started: could not run \"/workspace/in.txt\""), "{text}");
}

#[tokio::test]
async fn without_its_helper_nothing_is_run() {
    let bench = Bench::new();
    let marker = bench.folder.join("ran");
    for helper in ["/no/such/helper", "/bin/true", "/bin/cat"] {
        let sandbox = Sandbox::new(helper.into());
        let effect = program("touch", &[marker.to_str().unwrap()]);
        let failure = sandbox.run(&effect, None, receipt(), None).await.unwrap_err();
        assert_eq!(failure.code, "process.sandbox_unavailable", "{helper}: {}", failure.message);
        assert!(!marker.exists());
    }
}

#[tokio::test]
async fn a_helper_that_nobody_sent_for_says_so() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_cog-sandbox-enter"))
        .env_clear()
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the engine takes it by itself"));
}
