//! `tf_op`: every row of the schema table by name, its overload chosen by the arguments as the Python front does.
use super::status::{Failure, TF_Code, TF_Status, guard};
use super::tensor::{TF_Tensor, give};
use super::value::{Given, TF_Value, items, read, text};
use crate::overload::{Argument, Arguments, Refused, RefusedBy, Row, Values, rows};
use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::OnceLock;
use tenflowers_core::schema::{Param, ParamKind, Returns, Schema, Value};
use tenflowers_core::{DType, Device, Scalar, Tensor, TensorError};

static TABLE: OnceLock<BTreeMap<String, Row>> = OnceLock::new();

fn table() -> &'static BTreeMap<String, Row> {
    TABLE.get_or_init(rows)
}

/// Makes the table, which the first call would make.
pub fn prepare() {
    table();
}

/// The arguments of one call.
struct Call<'a> {
    positional: Vec<Given<'a>>,
    named: Vec<(&'a str, Given<'a>)>,
}

impl<'a> Arguments for &'a Call<'a> {
    type One = &'a Given<'a>;

    /// C has no methods.
    fn own(&self) -> Option<Self::One> {
        None
    }
    fn positional(&self) -> impl ExactSizeIterator<Item = Self::One> + Clone {
        self.positional.iter()
    }
    fn named(
        &self,
        mut take: impl FnMut(&str, Self::One) -> Result<(), RefusedBy<Self>>,
    ) -> Result<(), RefusedBy<Self>> {
        self.named.iter().try_for_each(|(name, v)| take(name, v))
    }
}

impl Argument for &Given<'_> {
    type Error = Failure;
    const NAMED: &'static str = "argument";
    const SHOWS_OUT: bool = false;

    fn convert(&self, schema: &Schema, param: &Param) -> Result<Value, Refused<Failure>> {
        convert(schema, param, self)
    }
    fn int(&self) -> Result<Option<i64>, Failure> {
        Ok(int(self))
    }
    fn is_none(&self) -> bool {
        matches!(self, Given::None)
    }
    fn error(text: String) -> Failure {
        Failure::new(TF_Code::TF_CALL_ERROR, text)
    }
    fn text(error: &Failure) -> String {
        error.message.clone()
    }
}

/// The one element of a tensor that stands where a number does.
fn element(v: &Given) -> Option<Scalar> {
    if let Given::Tensor(t) = v { t.item().ok() } else { None }
}

fn number(v: &Given) -> Option<Scalar> {
    Some(match v {
        Given::Int(i) => Scalar::from(*i),
        Given::Float(f) => Scalar::Float(*f),
        Given::Bool(b) => Scalar::Bool(*b),
        Given::Complex(c) => Scalar::Complex(*c),
        _ => return None,
    })
}

/// An integer, or an integer tensor's one element; never a float or a bool.
fn int(v: &Given) -> Option<i64> {
    match v {
        Given::Int(i) => Some(*i),
        _ => match element(v)? {
            Scalar::Int(i) => i64::try_from(i).ok(),
            _ => None,
        },
    }
}

fn ints(v: &Given) -> Option<Value> {
    match v {
        Given::Ints(all) => Some(Value::Ints(all.clone())),
        Given::Tensor(t) if t.rank() == 1 && t.dtype().is_integral() && t.dtype() != DType::Bool => {
            let all = t.to_scalars().ok()?;
            all.iter().map(|s| i64::try_from(s.as_int()).ok()).collect::<Option<_>>().map(Value::Ints)
        }
        _ => int(v).map(Value::Int),
    }
}

/// The argument as the parameter takes it.
fn convert(schema: &Schema, param: &Param, v: &Given) -> Result<Value, Refused<Failure>> {
    let number_or_element = || number(v).or_else(|| element(v));
    let found = match (param.kind, v) {
        (ParamKind::Tensor | ParamKind::Operand, Given::Tensor(t)) => Some(Value::Tensor(t.clone())),
        (_, Given::None) => param.optional.then_some(Value::None),
        (ParamKind::Tensors, Given::Tensors(all)) => all.iter().cloned().collect::<Option<_>>().map(Value::Tensors),
        (ParamKind::TensorOptions, Given::Tensors(all)) => Some(Value::TensorOptions(all.clone())),
        (ParamKind::Operand, _) => number(v).map(Value::Scalar),
        (ParamKind::Scalar, _) => number_or_element().map(Value::Scalar),
        (ParamKind::Int, _) => int(v).map(Value::Int),
        (ParamKind::Ints | ParamKind::IntOptions | ParamKind::Size, _) => ints(v),
        (ParamKind::Bool, _) => match number_or_element() {
            Some(Scalar::Bool(b)) => Some(Value::Bool(b)),
            _ => None,
        },
        (ParamKind::Float, _) => match number_or_element() {
            Some(Scalar::Complex(_)) | None => None,
            Some(s) => Some(Value::Float(s.as_f64())),
        },
        (ParamKind::DType, Given::DType(d)) => Some(Value::DType(*d)),
        (ParamKind::Device, Given::Str(name)) => {
            Some(Value::Device(name.parse::<Device>().map_err(|e| Refused::Value(e.into()))?))
        }
        (ParamKind::Str, Given::Str(s)) => Some(Value::Str((*s).into())),
        (ParamKind::Generator, Given::Generator(g)) => Some(Value::Generator(g.clone())),
        (
            ParamKind::Tensor
            | ParamKind::Tensors
            | ParamKind::TensorOptions
            | ParamKind::DType
            | ParamKind::Device
            | ParamKind::Str
            | ParamKind::Generator,
            _,
        ) => None,
    };
    found.ok_or_else(|| {
        let what = format!("argument '{}' must be {}, not {}", param.name, param.kind.describe(), v.describe());
        Refused::Form(TensorError::call(schema.name, what).into())
    })
}

/// Where the result goes, if anywhere.
fn target(row: &Row, schema: &Schema, values: &Values, out: Option<&Given>) -> Result<Option<Tensor>, Failure> {
    let wrong = |what: String| Err(TensorError::call(schema.name, what).into());
    match out {
        Some(Given::Tensor(t)) => Ok(Some(t.clone())),
        Some(other) => wrong(format!("argument 'out' must be a tensor, not {}", other.describe())),
        None if row.in_place => match schema.own().and_then(|at| values.get(at)) {
            Some(Some(Value::Tensor(t))) => Ok(Some(t.clone())),
            _ => wrong("argument 'input' must be a tensor, to work in place".into()),
        },
        None => Ok(None),
    }
}

/// A result as tensors.
fn tensors(schema: &'static Schema, result: Value) -> Result<Vec<Tensor>, Failure> {
    let one = |s: Scalar, dtype: DType| Ok(vec![Tensor::scalar(s, dtype)?]);
    match result {
        Value::Tensor(t) => Ok(vec![t]),
        Value::Tensors(all) => Ok(all),
        Value::None => Ok(vec![]),
        Value::Bool(b) => one(Scalar::Bool(b), DType::Bool),
        Value::Int(i) => one(Scalar::from(i), DType::I64),
        Value::Float(f) => one(Scalar::Float(f), DType::F64),
        Value::Scalar(s) => one(s, s.dtype()),
        Value::Ints(all) => Ok(vec![Tensor::<i64>::from_vec(all.to_vec(), &[all.len()])?.erase().clone()]),
        Value::TensorOptions(_)
        | Value::IntOptions(_)
        | Value::DType(_)
        | Value::Device(_)
        | Value::Str(_)
        | Value::Generator(_) => {
            Err(TensorError::unsupported(schema.name, "C: its result is no tensor and no number").into())
        }
    }
}

/// How many tensors a row returns, where that does not depend on the arguments.
fn result_count(schema: &Schema) -> Option<usize> {
    match schema.returns {
        Returns::Tensor | Returns::Int | Returns::Bool => Some(1),
        Returns::Named(names) => Some(names.len()),
        Returns::None => Some(0),
        Returns::Tensors | Returns::Any => None,
    }
}

fn check_room(schema: &Schema, count: usize, room: Option<usize>) -> Result<(), Failure> {
    match room {
        Some(room) if room < count => {
            let what = format_args!("returns {count} tensors, 'results' has place for {room}");
            Err(Failure::argument(schema.name, what))
        }
        _ => Ok(()),
    }
}

/// Runs an operation. `room` is how many results the caller can take, if he takes any.
fn run(name: &str, call: &Call, room: Option<usize>) -> Result<Vec<Tensor>, Failure> {
    let Some(row) = table().get(name) else {
        return Err(Failure::new(TF_Code::TF_NOT_FOUND, format!("tf_op: there is no operation '{name}'")));
    };
    let mut values = Values::new();
    let (at, out) = row.resolve(&call, &mut values)?;
    let schema = row.overloads[at];
    let target = target(row, schema, &values, out)?;
    if let Some(count) = result_count(schema) {
        // Before it runs: an operation in place cannot be taken back.
        check_room(schema, count, room)?;
    }
    let results = tensors(schema, schema.run(&values, target.as_ref())?)?;
    check_room(schema, results.len(), room)?;
    Ok(match target {
        Some(target) => vec![target],
        None => results,
    })
}

/// Runs an operation that makes one tensor of tensors.
pub fn on_tensors(name: &str, inputs: Vec<Tensor>) -> Result<Tensor, Failure> {
    let call = Call { positional: inputs.into_iter().map(Given::Tensor).collect(), named: vec![] };
    let first = run(name, &call, Some(1))?.into_iter().next();
    first.ok_or_else(|| Failure::new(TF_Code::TF_INTERNAL_ERROR, format!("{name}: no result")))
}

/// # Safety
/// `args` holds `n_args` values as the header says.
unsafe fn read_call<'a>(args: *const TF_Value, n_args: usize) -> Result<Call<'a>, Failure> {
    let mut call = Call { positional: vec![], named: vec![] };
    // SAFETY: the caller's.
    for (i, v) in unsafe { items(args, n_args, "tf_op", "args")? }.iter().enumerate() {
        // SAFETY: the caller's.
        let given = unsafe { read(v, "tf_op", i)? };
        if v.name.is_null() {
            call.positional.push(given);
        } else {
            // SAFETY: the caller's.
            call.named.push((unsafe { text(v.name, "tf_op", &format!("args[{i}].name"))? }, given));
        }
    }
    Ok(call)
}

/// Runs any operation, by the name that it has in Python: "softmax", "max", "conv2d"; "add_" works in place, on the
/// first argument. Returns whether it worked.
///
/// `args` are `n_args` arguments: those without a name go by position, in order. "out" names a tensor that takes the
/// result. Where an operation has several forms, the first that takes the arguments runs. Several sizes may stand one
/// by one.
///
/// `results` has place for `*n_results` tensors. The results are written there, several in the order of their names
/// (values, indices), and their number to `*n_results`, which is 0 after an error. A number or a truth value comes as
/// a tensor of no dimensions. With `results` NULL the results are dropped, and `n_results` may be NULL too.
///
/// ```c
/// TF_Value args[] = {tf_value_tensor(x), tf_named("dim", tf_value_int(1))};
/// TF_Tensor *results[2];
/// size_t n = 2;
/// tf_op("max", args, 2, results, &n, status);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_op(
    name: *const c_char,
    args: *const TF_Value,
    n_args: usize,
    results: *mut *mut TF_Tensor,
    n_results: *mut usize,
    status: *mut TF_Status,
) -> bool {
    guard(status, false, || {
        // SAFETY: the header's contract: a number, or NULL.
        let room = unsafe { n_results.as_mut() }.map(std::mem::take);
        if !results.is_null() && room.is_none() {
            return Err(Failure::null("tf_op", "n_results"));
        }
        // SAFETY: the header's contract: a text, and `n_args` arguments.
        let (name, call) = unsafe { (text(name, "tf_op", "name")?, read_call(args, n_args)?) };
        let found = run(name, &call, room.filter(|_| !results.is_null()))?;
        // SAFETY: as above.
        if let Some(count) = unsafe { n_results.as_mut() } {
            *count = found.len();
        }
        if !results.is_null() {
            for (i, t) in found.into_iter().enumerate() {
                // SAFETY: the header's contract: place for `room` results, and there are no more.
                unsafe { results.add(i).write(give(t)) };
            }
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenflowers_core::Generator;

    fn arguments() -> [Given<'static>; 10] {
        let t = Tensor::<f32>::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]).unwrap().erase().clone();
        [
            Given::None,
            Given::Tensors(vec![Some(t.clone()), None]),
            Given::Tensors(vec![Some(t.clone()), Some(t.clone())]),
            Given::Tensor(t),
            Given::Int(1),
            Given::Ints(smallvec::smallvec![0, 1]),
            Given::Float(0.5),
            Given::Bool(true),
            Given::Str("mean"),
            Given::Generator(Generator::new(1)),
        ]
    }

    /// Every name takes arguments of some kinds, and answers to all; `run` is without the net that catches panics.
    #[test]
    fn every_row_answers() {
        let kinds = arguments().len();
        for (name, row) in table() {
            let mut taken = false;
            for (count, first, rest) in (0..4 * kinds * kinds).map(|i| (i % 4, i / 4 % kinds, i / 4 / kinds)) {
                let at = |i| arguments().into_iter().nth(if i == 0 { first } else { rest });
                let call = Call { positional: (0..count).filter_map(at).collect(), named: vec![] };
                match run(name, &call, None) {
                    Ok(_) => taken = true,
                    Err(e) => {
                        assert!(!e.message.is_empty() && e.code != TF_Code::TF_NOT_FOUND, "{name}: {e:?}");
                        taken |= e.code != TF_Code::TF_CALL_ERROR;
                    }
                }
            }
            // Two kinds in a call are too few for some that need more arguments.
            let needs = |s: &&Schema| s.params.iter().filter(|p| p.default.is_none()).count();
            assert!(taken || row.overloads.iter().any(|s| needs(s) > 2), "{name} takes nothing");
        }
    }
}
