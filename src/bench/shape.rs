//! What the operator writes for one identity, so that the plain writer's writes weigh the same.

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::bed::{Bed, Programs};
use crate::objects::{Delivery, Task, identities, identity, secrets};
use crate::progress;
use crate::sight::Sight;

/// The Secret and the statuses of one identity of each delivery.
#[derive(Debug)]
pub(crate) struct Shape {
    secret: Value,
    secret_status: Value,
    request_status: Value,
    csr: String,
}

/// A shape that is learned when the first benchmark asks for it.
pub(crate) struct LazyShape<'a> {
    programs: &'a Programs,
    shape: OnceCell<Shape>,
}

impl<'a> LazyShape<'a> {
    pub(crate) fn new(programs: &'a Programs) -> Self {
        Self {
            programs,
            shape: OnceCell::new(),
        }
    }

    pub(crate) async fn learned(&self) -> Result<&Shape> {
        let learn = || async {
            progress("issuing one identity, for the sizes of what the plain writer writes");
            Shape::learn(self.programs).await
        };
        self.shape.get_or_try_init(learn).await
    }
}

impl Shape {
    /// Has the operator issue one of each.
    async fn learn(programs: &Programs) -> Result<Self> {
        let bed = Bed::make(programs).await?;
        let operator = bed.operator(programs).await?;
        let csr = request()?;
        let (by_secret, by_request) = ("shape-000001", "shape-000002");
        let names = [by_secret, by_request].map(str::to_owned);
        bed.tasks(names.to_vec()).await?;
        let secret_status = issue(&bed, by_secret, Delivery::Secret, &csr).await?;
        let request_status = issue(&bed, by_request, Delivery::Request, &csr).await?;
        let path = format!("{}/{by_secret}-identity", secrets());
        let secret = bed.api().fetch(&path).await?;
        operator.stop().await?;
        Ok(Self {
            secret,
            secret_status,
            request_status,
            csr,
        })
    }

    /// A PKCS#10 request, always the same: it has to be verified each time all the same.
    pub(crate) fn csr(&self) -> &str {
        &self.csr
    }

    /// A Secret like the operator's, owned by the task.
    pub(crate) fn secret(&self, task: &Task) -> Value {
        let metadata = &self.secret["metadata"];
        let mut owner = metadata["ownerReferences"][0].clone();
        owner["name"] = json!(task.name);
        owner["uid"] = json!(task.uid);
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": self.secret["type"],
            "metadata": {
                "name": format!("{}-identity", task.name),
                "labels": metadata["labels"],
                "annotations": metadata["annotations"],
                "ownerReferences": [owner],
            },
            "data": self.secret["data"],
        })
    }

    /// A merge patch with a status like the operator's.
    pub(crate) fn status(&self, delivery: Delivery) -> Value {
        let status = match delivery {
            Delivery::Secret => &self.secret_status,
            Delivery::Request => &self.request_status,
        };
        json!({"status": status})
    }
}

/// Creates an identity and returns its status once it is Ready.
async fn issue(bed: &Bed, name: &str, delivery: Delivery, csr: &str) -> Result<Value> {
    let ready = Sight::ready(bed.api()).await?;
    let awaited = ready.expect(name);
    let object = identity(name, delivery, csr);
    bed.api().create(&identities(), &object).await?;
    awaited.seen().await?;
    let object: Value = bed.api().fetch(&format!("{}/{name}", identities())).await?;
    Ok(object["status"].clone())
}

fn request() -> Result<String> {
    let key = KeyPair::generate().context("make a key")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).context("make a request")?;
    request.pem().context("write the request as PEM")
}
