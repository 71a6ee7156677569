//! The signer of PodCertificateRequests on a real API server with NodeRestriction. The kubelet is
//! played by its user, and the desk by [`desk::StandIn`], which isn't the issuer's.

mod asker;
mod desk;
mod faults;
mod issuing;
mod refusing;
mod rights;
mod setting;
mod speed;
