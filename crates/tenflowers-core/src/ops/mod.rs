//! One file a family: the operations, their derivatives and their rows.
mod binary;
mod bounds;
mod cast;
mod compare;
mod create;
mod index;
mod join;
mod linalg;
mod matmul;
mod nn;
mod optim;
mod padding;
mod promote;
mod random;
mod reduce;
mod scan;
mod select;
mod slopes;
mod sort;
mod unary;
mod view;

pub use binary::*;
pub use cast::*;
pub use compare::*;
pub use create::*;
pub use index::*;
pub use join::*;
pub use linalg::*;
pub use matmul::*;
pub use nn::*;
pub use optim::*;
pub use padding::*;
pub use random::*;
pub use reduce::*;
pub use scan::*;
pub use select::*;
pub use sort::*;
pub use unary::*;
pub use view::*;

use crate::schema::Schema;

/// Every public operation.
pub fn schemas() -> impl Iterator<Item = &'static Schema> {
    let families: [&[&[Schema]]; 17] = [
        binary::SCHEMAS,
        cast::SCHEMAS,
        compare::SCHEMAS,
        create::SCHEMAS,
        join::SCHEMAS,
        linalg::SCHEMAS,
        matmul::SCHEMAS,
        optim::SCHEMAS,
        padding::SCHEMAS,
        random::SCHEMAS,
        reduce::SCHEMAS,
        reduce::extremes::SCHEMAS,
        reduce::variance::SCHEMAS,
        scan::SCHEMAS,
        select::SCHEMAS,
        sort::SCHEMAS,
        view::SCHEMAS,
    ];
    let elementwise = [unary::math::SCHEMAS, unary::predicates::SCHEMAS, unary::activations::SCHEMAS];
    let families = families.into_iter().chain(elementwise).chain(index::SCHEMAS.iter().copied()).chain(nn::schemas());
    families.flatten().copied().flatten()
}
