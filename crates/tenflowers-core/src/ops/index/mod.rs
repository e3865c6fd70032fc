//! Reading and writing by index.
mod advanced;
mod along;
mod python;

pub use advanced::*;
pub use along::*;
pub use python::*;

use crate::schema::Schema;

pub(super) static SCHEMAS: &[&[&[Schema]]] = &[advanced::SCHEMAS, along::SCHEMAS];
