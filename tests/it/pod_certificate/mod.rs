//! The signer of PodCertificateRequests on a real API server with NodeRestriction. The kubelet is
//! played by its user, and the desk by [`desk::StandIn`]; with the issuer's own, see `issuer::kubelet`.

pub(crate) mod asker;
mod desk;
mod faults;
mod issuing;
mod refusing;
mod rights;
pub(crate) mod setting;
mod speed;
