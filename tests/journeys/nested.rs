//! Values that are nested deeply: what is taken in can be read again, and what could not is not taken.

use crate::forks::permitted;

const FLOW: &str = "
name: nested
domain: forks
inputs: { x: { type: list, default: [] } }
roots: { out: { path: ./out, access: write, create: true } }
steps:
  - { id: save, uses: file.write, with: { root: out, path: x.json, document: { x: \"${{ inputs.x }}\" }, mode: replace } }
  - { id: go, needs: [save], wait_for: { signal: go } }
outputs: { x: \"${{ inputs.x }}\", said: \"${{ steps.go.output.payload }}\" }
";

fn lists(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn what_is_nested_too_deeply_to_be_kept_is_not_taken() {
    let folder = permitted("nested");
    folder.write("workflow.yaml", FLOW);
    let run = |levels| {
        folder.cog(&[
            "run",
            "workflow.yaml",
            "--no-input",
            "--input",
            &format!("x={}", lists(levels)),
        ])
    };
    for levels in [33, 64, 65, 5_000] {
        run(levels).ends(2).says(&["nested deeper than 32 levels"]);
    }
    let id = run(32).ends(8).id("run");
    for levels in [33, 62, 5_000] {
        let payload = lists(levels);
        let told = folder.cog(&["signal", &id, "go", "--payload", &payload]).ends(2);
        told.says(&["nested deeper than 32 levels"]);
    }
    folder.cog(&["signal", &id, "go", "--payload", &lists(32)]).ends(0);
    folder.cog(&["run", "--resume", &id]).ends(0).says(&["completed"]);
    folder.holds();
}

/// What a workflow builds itself may be nested deeper, and is told where it ends.
#[test]
fn what_a_workflow_builds_has_an_end_too() {
    let folder = permitted("nested-built");
    let wrapped = |levels: usize| {
        let built = format!("{}\"${{{{ inputs.x }}}}\"{}", "[".repeat(levels), "]".repeat(levels));
        FLOW.replace("document: { x: \"${{ inputs.x }}\" }", &format!("document: {{ x: {built} }}"))
            .replace("  - { id: go, needs: [save], wait_for: { signal: go } }\n", "")
            .replace(", said: \"${{ steps.go.output.payload }}\"", "")
    };
    let run = |levels: usize| {
        folder.write("workflow.yaml", &wrapped(levels));
        folder.cog(&["run", "workflow.yaml", "--input", &format!("x={}", lists(32))])
    };
    run(14).ends(0);
    run(17).ends(1).says(&["nested deeper than 48 levels"]);
    folder.holds();
}
