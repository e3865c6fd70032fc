//! Every public operation by name, with its parameters: what Python, C, graphs and ONNX look up.
mod arg;
#[macro_use]
mod rows;
mod value;

pub use arg::{Arg, Indices, IntOptions, Operand, Size, missing, read};
pub use value::{Ret, Value};

use crate::error::{Result, TensorError};
use crate::ops;
use crate::tensor::Tensor;

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    Tensor,
    Tensors,
    /// Tensors, some of which may be left out.
    TensorOptions,
    /// A tensor or a number.
    Operand,
    Scalar,
    Int,
    /// One integer or several.
    Ints,
    /// One integer or several, some of which may be left out.
    IntOptions,
    /// Integers, which may also stand one by one as the last arguments: `x.view(2, 3)`.
    Size,
    Float,
    Bool,
    DType,
    Device,
    Str,
    Generator,
}

impl ParamKind {
    /// In a sentence: "must be a tensor".
    pub const fn describe(self) -> &'static str {
        match self {
            ParamKind::Tensor => "a tensor",
            ParamKind::Tensors => "a list or tuple of tensors",
            ParamKind::TensorOptions => "a list or tuple of tensors or None",
            ParamKind::Operand => "a tensor or a number",
            ParamKind::Scalar => "a number",
            ParamKind::Int => "an int",
            ParamKind::Ints => "an int or a list of ints",
            ParamKind::IntOptions => "an int or a list of ints or None",
            ParamKind::Size => "ints",
            ParamKind::Float => "a float",
            ParamKind::Bool => "a bool",
            ParamKind::DType => "a dtype",
            ParamKind::Device => "a device",
            ParamKind::Str => "a string",
            ParamKind::Generator => "a Generator",
        }
    }
}

pub struct Param {
    pub name: &'static str,
    pub kind: ParamKind,
    /// Whether nothing (`None`) is a value of it.
    pub optional: bool,
    /// `None` where the argument has to be given.
    pub default: Option<fn() -> Value>,
    pub keyword_only: bool,
}

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Returns {
    Tensor,
    Tensors,
    Named(&'static [&'static str]),
    Int,
    Bool,
    /// A tensor or several, as the arguments say.
    Any,
    None,
}

/// Where Python finds an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A function of the package.
    Tf,
    /// A method of `Tensor`; it stands for the parameter `input`.
    Method,
    /// A function of `nn.functional`.
    Nn,
    /// For the package's own use.
    Private,
}

/// One row of the table.
pub struct Schema {
    /// Rows of one name are overloads; the first that takes the arguments runs.
    pub name: &'static str,
    pub doc: &'static str,
    pub places: &'static [Place],
    pub params: &'static [Param],
    pub returns: Returns,
    /// Whether it can write its result into a tensor, so that `name_` and a direct `out=` exist.
    pub into: bool,
    /// Why there is no derivative, where there is none.
    pub no_grad: Option<&'static str>,
    /// Arguments lie in the order of `params`; a missing one is `None`. The last is the target.
    pub apply: fn(&[Option<Value>], Option<&Tensor>) -> Result<Value>,
}

impl Schema {
    pub fn run(&self, args: &[Option<Value>], target: Option<&Tensor>) -> Result<Value> {
        match target {
            Some(target) if !self.into => match (self.apply)(args, None)? {
                Value::Tensor(t) => {
                    self.check_out(args, &t, target)?;
                    ops::write_out(self.name, target, &t).map(Value::Tensor)
                }
                _ => Err(TensorError::call(self.name, "has not one tensor as its result, so it takes no out")),
            },
            _ => (self.apply)(args, target),
        }
    }
    /// The result for a target that takes its shape, which shares no memory with the inputs.
    pub fn run_apart(&self, args: &[Option<Value>], target: &Tensor) -> Result<Value> {
        let value = (self.apply)(args, None)?;
        if let Value::Tensor(result) = &value {
            self.check_out(args, result, target)?;
        }
        Ok(value)
    }
    /// A target that is written after the result is made must not hold what the result was made of, and operations that
    /// only move elements do not convert them.
    fn check_out(&self, args: &[Option<Value>], result: &Tensor, target: &Tensor) -> Result<()> {
        let tensors = args.iter().flatten().flat_map(|v| match v {
            Value::Tensor(t) => std::slice::from_ref(t),
            Value::Tensors(ts) => ts,
            _ => &[],
        });
        if tensors.into_iter().any(|t| t.overlaps(target)) {
            let what = "the tensor of out= shares memory with an input; clone one of them first";
            return Err(TensorError::argument(self.name, what));
        }
        let moves = matches!(self.name, "gather" | "index_select" | "masked_select");
        let (left, right) = (result.dtype(), target.dtype());
        if moves && left != right {
            let what = "the tensor of out= must have the dtype of the result";
            return Err(TensorError::DType { op: self.name, what, left, right });
        }
        Ok(())
    }
    /// Whether `out=` can name a tensor for the result.
    pub fn takes_out(&self) -> bool {
        matches!(self.returns, Returns::Tensor | Returns::Any) && !self.in_place(Place::Private)
    }
    /// Where a parameter is, by its name or by what NumPy calls it.
    pub fn param(&self, name: &str) -> Option<usize> {
        let at = |name| self.params.iter().position(|p| p.name == name);
        at(name).or_else(|| match name {
            "axis" => at("dim"),
            "keepdims" => at("keepdim"),
            "x" | "x1" | "a" | "self" => at("input"),
            "x2" => at("other"),
            _ => None,
        })
    }
    /// Which parameter the tensor of a method stands for.
    pub fn own(&self) -> Option<usize> {
        self.params.iter().position(|p| p.name == "input")
    }
    pub fn in_place(&self, place: Place) -> bool {
        self.places.contains(&place)
    }
}

pub fn too_many(schema: &Schema, given: usize) -> TensorError {
    let takes = schema.params.iter().filter(|p| !p.keyword_only).count();
    let plural = if takes == 1 { "argument" } else { "arguments" };
    TensorError::call(schema.name, format!("takes {takes} positional {plural} but {given} were given"))
}
