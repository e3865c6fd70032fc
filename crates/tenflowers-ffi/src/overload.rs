//! What the front ends share: names and the overloads behind them, which of those takes the arguments of a call, and how
//! a row reads as text. A front end says what its arguments are. All of it is compiled for each of them, as it stands
//! before every operation on tiny tensors.
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use tenflowers_core::schema::{Param, ParamKind, Place, Schema, Value, too_many};
use tenflowers_core::{Scalar, TensorError, ops};

/// Arguments in the order of the parameters; missing ones are `None`, or beyond the end.
pub type Values = SmallVec<[Option<Value>; 4]>;

/// Why an overload did not take the arguments.
pub enum Refused<E> {
    /// They are of the wrong number or name.
    Call(TensorError),
    /// They are of the wrong type, in the front end's words.
    Form(E),
    /// They are right in form, but not in value.
    Value(E),
}

impl<E> Refused<E> {
    fn call(schema: &Schema, what: String) -> Self {
        Refused::Call(TensorError::call(schema.name, what))
    }
}

/// An argument as a front end has it.
pub trait Argument {
    type Error;
    /// What messages call an argument with a name.
    const NAMED: &'static str;
    /// Whether signatures show `out` where there is one.
    const SHOWS_OUT: bool;
    /// The argument as the parameter takes it.
    fn convert(&self, schema: &Schema, param: &Param) -> Result<Value, Refused<Self::Error>>;
    /// `None` for what is no integer, an error for one that is too large.
    fn int(&self) -> Result<Option<i64>, Self::Error>;
    fn is_none(&self) -> bool;
    /// The error of a call that no overload takes.
    fn error(text: String) -> Self::Error;
    fn text(error: &Self::Error) -> String;
}

/// The arguments of one call.
pub trait Arguments {
    type One: Argument;
    /// The tensor that a method is called on.
    fn own(&self) -> Option<Self::One>;
    fn positional(&self) -> impl ExactSizeIterator<Item = Self::One> + Clone;
    /// Passes those with a name, in order, until one is refused.
    fn named(&self, take: impl FnMut(&str, Self::One) -> Result<(), RefusedBy<Self>>) -> Result<(), RefusedBy<Self>>;
}

type ErrorOf<A> = <<A as Arguments>::One as Argument>::Error;
pub type RefusedBy<A> = Refused<ErrorOf<A>>;

/// What one name stands for.
pub struct Row {
    pub overloads: Vec<&'static Schema>,
    /// `name_`: the result goes into the argument `input`.
    pub in_place: bool,
}

/// The rows by name: overloads together, and `name_` for what can write into a tensor. A tree, because tools that look
/// for leaks do not see through a hash table.
pub fn rows() -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for schema in ops::schemas() {
        let row = rows.entry(schema.name.into()).or_insert(Row { overloads: vec![], in_place: false });
        row.overloads.push(schema);
    }
    for schema in ops::schemas().filter(|s| s.into && s.in_place(Place::Method)) {
        match rows.entry(format!("{}_", schema.name)) {
            Entry::Vacant(free) => drop(free.insert(Row { overloads: vec![schema], in_place: true })),
            // A row that is stated under that name itself stands.
            Entry::Occupied(mut row) if row.get().in_place => row.get_mut().overloads.push(schema),
            Entry::Occupied(_) => {}
        }
    }
    rows
}

impl Row {
    /// Which overload is the first that takes the arguments, and what `out` names. `values`, which is empty, takes the
    /// arguments: returned, an array this large would be copied, which small calls feel.
    #[inline]
    pub fn resolve<A: Arguments>(&self, given: &A, values: &mut Values) -> Result<(usize, Option<A::One>), ErrorOf<A>> {
        let mut failed = None;
        for (at, schema) in self.overloads.iter().enumerate() {
            match bind(schema, self.in_place, given, values) {
                Ok(out) => return Ok((at, out)),
                // What is too large, or a device that is not there, is no question of the overload.
                Err(Refused::Value(e)) => return Err(e),
                Err(e) => failed = failed.or(Some(e)),
            }
            values.clear();
        }
        Err(self.refusal(given, failed))
    }

    /// What is wrong for the first overload, and which there are.
    #[cold]
    fn refusal<A: Arguments>(&self, given: &A, failed: Option<RefusedBy<A>>) -> ErrorOf<A> {
        let first = match failed {
            Some(Refused::Form(e) | Refused::Value(e)) if self.overloads.len() == 1 => return e,
            Some(Refused::Form(e) | Refused::Value(e)) => A::One::text(&e),
            Some(Refused::Call(e)) => e.to_string(),
            None => String::new(),
        };
        if self.overloads.len() == 1 {
            return A::One::error(first);
        }
        let method = given.own().is_some();
        let forms: Vec<String> = self.overloads.iter().map(|s| signature(s, method, A::One::SHOWS_OUT)).collect();
        A::One::error(format!("{first}; these are taken: {}", forms.join(" or ")))
    }
}

/// Lays the arguments in the order of the parameters, and gives what `out` names.
#[inline]
fn bind<A: Arguments>(
    schema: &Schema,
    in_place: bool,
    given: &A,
    values: &mut Values,
) -> Result<Option<A::One>, RefusedBy<A>> {
    let own = match given.own() {
        Some(tensor) => {
            let at = schema.own().ok_or_else(|| Refused::call(schema, "is no method".into()))?;
            put(values, at, tensor.convert(schema, &schema.params[at])?);
            Some(at)
        }
        None => None,
    };
    let positional = given.positional();
    let mut at = 0;
    for (i, v) in positional.clone().enumerate() {
        if own == Some(at) {
            at += 1;
        }
        let Some(param) = schema.params.get(at).filter(|p| !p.keyword_only) else {
            // As Python counts: with the tensor of a method.
            return Err(Refused::Call(too_many(schema, positional.len() + usize::from(own.is_some()))));
        };
        if param.kind == ParamKind::Size
            && let Some(all) = one_by_one(schema, param, positional.clone().skip(i))?
        {
            put(values, at, all);
            break;
        }
        put(values, at, v.convert(schema, param)?);
        at += 1;
    }
    let mut out = None;
    given.named(|name, v| {
        match schema.param(name) {
            Some(at) if values.get(at).is_some_and(Option::is_some) => {
                return Err(Refused::call(schema, format!("got two values for the argument '{name}'")));
            }
            Some(at) => put(values, at, v.convert(schema, &schema.params[at])?),
            // What works in place has its target.
            None if name == "out" && schema.takes_out() && !in_place => out = Some(v).filter(|v| !v.is_none()),
            None => {
                let named = A::One::NAMED;
                return Err(Refused::call(schema, format!("got an unexpected {named} '{name}'")));
            }
        }
        Ok(())
    })?;
    let missing = |(i, p): &(usize, &Param)| p.default.is_none() && values.get(*i).is_none_or(Option::is_none);
    match schema.params.iter().enumerate().find(missing) {
        Some((_, p)) => Err(Refused::call(schema, format!("missing the argument '{}'", p.name))),
        None => Ok(out),
    }
}

#[inline]
fn put(values: &mut Values, at: usize, value: Value) {
    // In order, as arguments mostly come.
    if values.len() == at {
        return values.push(Some(value));
    }
    if values.len() < at {
        values.resize_with(at + 1, || None);
    }
    values[at] = Some(value);
}

/// Integers that stand one by one, which are all that is left; `None` for one argument that is something else.
fn one_by_one<O: Argument>(
    schema: &Schema,
    param: &Param,
    left: impl ExactSizeIterator<Item = O>,
) -> Result<Option<Value>, Refused<O::Error>> {
    let alone = left.len() == 1;
    let mut all = SmallVec::new();
    for v in left {
        match v.int() {
            Ok(Some(i)) => all.push(i),
            _ if alone => return Ok(None),
            Ok(None) => return Err(Refused::call(schema, format!("argument '{}' must be ints", param.name))),
            Err(e) => return Err(Refused::Value(e)),
        }
    }
    Ok(Some(Value::Ints(all)))
}

/// `name(input, dim=None, *, dtype=None)`, in Python's words; `$self` stands for the tensor of a method.
pub fn signature(s: &Schema, method: bool, show_out: bool) -> String {
    let mut star = false;
    let mut parts: Vec<String> = if method { vec!["$self".into()] } else { vec![] };
    for p in s.params.iter().filter(|p| !(method && p.name == "input")) {
        if p.keyword_only && !star {
            parts.push("*".into());
            star = true;
        }
        parts.push(match p.default {
            Some(d) => format!("{}={}", p.name, literal(&d())),
            None => p.name.to_string(),
        });
    }
    if show_out && !method && s.takes_out() {
        if !star {
            parts.push("*".into());
        }
        parts.push("out=None".into());
    }
    format!("{}({})", s.name, parts.join(", "))
}

/// Python's text for a default.
pub fn literal(v: &Value) -> String {
    match v {
        Value::Bool(b) | Value::Scalar(Scalar::Bool(b)) => if *b { "True" } else { "False" }.into(),
        Value::Int(i) => i.to_string(),
        Value::Scalar(Scalar::Int(i)) => i.to_string(),
        Value::Float(f) | Value::Scalar(Scalar::Float(f)) => format!("{f:?}"),
        Value::Ints(v) if v.len() == 1 => v[0].to_string(),
        Value::Ints(v) => format!("({})", v.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
        Value::Str(s) => format!("'{s}'"),
        _ => "None".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenflowers_core::Tensor;

    /// Arguments of a front end that has tensors, integers, texts and nothing.
    #[derive(Clone)]
    enum Given {
        Tensor,
        Int(i64),
        Text,
        Nothing,
    }
    use Given::{Int, Nothing, Text};

    impl Argument for Given {
        type Error = String;
        const NAMED: &'static str = "keyword argument";
        const SHOWS_OUT: bool = true;

        fn convert(&self, schema: &Schema, param: &Param) -> Result<Value, Refused<String>> {
            match (param.kind, self) {
                (ParamKind::Tensor | ParamKind::Operand, Given::Tensor) => {
                    Ok(Value::Tensor(Tensor::scalar(Scalar::Float(1.0), tenflowers_core::DType::F32).unwrap()))
                }
                (ParamKind::Operand | ParamKind::Int | ParamKind::Ints | ParamKind::Bool, Int(i)) => Ok(Value::Int(*i)),
                (_, Nothing) if param.optional => Ok(Value::None),
                _ => Err(Refused::Form(format!("{}(): {} is of a wrong type", schema.name, param.name))),
            }
        }
        fn int(&self) -> Result<Option<i64>, String> {
            match self {
                Int(i64::MAX) => Err("too large".into()),
                Int(i) => Ok(Some(*i)),
                _ => Ok(None),
            }
        }
        fn is_none(&self) -> bool {
            matches!(self, Nothing)
        }
        fn error(text: String) -> String {
            text
        }
        fn text(error: &String) -> String {
            error.clone()
        }
    }

    struct Call<'a> {
        method: bool,
        positional: &'a [Given],
        named: &'a [(&'a str, Given)],
    }

    impl Arguments for Call<'_> {
        type One = Given;

        fn own(&self) -> Option<Given> {
            self.method.then_some(Given::Tensor)
        }
        fn positional(&self) -> impl ExactSizeIterator<Item = Given> + Clone {
            self.positional.iter().cloned()
        }
        fn named(
            &self,
            mut take: impl FnMut(&str, Given) -> Result<(), RefusedBy<Self>>,
        ) -> Result<(), RefusedBy<Self>> {
            self.named.iter().try_for_each(|(name, v)| take(name, v.clone()))
        }
    }

    /// The overload that a method call takes, the places of its arguments, and whether there is an `out`.
    fn method(name: &str, positional: &[Given], named: &[(&str, Given)]) -> Result<(usize, Vec<usize>, bool), String> {
        let mut values = Values::new();
        let (at, out) = rows()[name].resolve(&Call { method: true, positional, named }, &mut values)?;
        let places = values.iter().enumerate().filter(|(_, v)| v.is_some()).map(|(i, _)| i).collect();
        Ok((at, places, out.is_some()))
    }

    #[test]
    fn arguments_find_their_parameters() {
        assert_eq!(method("sum", &[Int(0), Int(1)], &[]), Ok((0, vec![0, 1, 2], false)));
        assert_eq!(method("sum", &[], &[("keepdims", Int(1))]), Ok((0, vec![0, 2], false)));
        assert_eq!(method("sum", &[], &[("axis", Int(1)), ("out", Given::Tensor)]), Ok((0, vec![0, 1], true)));
        assert_eq!(method("sum", &[Nothing], &[("out", Nothing)]), Ok((0, vec![0, 1], false)));
        assert_eq!(method("max", &[], &[]), Ok((0, vec![0], false)));
        // What the overloads before left must not show.
        assert_eq!(method("max", &[Int(1)], &[]), Ok((2, vec![0, 1], false)));
        assert_eq!(method("view", &[Int(2), Int(3)], &[]), Ok((0, vec![0, 1], false)));
        assert_eq!(method("add_", &[Int(2)], &[]), Ok((0, vec![0, 1], false)));
    }

    #[test]
    fn refusals_say_why() {
        let refused = |name, positional: &[Given], named: &[(&str, Given)], text: &str| {
            let found = method(name, positional, named).unwrap_err();
            assert!(found.starts_with(text), "{found}");
        };
        refused("relu", &[Int(1)], &[], "relu(): takes 1 positional argument but 2 were given");
        refused("relu", &[], &[("slope", Int(1))], "relu(): got an unexpected keyword argument 'slope'");
        refused("relu", &[], &[("input", Int(1))], "relu(): got two values for the argument 'input'");
        refused("add_", &[Int(1)], &[("out", Given::Tensor)], "add(): got an unexpected keyword argument 'out'");
        refused("add", &[], &[], "add(): missing the argument 'other'");
        refused("add", &[Text], &[], "add(): other is of a wrong type");
        refused("view", &[Int(1), Text], &[], "view(): argument 'size' must be ints");
        refused("view", &[Int(1), Int(i64::MAX)], &[], "too large");
        refused("zeros", &[], &[], "zeros(): is no method");
        refused(
            "max",
            &[Text, Text, Text],
            &[],
            "max(): takes 1 positional argument but 4 were given; these are taken: max(",
        );
    }

    #[test]
    fn signatures_are_python() {
        let text = |name: &str, method, out| signature(rows()[name].overloads[0], method, out);
        assert_eq!(text("sum", false, true), "sum(input, dim=None, keepdim=False, *, dtype=None, out=None)");
        assert_eq!(text("sum", false, false), "sum(input, dim=None, keepdim=False, *, dtype=None)");
        assert_eq!(text("sum", true, true), "sum($self, dim=None, keepdim=False, *, dtype=None)");
        assert_eq!(text("relu", false, true), "relu(input, *, out=None)");
    }
}
