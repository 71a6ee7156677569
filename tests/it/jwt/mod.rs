//! JWT-SVIDs of the whole: the operator's key, `countersign issue`, and a relying party of somebody
//! else's.

mod documents;
mod issuing;
mod keycloak;
mod setting;
