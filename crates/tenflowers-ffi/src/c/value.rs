//! Arguments of operations as C passes them: tagged values, read once into what Rust can hold.
use super::handle::{self, Handle, Live};
use super::status::{Failure, TF_Code, guard};
use super::tensor::{DataTypeCode, TF_Tensor, dtype, take};
use smallvec::SmallVec;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::null;
use tenflowers_core::rng::default_generator;
use tenflowers_core::{C64, DType, Generator, Tensor};

/// What a `TF_Value` holds.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the C header")]
pub enum TF_Kind {
    /// Nothing, where an argument may be left out.
    TF_KIND_NONE = 0,
    TF_KIND_TENSOR = 1,
    /// Several tensors. One of them may be NULL where the operation allows that.
    TF_KIND_TENSORS = 2,
    TF_KIND_INT = 3,
    TF_KIND_INTS = 4,
    TF_KIND_FLOAT = 5,
    TF_KIND_BOOL = 6,
    TF_KIND_COMPLEX = 7,
    TF_KIND_DTYPE = 8,
    /// UTF-8 that ends with a zero; devices go by their names.
    TF_KIND_STRING = 9,
    TF_KIND_GENERATOR = 10,
}

/// A `TF_Kind` as C passes it: any number.
pub type KindCode = i32;

/// Several tensors.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TF_TensorList {
    pub items: *const *const TF_Tensor,
    pub count: usize,
}

/// Several integers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TF_IntList {
    pub items: *const i64,
    pub count: usize,
}

/// A complex number.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TF_Complex {
    pub real: f64,
    pub imag: f64,
}

/// The content of a `TF_Value`; its kind says which member.
#[repr(C)]
#[derive(Clone, Copy)]
pub union TF_Payload {
    pub tensor: *const TF_Tensor,
    pub tensors: TF_TensorList,
    pub integer: i64,
    pub integers: TF_IntList,
    pub real: f64,
    /// Any number but 0 is true.
    pub boolean: c_int,
    pub complex_number: TF_Complex,
    pub dtype: DataTypeCode,
    pub string: *const c_char,
    pub generator: *const TF_Generator,
}

/// An argument of an operation. It refers to tensors, lists and texts, and owns none of them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TF_Value {
    /// The parameter that it is for, or NULL for the next one in order.
    pub name: *const c_char,
    pub kind: KindCode,
    pub payload: TF_Payload,
}

fn value(kind: TF_Kind, payload: TF_Payload) -> TF_Value {
    TF_Value { name: null(), kind: kind as KindCode, payload }
}

/// Nothing, as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_none() -> TF_Value {
    value(TF_Kind::TF_KIND_NONE, TF_Payload { integers: TF_IntList { items: null(), count: 0 } })
}

/// A tensor as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_tensor(tensor: *const TF_Tensor) -> TF_Value {
    value(TF_Kind::TF_KIND_TENSOR, TF_Payload { tensor })
}

/// Several tensors as one argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_tensors(tensors: *const *const TF_Tensor, count: usize) -> TF_Value {
    value(TF_Kind::TF_KIND_TENSORS, TF_Payload { tensors: TF_TensorList { items: tensors, count } })
}

/// An integer as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_int(integer: i64) -> TF_Value {
    value(TF_Kind::TF_KIND_INT, TF_Payload { integer })
}

/// Several integers as one argument: sizes, or dimensions.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_ints(integers: *const i64, count: usize) -> TF_Value {
    value(TF_Kind::TF_KIND_INTS, TF_Payload { integers: TF_IntList { items: integers, count } })
}

/// A number as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_float(real: f64) -> TF_Value {
    value(TF_Kind::TF_KIND_FLOAT, TF_Payload { real })
}

/// A truth value as an argument: any number but 0 is true.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_bool(boolean: c_int) -> TF_Value {
    value(TF_Kind::TF_KIND_BOOL, TF_Payload { boolean })
}

/// A complex number as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_complex(real: f64, imag: f64) -> TF_Value {
    value(TF_Kind::TF_KIND_COMPLEX, TF_Payload { complex_number: TF_Complex { real, imag } })
}

/// A dtype as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_dtype(dtype: DataTypeCode) -> TF_Value {
    value(TF_Kind::TF_KIND_DTYPE, TF_Payload { dtype })
}

/// A text as an argument, or the name of a device.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_string(string: *const c_char) -> TF_Value {
    value(TF_Kind::TF_KIND_STRING, TF_Payload { string })
}

/// A generator of random numbers as an argument.
#[unsafe(no_mangle)]
pub extern "C" fn tf_value_generator(generator: *const TF_Generator) -> TF_Value {
    value(TF_Kind::TF_KIND_GENERATOR, TF_Payload { generator })
}

/// The same argument for the parameter of that name: `tf_named("dim", tf_value_int(0))`.
#[unsafe(no_mangle)]
pub extern "C" fn tf_named(name: *const c_char, value: TF_Value) -> TF_Value {
    TF_Value { name, ..value }
}

/// A stream of random numbers.
pub struct TF_Generator(Generator);

impl Handle for TF_Generator {
    const TYPE: &'static str = "TF_Generator";
    fn live() -> &'static Live {
        static LIVE: Live = Live::new();
        &LIVE
    }
}

/// A new stream of random numbers, which `seed` determines. Free it with `tf_delete_generator`.
#[unsafe(no_mangle)]
pub extern "C" fn tf_new_generator(seed: u64) -> *mut TF_Generator {
    guard(std::ptr::null_mut(), std::ptr::null_mut(), || Ok(handle::give(TF_Generator(Generator::new(seed)))))
}

/// Frees a generator; NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_delete_generator(generator: *mut TF_Generator) {
    guard(std::ptr::null_mut(), (), || handle::release(generator, "tf_delete_generator", "generator", |_| true));
}

/// Starts the stream that operations use, where they are given none, again from `seed`.
#[unsafe(no_mangle)]
pub extern "C" fn tf_manual_seed(seed: u64) {
    guard(std::ptr::null_mut(), (), || {
        default_generator().manual_seed(seed);
        Ok(())
    });
}

/// The items of an array of C.
///
/// # Safety
/// `pointer` holds `count` of them for as long as they are used, or is NULL.
pub unsafe fn items<'a, T>(pointer: *const T, count: usize, entry: &str, what: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Failure::null(entry, what));
    }
    if !pointer.is_aligned() {
        return Err(Failure::argument(entry, format_args!("'{what}' is not aligned for what it holds")));
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::argument(entry, format_args!("'{what}' cannot have {count} items")));
    }
    // SAFETY: the caller's; not NULL, aligned, and no larger than memory.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// The text of C.
///
/// # Safety
/// `pointer` ends with a zero and stays for as long as the text is used, or is NULL.
pub unsafe fn text<'a>(pointer: *const c_char, entry: &str, what: &str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Failure::null(entry, what));
    }
    // SAFETY: the caller's.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::argument(entry, format_args!("'{what}' is not UTF-8: {text:?}")))
}

/// A `TF_Value`, read and checked.
pub enum Given<'a> {
    None,
    Tensor(Tensor),
    Tensors(Vec<Option<Tensor>>),
    Int(i64),
    Ints(SmallVec<[i64; 4]>),
    Float(f64),
    Bool(bool),
    Complex(C64),
    DType(DType),
    Str(&'a str),
    Generator(Generator),
}

impl Given<'_> {
    /// In a sentence: "not a tensor".
    pub const fn describe(&self) -> &'static str {
        match self {
            Given::None => "nothing",
            Given::Tensor(_) => "a tensor",
            Given::Tensors(_) => "a list of tensors",
            Given::Int(_) => "an int",
            Given::Ints(_) => "a list of ints",
            Given::Float(_) => "a float",
            Given::Bool(_) => "a bool",
            Given::Complex(_) => "a complex number",
            Given::DType(_) => "a dtype",
            Given::Str(_) => "a string",
            Given::Generator(_) => "a generator",
        }
    }
}

/// Reads argument number `at`.
///
/// # Safety
/// The value's kind says which member of its payload is set, and what that points to is there.
pub unsafe fn read<'a>(v: &TF_Value, entry: &str, at: usize) -> Result<Given<'a>, Failure> {
    let what = format!("args[{at}]");
    let p = &v.payload;
    // SAFETY: the caller's: each branch reads the member that the kind says.
    unsafe {
        let of = |kind: TF_Kind| v.kind == kind as KindCode;
        Ok(match () {
            () if of(TF_Kind::TF_KIND_NONE) => Given::None,
            () if of(TF_Kind::TF_KIND_TENSOR) => Given::Tensor(take(p.tensor, entry, &what)?),
            () if of(TF_Kind::TF_KIND_TENSORS) => {
                let item = |t: &*const TF_Tensor| if t.is_null() { Ok(None) } else { take(*t, entry, &what).map(Some) };
                let list = items(p.tensors.items, p.tensors.count, entry, &what)?;
                Given::Tensors(list.iter().map(item).collect::<Result<_, _>>()?)
            }
            () if of(TF_Kind::TF_KIND_INT) => Given::Int(p.integer),
            () if of(TF_Kind::TF_KIND_INTS) => {
                Given::Ints(items(p.integers.items, p.integers.count, entry, &what)?.into())
            }
            () if of(TF_Kind::TF_KIND_FLOAT) => Given::Float(p.real),
            () if of(TF_Kind::TF_KIND_BOOL) => Given::Bool(p.boolean != 0),
            () if of(TF_Kind::TF_KIND_COMPLEX) => {
                Given::Complex(C64::new(p.complex_number.real, p.complex_number.imag))
            }
            () if of(TF_Kind::TF_KIND_DTYPE) => Given::DType(dtype(p.dtype, &format!("{entry}: {what}"))?),
            () if of(TF_Kind::TF_KIND_STRING) => Given::Str(text(p.string, entry, &what)?),
            () if of(TF_Kind::TF_KIND_GENERATOR) => {
                Given::Generator(handle::with(p.generator, entry, &what, |g| g.0.clone())?)
            }
            () => {
                let text = format!("{entry}: '{what}' is of kind {}, which is no TF_Kind", v.kind);
                return Err(Failure::new(TF_Code::TF_ARGUMENT_ERROR, text));
            }
        })
    }
}
