//! Arithmetic, comparison and membership, as CEL defines them for our kinds of value.

use std::cmp::Ordering;

use cog_base::Value;
use cog_base::json::{Integer, Json};

use super::Operator;
use super::eval::Fault;
use super::meter::{Meter, weight};

pub(super) fn binary(
    operator: Operator,
    left: &Value,
    right: &Value,
    meter: &Meter,
) -> Result<Value, Fault> {
    let truth = |truth: bool| Ok(Json::Bool(truth));
    match operator {
        Operator::Add => add(left, right, meter),
        Operator::Subtract => arithmetic("-", left, right, i64::checked_sub),
        Operator::Multiply => arithmetic("*", left, right, i64::checked_mul),
        Operator::Divide => divide("/", left, right, i64::checked_div),
        Operator::Modulo => divide("%", left, right, i64::checked_rem),
        Operator::Equals => truth(equal(left, right, meter)?),
        Operator::NotEquals => truth(!equal(left, right, meter)?),
        Operator::Less => truth(compare("<", left, right)?.is_lt()),
        Operator::LessEquals => truth(compare("<=", left, right)?.is_le()),
        Operator::Greater => truth(compare(">", left, right)?.is_gt()),
        Operator::GreaterEquals => truth(compare(">=", left, right)?.is_ge()),
        Operator::In => contains(left, right, meter).map(Json::Bool),
    }
}

pub(super) fn negate(value: &Value) -> Result<Value, Fault> {
    let number = value.as_int();
    let number = number.ok_or_else(|| Fault::NoOverload("-", value.kind().to_owned()))?;
    whole(number.checked_neg())
}

/// The number as a value, if it has one of 53 bits.
pub(super) fn whole(number: Option<i64>) -> Result<Value, Fault> {
    number.and_then(Integer::new).map(Json::Int).ok_or(Fault::Overflow)
}

fn no_overload(sign: &'static str, left: &Value, right: &Value) -> Fault {
    Fault::NoOverload(sign, format!("{} and {}", left.kind(), right.kind()))
}

fn add(left: &Value, right: &Value, meter: &Meter) -> Result<Value, Fault> {
    match (left, right) {
        (Json::Int(left), Json::Int(right)) => whole(left.get().checked_add(right.get())),
        (Json::Text(left), Json::Text(right)) => {
            meter.bytes(left.len().saturating_add(right.len()))?;
            Ok(Json::Text(format!("{left}{right}")))
        }
        (Json::List(first), Json::List(second)) => {
            meter.copy(left)?;
            meter.copy(right)?;
            Ok(Json::List(first.iter().chain(second).cloned().collect()))
        }
        _ => Err(no_overload("+", left, right)),
    }
}

fn arithmetic(
    sign: &'static str,
    left: &Value,
    right: &Value,
    work: fn(i64, i64) -> Option<i64>,
) -> Result<Value, Fault> {
    match (left, right) {
        (Json::Int(left), Json::Int(right)) => whole(work(left.get(), right.get())),
        _ => Err(no_overload(sign, left, right)),
    }
}

fn divide(
    sign: &'static str,
    left: &Value,
    right: &Value,
    work: fn(i64, i64) -> Option<i64>,
) -> Result<Value, Fault> {
    if left.as_int().is_some() && right.as_int() == Some(0) {
        return Err(Fault::DivisionByZero);
    }
    arithmetic(sign, left, right, work)
}

fn compare(sign: &'static str, left: &Value, right: &Value) -> Result<Ordering, Fault> {
    match (left, right) {
        (Json::Int(left), Json::Int(right)) => Ok(left.cmp(right)),
        (Json::Text(left), Json::Text(right)) => Ok(left.cmp(right)),
        (Json::Bool(left), Json::Bool(right)) => Ok(left.cmp(right)),
        _ => Err(no_overload(sign, left, right)),
    }
}

/// Equality across kinds: values of different kinds are not equal.
fn equal(left: &Value, right: &Value, meter: &Meter) -> Result<bool, Fault> {
    match (left, right) {
        (Json::Text(left), Json::Text(right)) => meter.scan(left.len().min(right.len()))?,
        (Json::List(_), Json::List(_)) | (Json::Map(_), Json::Map(_)) => {
            meter.scan(usize::try_from(weight(left)).unwrap_or(usize::MAX))?;
        }
        _ => {}
    }
    Ok(left == right)
}

fn contains(item: &Value, container: &Value, meter: &Meter) -> Result<bool, Fault> {
    match (item, container) {
        (item, Json::List(items)) => {
            for candidate in items {
                meter.operation()?;
                if equal(candidate, item, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Json::Text(key), Json::Map(members)) => Ok(members.contains_key(key)),
        // These are keys in CEL; our objects have none of them.
        (Json::Int(_) | Json::Bool(_), Json::Map(_)) => Ok(false),
        _ => Err(no_overload("in", item, container)),
    }
}
