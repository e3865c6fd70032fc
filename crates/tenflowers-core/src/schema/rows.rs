//! The macros that state operations.

/// A result of several named tensors: a struct in Rust, a named tuple in Python.
#[macro_export]
macro_rules! results {
    ($(#[doc = $doc:literal] $name:ident { $($field:ident),+ })*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone)]
        pub struct $name { $(pub $field: $crate::Tensor),+ }
        impl From<$name> for $crate::schema::Value {
            fn from(r: $name) -> Self { Self::Tensors(vec![$(r.$field),+]) }
        }
        impl $crate::schema::Ret for $name {
            const RETURNS: $crate::schema::Returns = $crate::schema::Returns::Named(&[$(stringify!($field)),+]);
        }
    )*};
}

/// States public operations, in groups by where Python finds them: each becomes a Rust function and, in `SCHEMAS`, its row
/// for the front ends. `as` gives a row the public name of another; `into target` gives it `name::to(target, …)`, from which
/// `name_` and `out=` come; `no_grad` says why it has no derivative.
#[macro_export]
macro_rules! ops {
    ($([$($place:ident)+] {$(
        $(#[doc = $doc:literal])+
        pub fn $name:ident $(as $public:ident)? ($($p:ident: $t:ty $(= $default:expr)?),* $(; $($kp:ident: $kt:ty = $kdefault:expr),*)?)
        $(into $target:ident)? $(no_grad $why:literal)? -> $ret:ty $body:block
    )*})*) => {
        $($($crate::ops!(@function [$($target)?] $(#[doc = $doc])+ $name($($p: $t,)* $($($kp: $kt,)*)?) -> $ret $body);)*)*
        pub(crate) static SCHEMAS: &[&[$crate::schema::Schema]] = &[$($crate::ops!(@rows [$($place)+] $(
            [$(#[doc = $doc])+ $name [$($public)?] ($($p: $t $(= $default)?),* $(; $($kp: $kt = $kdefault),*)?) [$($target)?] [$($why)?] $ret]
        )*)),*];
    };
    (@rows $places:tt $($row:tt)*) => { &[$($crate::ops!(@row $places $row)),*] };
    (@row [$($place:ident)+] [$(#[doc = $doc:literal])+ $name:ident [$($public:ident)?]
        ($($p:ident: $t:ty $(= $default:expr)?),* $(; $($kp:ident: $kt:ty = $kdefault:expr),*)?) [$($target:ident)?] [$($why:literal)?] $ret:ty]
    ) => {
        $crate::schema::Schema {
            name: $crate::ops!(@public $name $($public)?),
            doc: concat!($($doc, "\n"),+),
            places: &[$($crate::ops!(@place $place)),+],
            params: &[
                $($crate::schema::Param {
                    name: stringify!($p),
                    kind: <$t as $crate::schema::Arg>::KIND,
                    optional: <$t as $crate::schema::Arg>::OPTIONAL,
                    default: $crate::ops!(@default $t $(, $default)?),
                    keyword_only: false,
                },)*
                $($($crate::schema::Param {
                    name: stringify!($kp),
                    kind: <$kt as $crate::schema::Arg>::KIND,
                    optional: <$kt as $crate::schema::Arg>::OPTIONAL,
                    default: $crate::ops!(@default $kt, $kdefault),
                    keyword_only: true,
                },)*)?
            ],
            returns: <$ret as $crate::schema::Ret>::RETURNS,
            into: $crate::ops!(@into $($target)?),
            no_grad: $crate::ops!(@why $($why)?),
            apply: |args, _target| {
                const NAME: &str = $crate::ops!(@public $name $($public)?);
                let mut _rest = args.iter();
                $(let $p: $t = $crate::ops!(@read _rest, NAME, $p, $t $(, $default)?);)*
                $($(let $kp: $kt = $crate::ops!(@read _rest, NAME, $kp, $kt, $kdefault);)*)?
                Ok($crate::ops!(@call $name, _target, [$($target)?], $($p,)* $($($kp,)*)?)?.into())
            },
        }
    };
    (@function [] $(#[doc = $doc:literal])+ $name:ident($($p:ident: $t:ty,)*) -> $ret:ty $body:block) => {
        $(#[doc = $doc])+
        #[allow(clippy::too_many_arguments)]
        pub fn $name($($p: $t),*) -> $crate::error::Result<$ret> $body
    };
    (@function [$target:ident] $(#[doc = $doc:literal])+ $name:ident($($p:ident: $t:ty,)*) -> $ret:ty $body:block) => {
        $(#[doc = $doc])+
        #[allow(clippy::too_many_arguments)]
        pub fn $name($($p: $t),*) -> $crate::error::Result<$ret> {
            $name::to(None, $($p),*)
        }
        /// Beside the function of that name, for what is written into a tensor.
        #[allow(non_camel_case_types)]
        pub enum $name {}
        impl $name {
            #[allow(clippy::too_many_arguments)]
            pub fn to($target: Option<&$crate::Tensor>, $($p: $t),*) -> $crate::error::Result<$ret> $body
        }
    };
    (@call $name:ident, $t:ident, [], $($arg:tt)*) => { $name($($arg)*) };
    (@call $name:ident, $t:ident, [$target:ident], $($arg:tt)*) => { $name::to($t, $($arg)*) };
    (@public $name:ident) => { stringify!($name) };
    (@public $name:ident $public:ident) => { stringify!($public) };
    (@place tf) => { $crate::schema::Place::Tf };
    (@place method) => { $crate::schema::Place::Method };
    (@place nn) => { $crate::schema::Place::Nn };
    (@place private) => { $crate::schema::Place::Private };
    (@into) => { false };
    (@into $target:ident) => { true };
    (@why) => { None };
    (@why $why:literal) => { Some($why) };
    (@default $t:ty) => { None };
    (@default $t:ty, $d:expr) => { Some(|| <$t as Into<$crate::schema::Value>>::into($d)) };
    (@read $rest:ident, $name:ident, $p:ident, $t:ty) => {
        $crate::schema::read::<$t>($rest.next(), $name, stringify!($p))?
    };
    (@read $rest:ident, $name:ident, $p:ident, $t:ty, $d:expr) => {
        match $rest.next() {
            Some(None) | None => $d,
            given => $crate::schema::read::<$t>(given, $name, stringify!($p))?,
        }
    };
}
