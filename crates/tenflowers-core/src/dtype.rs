//! The fifteen element types, how they promote, and the Rust types that hold them.
use crate::error::{Result, TensorError};
pub use half::{bf16, f16};
use num_complex::Complex;
use std::fmt;
use std::str::FromStr;

pub type C32 = Complex<f32>;
pub type C64 = Complex<f64>;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
    C64,
    C128,
}

/// What promotion looks at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    Bool,
    Integer,
    Float,
    Complex,
}

impl DType {
    pub const ALL: [DType; 15] = [
        DType::Bool,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::C64,
        DType::C128,
    ];

    /// The number of bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::U16 | DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::U32 | DType::I32 | DType::F32 => 4,
            DType::U64 | DType::I64 | DType::F64 | DType::C64 => 8,
            DType::C128 => 16,
        }
    }
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::C64 => "complex64",
            DType::C128 => "complex128",
        }
    }
    pub const fn category(self) -> Category {
        match self {
            DType::Bool => Category::Bool,
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => Category::Float,
            DType::C64 | DType::C128 => Category::Complex,
            _ => Category::Integer,
        }
    }
    pub const fn is_float(self) -> bool {
        matches!(self.category(), Category::Float)
    }
    pub const fn is_complex(self) -> bool {
        matches!(self.category(), Category::Complex)
    }
    /// Integers and bool: what sums to int64 and divides to float.
    pub const fn is_integral(self) -> bool {
        matches!(self.category(), Category::Integer | Category::Bool)
    }
    /// Whether gradients exist for it.
    pub const fn is_differentiable(self) -> bool {
        matches!(self.category(), Category::Float | Category::Complex)
    }
    pub const fn is_signed(self) -> bool {
        !matches!(self, DType::Bool | DType::U8 | DType::U16 | DType::U32 | DType::U64)
    }
    /// The type of a complex number's parts, or the type itself.
    pub const fn to_real(self) -> DType {
        match self {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            other => other,
        }
    }
    /// The complex type whose parts are of this type.
    pub const fn to_complex(self) -> DType {
        match self {
            DType::F64 | DType::C128 => DType::C128,
            _ => DType::C64,
        }
    }
    /// Unsigned types beyond uint8, which promote with themselves and with floats only, as in PyTorch.
    const fn is_bare_unsigned(self) -> bool {
        matches!(self, DType::U16 | DType::U32 | DType::U64)
    }
    /// The type that holds both, as `torch.promote_types`.
    ///
    /// # Errors
    /// For uint16, uint32 and uint64 beside anything but themselves and floats.
    pub fn promote(self, other: Self) -> Result<Self> {
        let (low, high) = if self.category() <= other.category() { (self, other) } else { (other, self) };
        if low == high {
            return Ok(low);
        }
        if high.is_float() && !low.is_float() {
            return Ok(high);
        }
        if low.is_bare_unsigned() || high.is_bare_unsigned() {
            return Err(TensorError::DType {
                op: "promote_types",
                what: "uint16, uint32 and uint64 do not promote with this type",
                left: self,
                right: other,
            });
        }
        Ok(match (low, high) {
            (DType::F16, DType::BF16) | (DType::BF16, DType::F16) => DType::F32,
            (DType::F64, DType::C64) => DType::C128,
            (DType::U8, DType::I8) | (DType::I8, DType::U8) => DType::I16,
            (a, b) if a.category() == b.category() && a.size() > b.size() => a,
            (a, b) if a.category() == b.category() && a.size() == b.size() => a.max(b),
            (_, b) => b,
        })
    }
    /// Whether a result of this type may be written into a tensor of type `to`, as `torch.can_cast`.
    pub fn can_cast(self, to: DType) -> bool {
        !(self.category() > to.category() && (to == DType::Bool || self.category() > Category::Integer))
    }
    /// The default type of computations that leave the integers (`exp`, `mean`, `/`).
    pub fn or_default_float(self) -> DType {
        if self.is_integral() { default_dtype() } else { self }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = TensorError;
    fn from_str(name: &str) -> Result<Self> {
        let found = DType::ALL.into_iter().find(|d| d.name() == name);
        found.ok_or_else(|| TensorError::Unsupported { op: "dtype", what: format!("the name '{name}'") })
    }
}

static DEFAULT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(DType::F32 as u8);

/// The type of new tensors of Python floats, and of what integers become where they have to be floats.
pub fn default_dtype() -> DType {
    DType::ALL[DEFAULT.load(std::sync::atomic::Ordering::Relaxed) as usize]
}

/// # Errors
/// If `dtype` is no float.
pub fn set_default_dtype(dtype: DType) -> Result<()> {
    if !dtype.is_float() {
        let what = format!("a float dtype is needed, not {dtype}");
        return Err(TensorError::Argument { op: "set_default_dtype", what });
    }
    DEFAULT.store(dtype as u8, std::sync::atomic::Ordering::Relaxed);
    Ok(())
}

/// A number beside tensors, which takes their dtype. Integers of every type fit `Int`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i128),
    Float(f64),
    Complex(C64),
}

impl Scalar {
    pub const ZERO: Scalar = Scalar::Int(0);
    pub const ONE: Scalar = Scalar::Int(1);

    pub fn as_complex(self) -> C64 {
        match self {
            Scalar::Complex(c) => c,
            other => C64::new(other.as_f64(), 0.0),
        }
    }
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => f64::from(u8::from(b)),
            Scalar::Int(i) => i as f64,
            Scalar::Float(f) => f,
            Scalar::Complex(c) => c.re,
        }
    }
    pub fn as_int(self) -> i128 {
        match self {
            Scalar::Bool(b) => i128::from(b),
            Scalar::Int(i) => i,
            other => other.as_f64() as i128,
        }
    }
    pub fn is_zero(self) -> bool {
        self.as_complex() == C64::new(0.0, 0.0)
    }
    /// The type that the number has by itself.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Int(_) => DType::I64,
            Scalar::Float(_) => default_dtype(),
            Scalar::Complex(_) => default_dtype().to_complex(),
        }
    }
    pub const fn category(self) -> Category {
        match self {
            Scalar::Bool(_) => Category::Bool,
            Scalar::Int(_) => Category::Integer,
            Scalar::Float(_) => Category::Float,
            Scalar::Complex(_) => Category::Complex,
        }
    }
    /// Whether `dtype` holds the number, up to rounding: what filling a tensor asks.
    pub fn fits(self, dtype: DType) -> bool {
        let range = match dtype {
            DType::Bool | DType::C64 | DType::C128 => return true,
            _ if self.category() == Category::Complex && self.as_complex().im != 0.0 => return false,
            DType::U8 => 0..=i128::from(u8::MAX),
            DType::U16 => 0..=i128::from(u16::MAX),
            DType::U32 => 0..=i128::from(u32::MAX),
            DType::U64 => 0..=i128::from(u64::MAX),
            DType::I8 => i128::from(i8::MIN)..=i128::from(i8::MAX),
            DType::I16 => i128::from(i16::MIN)..=i128::from(i16::MAX),
            DType::I32 => i128::from(i32::MIN)..=i128::from(i32::MAX),
            DType::I64 => i128::from(i64::MIN)..=i128::from(i64::MAX),
            _ => {
                let (x, most) = (self.as_f64(), finite_max(dtype));
                return !x.is_finite() || x.abs() <= most;
            }
        };
        let x = self.as_f64();
        x.is_finite() && range.contains(&self.as_int())
    }
}

/// The largest finite number of a float type.
pub fn finite_max(dtype: DType) -> f64 {
    match dtype.to_real() {
        DType::F16 => f16::MAX.to_f64(),
        DType::BF16 => bf16::MAX.to_f64(),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

macro_rules! scalars {
    ($($t:ty => $e:expr),*) => {$(
        impl From<$t> for Scalar {
            fn from(x: $t) -> Self {
                $e(x)
            }
        }
    )*};
}
scalars! {
    bool => Scalar::Bool,
    f64 => Scalar::Float,
    f32 => |x| Scalar::Float(f64::from(x)),
    i32 => |x| Scalar::Int(i128::from(x)),
    i64 => |x| Scalar::Int(i128::from(x)),
    C64 => Scalar::Complex
}

/// The dtype of an operation on several operands, as `torch.result_type`: tensors with dimensions count first, then 0-d
/// tensors, then numbers; a lower group matters only where its category is higher.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResultType {
    dims: Option<DType>,
    zero: Option<DType>,
    number: Option<DType>,
}

impl ResultType {
    pub fn tensor(&mut self, dtype: DType, rank: usize) -> Result<()> {
        let slot = if rank == 0 { &mut self.zero } else { &mut self.dims };
        *slot = Some(slot.map_or(Ok(dtype), |d| d.promote(dtype))?);
        Ok(())
    }
    pub fn number(&mut self, scalar: Scalar) -> Result<()> {
        let dtype = scalar.dtype();
        self.number = Some(self.number.map_or(Ok(dtype), |d| d.promote(dtype))?);
        Ok(())
    }
    pub fn finish(self) -> Result<DType> {
        let low = combine(self.zero, self.number)?;
        Ok(combine(self.dims, low)?.unwrap_or_else(default_dtype))
    }
}

fn combine(higher: Option<DType>, lower: Option<DType>) -> Result<Option<DType>> {
    let (Some(high), Some(low)) = (higher, lower) else { return Ok(higher.or(lower)) };
    Ok(Some(match high.category() {
        Category::Complex => high,
        Category::Float if low.is_complex() => high.to_complex(),
        Category::Float => high,
        // Also what a bare unsigned type would not promote with.
        _ if low.is_complex() => low,
        category if category == Category::Bool || low.is_differentiable() => high.promote(low)?,
        _ => high,
    }))
}

/// What a tensor handle says about its elements at compile time: a Rust type, or [`Dyn`].
pub trait Kind: 'static {
    /// The kind of a comparison's result.
    type Bool: Kind;
    /// The kind of an index.
    type Index: Kind;
    const DTYPE: Option<DType>;
}

/// The element type is known at run time only.
#[derive(Debug, Clone, Copy)]
pub struct Dyn;

impl Kind for Dyn {
    type Bool = Dyn;
    type Index = Dyn;
    const DTYPE: Option<DType> = None;
}

/// A Rust type that a tensor can hold.
pub trait Element: Kind + Copy + Send + Sync + Default + PartialEq + fmt::Debug {
    const ELEMENT: DType;
    /// The number in this type; integers wrap, complex numbers lose their imaginary part where there is no place for it.
    fn of(s: Scalar) -> Self;
    fn scalar(self) -> Scalar;
}

macro_rules! elements {
    ($($t:ty => $d:ident, |$s:ident| $of:expr, |$x:ident| $scalar:expr;)*) => {$(
        impl Kind for $t {
            type Bool = bool;
            type Index = i64;
            const DTYPE: Option<DType> = Some(DType::$d);
        }
        impl Element for $t {
            const ELEMENT: DType = DType::$d;
            fn of($s: Scalar) -> Self {
                $of
            }
            fn scalar(self) -> Scalar {
                let $x = self;
                $scalar
            }
        }
    )*};
}
elements! {
    bool => Bool, |s| !s.is_zero(), |x| Scalar::Bool(x);
    u8 => U8, |s| s.as_int() as u8, |x| Scalar::Int(x.into());
    u16 => U16, |s| s.as_int() as u16, |x| Scalar::Int(x.into());
    u32 => U32, |s| s.as_int() as u32, |x| Scalar::Int(x.into());
    u64 => U64, |s| s.as_int() as u64, |x| Scalar::Int(x.into());
    i8 => I8, |s| s.as_int() as i8, |x| Scalar::Int(x.into());
    i16 => I16, |s| s.as_int() as i16, |x| Scalar::Int(x.into());
    i32 => I32, |s| s.as_int() as i32, |x| Scalar::Int(x.into());
    i64 => I64, |s| s.as_int() as i64, |x| Scalar::Int(x.into());
    f16 => F16, |s| f16::from_f64(s.as_f64()), |x| Scalar::Float(x.to_f64());
    bf16 => BF16, |s| bf16::from_f64(s.as_f64()), |x| Scalar::Float(x.to_f64());
    f32 => F32, |s| s.as_f64() as f32, |x| Scalar::Float(x.into());
    f64 => F64, |s| s.as_f64(), |x| Scalar::Float(x);
    C32 => C64, |s| { let c = s.as_complex(); C32::new(c.re as f32, c.im as f32) },
        |x| Scalar::Complex(C64::new(x.re.into(), x.im.into()));
    C64 => C128, |s| s.as_complex(), |x| Scalar::Complex(x);
}

/// Runs `$body` with `$T` bound to the type that a dtype is stored in, whichever it is.
#[macro_export]
macro_rules! storage_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::dtype::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = $crate::dtype::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::C64 => {
                type $T = $crate::dtype::C32;
                $body
            }
            $crate::DType::C128 => {
                type $T = $crate::dtype::C64;
                $body
            }
        }
    };
}

/// Runs `$body` with `$T` bound to the type that kernels compute a dtype in (f16 and bf16 in f32, complex64 in complex128),
/// for the dtypes of the named sets; gives `None` for others.
#[macro_export]
macro_rules! compute_type {
    ($dtype:expr, [$($set:ident)+], $T:ident => $body:expr) => {{
        let dtype: $crate::DType = $dtype;
        'found: {
            $($crate::compute_type!(@ $set dtype, $T => break 'found Some($body));)+
            None
        }
    }};
    (@bf16 $d:ident, $T:ident => $body:expr) => { if let $crate::DType::BF16 = $d { type $T = half::bf16; $body } };
    (@bool $d:ident, $T:ident => $body:expr) => { if let $crate::DType::Bool = $d { type $T = bool; $body } };
    (@int $d:ident, $T:ident => $body:expr) => {
        match $d {
            $crate::DType::U8 => { type $T = u8; $body }
            $crate::DType::U16 => { type $T = u16; $body }
            $crate::DType::U32 => { type $T = u32; $body }
            $crate::DType::U64 => { type $T = u64; $body }
            $crate::DType::I8 => { type $T = i8; $body }
            $crate::DType::I16 => { type $T = i16; $body }
            $crate::DType::I32 => { type $T = i32; $body }
            $crate::DType::I64 => { type $T = i64; $body }
            _ => {}
        }
    };
    (@float $d:ident, $T:ident => $body:expr) => {
        match $d {
            $crate::DType::F16 | $crate::DType::BF16 | $crate::DType::F32 => { type $T = f32; $body }
            $crate::DType::F64 => { type $T = f64; $body }
            _ => {}
        }
    };
    (@complex $d:ident, $T:ident => $body:expr) => {
        if let $crate::DType::C64 | $crate::DType::C128 = $d { type $T = $crate::dtype::C64; $body }
    };
}
