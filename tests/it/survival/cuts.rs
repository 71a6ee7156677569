//! The operator is cut off at any write of a life, dies there, and another starts.

use std::time::Duration;

use countersign_testbed::{Deliver, FaultProxy};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use super::crowd::{is_ready, life_seconds};
use crate::harness::{Operator, Space, World, eventually};

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// A Secret and its record, a renewed one and its record, the end's record and the Secret's end.
const WRITES_OF_A_LIFE: usize = 6;
/// What a leader does at its start is over by then.
const REST: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_life_is_right_wherever_the_operator_is_cut_off_and_the_write_is_lost() {
    at_every_write(Deliver::No).await;
}

#[tokio::test]
async fn a_life_is_right_wherever_the_operator_is_cut_off_and_the_write_gets_through() {
    at_every_write(Deliver::Yes).await;
}

async fn at_every_write(deliver: Deliver) {
    let world = World::own().await;
    let proxy = world.proxy();
    let space = world.space("cut").await;
    let mut fate = Fate::begin(&world, &proxy, EVERYWHERE).await;
    let mut n = 1;
    loop {
        fate.rest().await;
        proxy.cut_after(n, deliver);
        let name = format!("cut-{n}");
        let cuts = fate.cuts;
        let (done, life) = tokio::sync::oneshot::channel();
        let live = async {
            live(&world, &space, &name).await;
            done.send(()).unwrap();
        };
        tokio::join!(live, fate.rule_until(life));
        assert!(space.assert_in_order().await.is_empty());
        assert!(space.credentials().await.is_empty());
        if fate.cuts == cuts {
            break;
        }
        n += 1;
    }
    proxy.heal();
    assert_eq!(fate.cuts, WRITES_OF_A_LIFE, "writes of a life");
}

/// Issued, renewed, ended, with the books in order at each step.
async fn live(world: &World, space: &Space, name: &str) {
    space.create_agent(name).await;
    space.until_ready(name).await;
    let first = space.assert_in_order().await[name].clone();
    world.assert_written(space, 1).await;

    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch(name, longer).await;
    space
        .until(name, "renewed", |it| {
            is_ready(it) && life_seconds(it) == 600
        })
        .await;
    let second = space.assert_in_order().await[name].clone();
    assert_ne!(first, second);
    world.assert_written(space, 2).await;

    space.finish_pod(name, "Succeeded").await;
    assert_eq!(space.until_completed(name).await, "TaskSucceeded");
    space.until_no_secret(&format!("{name}-identity")).await;
    let status = space.get(name).await.status.unwrap();
    assert!(status.secret.is_none());
    assert_eq!(status.certificate.unwrap().serial_number, second);
}

/// Whenever the cut comes, the operator dies; the network heals, and another starts.
pub(super) struct Fate<'a> {
    world: &'a World,
    proxy: &'a FaultProxy,
    arguments: &'a [&'a str],
    operator: Operator,
    pub(super) cuts: usize,
}

impl<'a> Fate<'a> {
    pub(super) async fn begin(
        world: &'a World,
        proxy: &'a FaultProxy,
        arguments: &'a [&'a str],
    ) -> Self {
        Self {
            world,
            proxy,
            arguments,
            operator: world.operator_by(proxy.kubeconfig(), "0", arguments),
            cuts: 0,
        }
    }

    pub(super) async fn rest(&self) {
        self.operator.until_leading().await;
        eventually("rest", async || {
            let before = self.proxy.mutations();
            tokio::time::sleep(REST).await;
            (self.proxy.mutations() == before).then_some(())
        })
        .await;
    }

    pub(super) async fn rule_until(&mut self, mut end: tokio::sync::oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                _ = &mut end => return,
                () = self.proxy.until_cut() => {}
            }
            self.cuts += 1;
            self.operator.kill();
            forget_lease(self.world).await;
            self.proxy.heal();
            let name = self.cuts.to_string();
            let kubeconfig = self.proxy.kubeconfig();
            self.operator = self.world.operator_by(kubeconfig, &name, self.arguments);
        }
    }
}

/// Whoever held it is dead: nobody need wait for its end.
pub(super) async fn forget_lease(world: &World) {
    let leases: Api<Lease> = Api::namespaced(world.client().await, "countersign-system");
    let params = DeleteParams::default();
    leases
        .delete("countersign-operator", &params)
        .await
        .unwrap();
}
