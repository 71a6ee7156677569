//! The machinery under the controllers.
