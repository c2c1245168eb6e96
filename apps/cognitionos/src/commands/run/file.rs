//! Reading a workflow file, and telling what is wrong with it.

use std::io::Read as _;
use std::path::Path;

use verify::open_file;

use crate::failure::{Exit, Failure};
use crate::given;

/// The largest workflow file, in bytes.
const WORKFLOW_BYTES_MAX: u64 = 1 << 20;

/// The text of the workflow file that is named; `-` is standard input.
pub(super) fn read_workflow(file: &Path) -> anyhow::Result<String> {
    let failed = |error: &dyn std::fmt::Display| {
        let name = given::name(file);
        let advice = match given::run(&name) {
            Ok(run) => format!("it is the id of a run: cognitionos run --resume {run}"),
            Err(_) => {
                "name a workflow file; examples/01-quickstart/workflow.yaml is one".to_owned()
            }
        };
        Failure::advise(Exit::BadInput, format!("cannot read {name}: {error}"), advice)
    };
    let path = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let bytes = read_bytes(path).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > WORKFLOW_BYTES_MAX {
        let file = given::name(file);
        let message = format!("{file} is too large; a workflow has at most 1 MiB");
        let advice = "keep what is large in files that steps read";
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let message = "what stands here is not UTF-8";
        wrong_at(&given::name(file), (line, None), message, "save the file as UTF-8")
    })
}

/// What is wrong at one place of a workflow file, for people and for programs.
pub(super) fn wrong_at(
    file: &str,
    (line, column): (u32, Option<u32>),
    message: &str,
    hint: &str,
) -> anyhow::Error {
    let place = cog_base::Value::map([
        ("file", cog_base::Value::from(file)),
        ("line", u64::from(line).into()),
        ("column", column.map(u64::from).into()),
        ("message", message.into()),
        ("hint", hint.into()),
    ]);
    let column = column.map(|column| format!(":{column}")).unwrap_or_default();
    let told = format!("{file}:{line}{column}: {message}");
    Failure::at(Exit::BadInput, told, hint, vec![place])
}

/// What stands in a workflow file that another names, or why it cannot be read. One that is too
/// large is cut, and found to be too large as it is parsed.
pub(super) fn read_text(file: &Path) -> Result<String, String> {
    let bytes = read_bytes(file)?;
    String::from_utf8(bytes).map_err(|error| error.utf8_error().to_string())
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, String> {
    let opened = open_file(file).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    // What comes by a descriptor of this process need not end by itself.
    opened
        .take(WORKFLOW_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// A workflow file with errors: as a drawing for people, and place by place for programs.
pub(super) fn misread(errors: cog_flow::Diagnostics) -> anyhow::Error {
    let places = errors.list().iter().map(|it| {
        cog_base::Value::map([
            ("file", cog_base::Value::from(it.file.as_str())),
            ("line", it.at.map(|at| u64::from(at.line)).into()),
            ("column", it.at.map(|at| u64::from(at.column)).into()),
            ("message", it.message.as_str().into()),
            ("hint", it.hint.as_deref().into()),
        ])
    });
    Failure::at(
        Exit::BadInput,
        format!("the workflow has errors\n\n{errors}"),
        "mend these places; docs/guide/workflow.md says what can stand there",
        places.collect(),
    )
}
