//! The bodies of requests as they are read: nothing is refused for its type yet, so that who refuses
//! can name it.

mod properties;
mod request;
mod said;

pub(crate) use properties::{Properties, Scalar};
pub(crate) use request::{Action, Context, Delegation, Entity, Page, Request};
pub(crate) use said::{Said, Wanted};
