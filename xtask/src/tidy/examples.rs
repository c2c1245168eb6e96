//! Each example has a README.

use std::collections::BTreeSet;

use crate::tidy::Finding;
use crate::workspace::File;

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut folders = BTreeSet::new();
    for file in files {
        let rest = file.path.strip_prefix("examples/").and_then(|rest| rest.split_once('/'));
        folders.extend(rest.map(|(folder, _)| folder));
    }
    let mut findings = Vec::new();
    for folder in folders {
        let place = format!("examples/{folder}");
        let readme = format!("{place}/README.md");
        if !files.iter().any(|file| file.path == readme) {
            findings.push(Finding::new(&place, "needs a README.md"));
        }
        let numbered = folder.split_once('-').is_some_and(|(number, _)| {
            number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !numbered {
            findings.push(Finding::new(&place, "needs a name like 01-quickstart"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(paths: &[&str]) -> Vec<String> {
        let file = |path: &&str| File { path: (*path).to_owned(), text: None };
        let files: Vec<File> = paths.iter().map(file).collect();
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_example_that_explains_itself_is_fine() {
        let paths = ["examples/01-quickstart/README.md", "examples/01-quickstart/workflow.yaml"];
        assert_eq!(finds(&paths), Vec::<String>::new());
    }

    #[test]
    fn an_example_without_readme_or_number_is_found() {
        assert_eq!(
            finds(&["examples/quickstart/workflow.yaml"]),
            [
                "examples/quickstart: needs a README.md",
                "examples/quickstart: needs a name like 01-quickstart",
            ]
        );
    }
}
