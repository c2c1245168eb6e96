//! What people fill in when they say yes.

use std::path::Path;

use cog_base::Value;
use cog_base::json::{Map, parse_taken};
use cog_flow::Form;
use cog_gate::FORM;
use cog_gate::approvals::Request;

use crate::control::request::Given;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::terminal::plain;

/// What is given on the command line, each field once: by itself, or in a file.
pub(super) fn given(field: &[String], file: Option<&Path>) -> anyhow::Result<Given> {
    let mut all = Given::new();
    if let Some(file) = file {
        let path = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
        let bytes = given::bytes(path).map_err(|error| {
            let message = format!("could not read `{}`: {error}", given::name(file));
            Failure::advise(Exit::BadInput, message, "name a file that is there")
        })?;
        let value = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| parse_taken(text).ok())
            .filter(|value| value.as_map().is_some());
        let value = value.ok_or_else(|| {
            let message = format!("{} is no JSON object", given::name(file));
            Failure::advise(Exit::BadInput, message, "such as { \"cost_center\": \"4711\" }")
        })?;
        let text = |value: &Value| value.as_text().map_or_else(|| value.to_string(), str::to_owned);
        // Null is what is not filled in.
        let members = value.as_map().into_iter().flatten().filter(|(_, it)| **it != Value::Null);
        all.extend(members.map(|(name, value)| (name.clone(), text(value))));
    }
    for one in field {
        let (name, value) = one.split_once('=').ok_or_else(|| {
            let message = format!("`--field {}` has no value", plain(one));
            Failure::advise(Exit::BadInput, message, "--field NAME=VALUE")
        })?;
        if all.insert(name.to_owned(), value.to_owned()).is_some() {
            let message = format!("the field `{}` is given twice", plain(name));
            return Err(Failure::advise(Exit::BadInput, message, "give each field once"));
        }
    }
    Ok(all)
}

/// The form of a request; empty where nothing is to be filled in, or its record is gone.
pub(crate) fn of(home: &Home, request: &Request) -> anyhow::Result<Form> {
    let body = super::body(home, request)?;
    let form = body.as_ref().and_then(super::args).and_then(|args| args.get(FORM));
    Ok(form.and_then(Form::of).unwrap_or_default())
}

/// What was given, read by the kinds of the fields.
///
/// # Errors
/// What is wrong with it, and the fields that there are.
pub(super) fn bound(home: &Home, request: Option<&Request>, given: &Given) -> anyhow::Result<Map> {
    let form = request.map_or_else(|| Ok(Form::default()), |request| of(home, request))?;
    if form.is_empty() {
        if given.is_empty() || request.is_none() {
            return Ok(Map::new());
        }
        let advice = "the same without --field and --fields";
        return Err(Failure::advise(Exit::BadInput, cog_engine::NO_FORM, advice));
    }
    form.bind(given).map_err(|why| Failure::advise(Exit::BadInput, plain(&why), fields(&form)))
}

/// What can be filled in, as it is given.
fn fields(form: &Form) -> String {
    let field = |(name, spec): (&String, &cog_flow::InputSpec)| {
        let field = format!("--field {name}={}", spec.kind.as_str().to_uppercase());
        if spec.required { field } else { format!("[{field}]") }
    };
    form.0.iter().map(field).collect::<Vec<_>>().join(" ")
}
