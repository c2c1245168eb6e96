//! From the syntax tree of the `cel` crate to the tree that is evaluated.

use std::sync::LazyLock;

use cel::common::ast::{self, CallExpr, EntryExpr, IdedExpr, LiteralValue, SourceInfo, operators};
use cog_base::Value;
use cog_base::json::{Integer, Json};

use super::functions::Function;
use super::{CompileError, Expr, Macro, MacroCall, Operator, Part, Reference, Target};
use crate::limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, MAX_MACRO_DEPTH};
use cog_base::suggest;

const ROOTS: [&str; 5] = ["inputs", "steps", "item", "index", "run"];

/// A CEL environment without macros and functions: we only parse with it.
static SYNTAX: LazyLock<cel::Env> =
    LazyLock::new(|| cel::Env::default().with_optional_support(false));

type Compiled = Result<Expr, CompileError>;

pub(super) fn compile(source: &str) -> Result<(Expr, Vec<Reference>), CompileError> {
    guard(source)?;
    let program = SYNTAX.compile(source).map_err(|errors| syntax_error(source, &errors))?;
    let mut compiler = Compiler {
        source,
        places: program.source_info(),
        locals: Vec::new(),
        references: Vec::new(),
    };
    let root = compiler.expr(program.expression(), 0)?;
    compiler.references.sort_by_key(|reference| reference.at);
    Ok((root, compiler.references))
}

/// Bounds what the parser is given: it recurses once for each operator of a chain.
fn guard(source: &str) -> Result<(), CompileError> {
    if source.len() > MAX_EXPRESSION_BYTES {
        let message = format!("the expression is longer than {MAX_EXPRESSION_BYTES} bytes");
        let hint = "compute it in several steps with `uses: compute`".to_owned();
        return Err(CompileError { at: 0, message, hint: Some(hint) });
    }
    let mut quote = None;
    let mut escaped = false;
    let mut open = 0_usize;
    let mut signs = 0_usize;
    for (at, letter) in source.char_indices() {
        if let Some(mark) = quote {
            if !escaped && letter == mark {
                quote = None;
            }
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '\'' | '"' => quote = Some(letter),
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            ',' => signs = 0,
            '.' | '+' | '-' | '*' | '/' | '%' | '!' | '?' | '&' | '|' | '<' | '>' | '=' => {
                signs += 1;
            }
            _ => {}
        }
        if open > MAX_EXPRESSION_DEPTH || signs > 6 * MAX_EXPRESSION_DEPTH {
            return Err(too_deep(at));
        }
    }
    Ok(())
}

fn too_deep(at: usize) -> CompileError {
    let message = format!("the expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels");
    let hint = "compute it in several steps with `uses: compute`".to_owned();
    CompileError { at, message, hint: Some(hint) }
}

fn syntax_error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    let Some(error) = errors.errors.first() else {
        return CompileError { at: 0, message: "not a CEL expression".to_owned(), hint: None };
    };
    let (line, column) = error.pos;
    let line = usize::try_from(line).unwrap_or(0).saturating_sub(1);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = source.get(start..).unwrap_or("");
    let column = usize::try_from(column).unwrap_or(0).saturating_sub(1);
    let within = rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte);
    let message = error.msg.lines().next().unwrap_or("").replace("Syntax error: ", "");
    let message = if message.contains("'<EOF>'") { "it ends too early" } else { &message };
    CompileError {
        at: start + within,
        message: format!("this is not a CEL expression: {}", shorten(message)),
        hint: syntax_hint(source),
    }
}

/// ANTLR lists every token it would have taken; the first half says enough.
fn shorten(message: &str) -> String {
    let cut = message.find(" expecting {").unwrap_or(message.len());
    message.get(..cut).unwrap_or(message).chars().take(160).collect()
}

fn syntax_hint(source: &str) -> Option<String> {
    let has = |word: &str| source.split_whitespace().any(|token| token == word);
    if has("and") || has("or") || has("not") {
        return Some("CEL writes `&&`, `||` and `!`".to_owned());
    }
    if source.contains("===") {
        return Some("CEL writes `==`".to_owned());
    }
    if source.contains("=>") {
        return Some("CEL writes `list.map(x, …)` and `list.filter(x, …)`".to_owned());
    }
    let count = |letter: char| source.chars().filter(|other| *other == letter).count();
    for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
        if count(open) != count(close) {
            return Some(format!("count the `{open}` and `{close}`"));
        }
    }
    if count('\'') % 2 == 1 || count('"') % 2 == 1 {
        return Some("a text ends with the quote that it began with".to_owned());
    }
    Some("expressions are CEL: docs/guide/workflow.md says what there is".to_owned())
}

struct Compiler<'s> {
    source: &'s str,
    places: &'s SourceInfo,
    /// Variables of the macros around, innermost last.
    locals: Vec<String>,
    references: Vec<Reference>,
}

impl Compiler<'_> {
    /// The byte at which a node starts. The parser counts characters.
    fn at(&self, expr: &IdedExpr) -> usize {
        let start = self.places.offset_for(expr.id).map_or(0, |(start, _)| start) as usize;
        self.source.char_indices().nth(start).map_or(self.source.len(), |(byte, _)| byte)
    }

    fn fail<T>(
        &self,
        expr: &IdedExpr,
        message: String,
        hint: Option<String>,
    ) -> Result<T, CompileError> {
        Err(CompileError { at: self.at(expr), message, hint })
    }

    fn expr(&mut self, expr: &IdedExpr, depth: usize) -> Compiled {
        let at = self.at(expr);
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(too_deep(at));
        }
        let node = match &expr.expr {
            ast::Expr::Literal(literal) => Expr::Literal(self.literal(expr, literal)?),
            ast::Expr::Ident(name) => self.ident(expr, name)?,
            ast::Expr::Select(select) => {
                self.select(expr, &select.operand, &select.field, depth)?
            }
            ast::Expr::List(list) => Expr::List(self.exprs(&list.elements, depth)?),
            ast::Expr::Map(map) => Expr::Map(self.entries(expr, map, depth)?),
            ast::Expr::Call(call) => self.call(expr, call, depth)?,
            ast::Expr::Struct(_) | ast::Expr::Comprehension(_) | ast::Expr::Unspecified => {
                return self.fail(expr, "messages are not available in expressions".into(), None);
            }
        };
        Ok(node)
    }

    fn boxed(&mut self, expr: &IdedExpr, depth: usize) -> Result<Box<Expr>, CompileError> {
        self.expr(expr, depth + 1).map(Box::new)
    }

    fn exprs(&mut self, list: &[IdedExpr], depth: usize) -> Result<Vec<Expr>, CompileError> {
        list.iter().map(|one| self.expr(one, depth + 1)).collect()
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Result<Value, CompileError> {
        match literal {
            LiteralValue::Boolean(truth) => Ok(Json::Bool(*truth.inner())),
            LiteralValue::Null => Ok(Json::Null),
            LiteralValue::String(text) => Ok(Json::Text(text.inner().to_owned())),
            LiteralValue::Int(number) => match Integer::new(*number.inner()) {
                Some(number) => Ok(Json::Int(number)),
                None => self.fail(expr, "the number is beyond ±(2^53 - 1)".into(), None),
            },
            LiteralValue::Double(_) => self.fail(
                expr,
                "numbers with a fraction are not allowed".into(),
                Some("use integer minor units, such as cents or milliseconds".into()),
            ),
            LiteralValue::UInt(_) => self.fail(
                expr,
                "unsigned numbers are not allowed".into(),
                Some("leave the `u` out".into()),
            ),
            LiteralValue::Bytes(_) => self.fail(
                expr,
                "bytes are not allowed".into(),
                Some("leave the `b` out: text is enough".into()),
            ),
        }
    }

    fn reference(&mut self, expr: &IdedExpr, target: Target) {
        let at = self.at(expr);
        self.references.push(Reference { at, target });
    }

    fn ident(&mut self, expr: &IdedExpr, name: &str) -> Result<Expr, CompileError> {
        if let Some(position) = self.locals.iter().rev().position(|local| local == name) {
            return Ok(Expr::Local(position));
        }
        match name {
            "inputs" => {
                self.reference(expr, Target::Inputs);
                Ok(Expr::Inputs)
            }
            "run" => Ok(Expr::Run),
            "event" => {
                self.reference(expr, Target::Event);
                Ok(Expr::Event)
            }
            "item" => {
                self.reference(expr, Target::Item);
                Ok(Expr::Item)
            }
            "index" => {
                self.reference(expr, Target::Index);
                Ok(Expr::Index)
            }
            "steps" => self.fail(
                expr,
                "`steps` alone says nothing".into(),
                Some("name the step and what you want of it: `steps.list.output`".into()),
            ),
            _ => {
                let known = self.locals.iter().map(String::as_str).chain(ROOTS);
                let hint = self.dashed(expr).or_else(|| suggest::hint(name, known));
                self.fail(expr, format!("there is nothing called `{name}`"), hint)
            }
        }
    }

    /// The hint for `steps.list-all`, which CEL reads as a subtraction.
    fn dashed(&self, expr: &IdedExpr) -> Option<String> {
        let (before, after) = self.source.split_at_checked(self.at(expr))?;
        let start = before.strip_suffix('-')?.rfind("steps.")? + "steps.".len();
        let word = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let head = before.get(start..).filter(|head| head.chars().all(word))?;
        let tail: String = after.chars().take_while(|letter| word(*letter)).collect();
        Some(format!("an id with `-` is written `steps[\"{head}{tail}\"]` in CEL"))
    }

    /// Whether `expr` is this root name and not the variable of a macro.
    fn is_root(&self, expr: &IdedExpr, root: &str) -> bool {
        matches!(&expr.expr, ast::Expr::Ident(name) if name == root)
            && !self.locals.iter().any(|local| local == root)
    }

    /// The id in `steps.id` or `steps["id"]`.
    fn step_id<'e>(&self, expr: &'e IdedExpr) -> Option<&'e str> {
        if let ast::Expr::Select(select) = &expr.expr {
            return self.is_root(&select.operand, "steps").then_some(&select.field);
        }
        let ast::Expr::Call(call) = &expr.expr else { return None };
        match call.args.as_slice() {
            [base, key] if call.func_name == operators::INDEX && self.is_root(base, "steps") => {
                literal_text(key)
            }
            _ => None,
        }
    }

    fn select(
        &mut self,
        expr: &IdedExpr,
        operand: &IdedExpr,
        field: &str,
        depth: usize,
    ) -> Result<Expr, CompileError> {
        if self.is_root(operand, "steps") {
            self.reference(operand, Target::Step(field.to_owned()));
            return Ok(Expr::Step(field.to_owned(), None));
        }
        if let Some(id) = self.step_id(operand) {
            let Some(part) = Part::from_word(field) else {
                let hint = suggest::hint(field, Part::WORDS);
                return self.fail(expr, format!("a step has no `{field}`"), hint);
            };
            self.reference(operand, Target::Step(id.to_owned()));
            return Ok(Expr::Step(id.to_owned(), Some(part)));
        }
        if self.is_root(operand, "inputs") {
            self.reference(operand, Target::Input(field.to_owned()));
            return Ok(Expr::Select(Box::new(Expr::Inputs), field.to_owned()));
        }
        if self.is_root(operand, "run") {
            self.reference(operand, Target::Run(field.to_owned()));
        }
        Ok(Expr::Select(self.boxed(operand, depth)?, field.to_owned()))
    }

    fn index(
        &mut self,
        expr: &IdedExpr,
        base: &IdedExpr,
        key: &IdedExpr,
        depth: usize,
    ) -> Result<Expr, CompileError> {
        if let Some(text) = literal_text(key) {
            return self.select(expr, base, text, depth);
        }
        if self.is_root(base, "steps") {
            let hint = "name the step: `steps.list` or `steps[\"list-all\"]`".to_owned();
            return self.fail(key, "a step is named by plain text".into(), Some(hint));
        }
        Ok(Expr::At(self.boxed(base, depth)?, self.boxed(key, depth)?))
    }

    fn entries(
        &mut self,
        expr: &IdedExpr,
        map: &ast::MapExpr,
        depth: usize,
    ) -> Result<Vec<(Expr, Expr)>, CompileError> {
        let mut entries = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return self.fail(expr, "messages are not available in expressions".into(), None);
            };
            let key = self.expr(&entry.key, depth + 1)?;
            entries.push((key, self.expr(&entry.value, depth + 1)?));
        }
        Ok(entries)
    }

    fn call(
        &mut self,
        expr: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, CompileError> {
        if let Some(target) = &call.target {
            return match macro_of(&call.func_name) {
                Some(kind) => self.comprehension(expr, kind, target, &call.args, depth),
                None => self.function(expr, &call.func_name, Some(target), &call.args, depth),
            };
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let condition = self.expr(condition, depth + 1)?;
                let yes = self.expr(yes, depth + 1)?;
                Ok(Expr::If(Box::new([condition, yes, self.expr(no, depth + 1)?])))
            }
            (operators::LOGICAL_AND, [left, right]) => {
                Ok(Expr::And(self.boxed(left, depth)?, self.boxed(right, depth)?))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                Ok(Expr::Or(self.boxed(left, depth)?, self.boxed(right, depth)?))
            }
            (operators::LOGICAL_NOT, [one]) => Ok(Expr::Not(self.boxed(one, depth)?)),
            (operators::NEGATE, [one]) => Ok(Expr::Negate(self.boxed(one, depth)?)),
            (operators::INDEX, [base, key]) => self.index(expr, base, key, depth),
            (operators::HAS, [one]) => self.has(expr, one, depth),
            (name, [left, right]) if operator_of(name).is_some() => {
                let operator = operator_of(name).unwrap_or(Operator::Equals);
                Ok(Expr::Binary(operator, self.boxed(left, depth)?, self.boxed(right, depth)?))
            }
            (name, args) => self.function(expr, name, None, args, depth),
        }
    }

    fn has(&mut self, expr: &IdedExpr, one: &IdedExpr, depth: usize) -> Result<Expr, CompileError> {
        if let (ast::Expr::Select(select), None) = (&one.expr, self.step_id(one)) {
            let field = select.field.clone();
            return Ok(Expr::Has(self.boxed(&select.operand, depth)?, field));
        }
        let hint = "write `has(steps.read.output.total)`".to_owned();
        self.fail(expr, "`has` asks for a member".into(), Some(hint))
    }

    fn comprehension(
        &mut self,
        expr: &IdedExpr,
        kind: Macro,
        target: &IdedExpr,
        args: &[IdedExpr],
        depth: usize,
    ) -> Result<Expr, CompileError> {
        let range = self.expr(target, depth + 1)?;
        let (variable, predicate, transform) = match (kind, args) {
            (Macro::Map, [variable, transform]) => (variable, None, Some(transform)),
            (Macro::Map, [variable, test, transform]) => (variable, Some(test), Some(transform)),
            (Macro::All | Macro::Exists | Macro::ExistsOne | Macro::Filter, [variable, test]) => {
                (variable, Some(test), None)
            }
            (_, _) => {
                let hint = "write `list.map(x, …)` or `list.filter(x, …)`".to_owned();
                return self.fail(expr, "wrong number of arguments".into(), Some(hint));
            }
        };
        let ast::Expr::Ident(variable) = &variable.expr else {
            let hint = "write `list.map(x, …)` with a name of your own for `x`".to_owned();
            return self.fail(variable, "the first argument is a plain name".into(), Some(hint));
        };
        if self.locals.len() >= MAX_MACRO_DEPTH {
            let message = format!("more than {MAX_MACRO_DEPTH} macros within each other");
            let hint = "use nested steps with `foreach`".to_owned();
            return self.fail(expr, message, Some(hint));
        }
        self.locals.push(variable.clone());
        let body = |one: Option<&IdedExpr>, compiler: &mut Self| {
            one.map(|one| compiler.expr(one, depth + 1)).transpose()
        };
        let predicate = body(predicate, self);
        let transform = body(transform, self);
        self.locals.pop();
        let (predicate, transform) = (predicate?, transform?);
        Ok(Expr::Macro(Box::new(MacroCall { kind, range, predicate, transform })))
    }

    fn function(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
        depth: usize,
    ) -> Result<Expr, CompileError> {
        let Some(function) = Function::from_name(name) else {
            return self.fail(expr, format!("there is no function `{name}`"), function_hint(name));
        };
        let count = args.len() + usize::from(target.is_some());
        let (least, most, method) = function.shape();
        if count < least || count > most || (method && target.is_none()) {
            let hint = Some(format!("write `{}`", function.usage()));
            return self.fail(expr, format!("`{name}` is called in another way"), hint);
        }
        let mut all = target
            .map(|one| self.exprs(std::slice::from_ref(one), depth))
            .transpose()?
            .unwrap_or_default();
        all.extend(self.exprs(args, depth)?);
        Ok(Expr::Call(function, all))
    }
}

fn function_hint(name: &str) -> Option<String> {
    match name {
        "matches" => {
            Some("there are no regular expressions; use `contains`, `startsWith` or `split`".into())
        }
        "double" => Some("use integer minor units, such as cents".into()),
        "len" | "length" | "count" => Some("did you mean `size`?".into()),
        _ => suggest::hint(name, Function::NAMES.into_iter().chain(MACROS)),
    }
}

const MACROS: [&str; 6] = ["all", "exists", "exists_one", "filter", "map", "has"];

fn macro_of(name: &str) -> Option<Macro> {
    match name {
        operators::ALL => Some(Macro::All),
        operators::EXISTS => Some(Macro::Exists),
        operators::EXISTS_ONE => Some(Macro::ExistsOne),
        operators::FILTER => Some(Macro::Filter),
        operators::MAP => Some(Macro::Map),
        _ => None,
    }
}

fn operator_of(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Modulo,
        operators::EQUALS => Operator::Equals,
        operators::NOT_EQUALS => Operator::NotEquals,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessEquals,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterEquals,
        operators::IN => Operator::In,
        _ => return None,
    })
}

fn literal_text(expr: &IdedExpr) -> Option<&str> {
    if let ast::Expr::Literal(LiteralValue::String(text)) = &expr.expr {
        return Some(text.inner());
    }
    None
}
