//! Both ends over HTTP/2.

use std::sync::Arc;

use countersign_issuing::{
    Client, IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, Issuer,
    IssuerServer, State, WatchRequest, WatchResponse, Watching, bearer_of, reason_of, refusal,
};
use futures::StreamExt as _;
use futures::stream;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};

/// Says what it was asked.
struct Echo;

impl Issuer for Echo {
    async fn issue_x509(
        &self,
        request: Request<IssueX509Request>,
    ) -> Result<IssueX509Response, Status> {
        let token = bearer_of(request.metadata()).map(str::to_owned);
        if token.as_deref() != Some("token") {
            return Err(refusal(Code::Unauthenticated, "BadToken", "another token"));
        }
        Ok(IssueX509Response {
            chain: vec![request.into_inner().pkcs10],
            ..IssueX509Response::default()
        })
    }

    async fn issue_jwt(
        &self,
        request: Request<IssueJwtRequest>,
    ) -> Result<IssueJwtResponse, Status> {
        Ok(IssueJwtResponse {
            token: request.into_inner().audience.join(","),
            ..IssueJwtResponse::default()
        })
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Watching, Status> {
        let state = |state: State| {
            Ok(WatchResponse {
                state: state.into(),
                ..WatchResponse::default()
            })
        };
        Ok(Box::pin(stream::iter([
            state(State::Active),
            state(State::Ended),
        ])))
    }
}

async fn client() -> (Client<Channel>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let service = IssuerServer::new(Arc::new(Echo));
        let connections = TcpListenerStream::new(listener);
        let server = Server::builder().add_service(service);
        server.serve_with_incoming(connections).await.unwrap();
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    (Client::new(endpoint.connect().await.unwrap()), server)
}

#[tokio::test]
async fn both_ends_understand_each_other() {
    let (mut client, _server) = client().await;
    let request = IssueX509Request {
        pkcs10: vec![1, 2, 3],
        ..IssueX509Request::default()
    };
    let answer = client.issue_x509("token", request.clone()).await.unwrap();
    assert_eq!(answer.chain, [vec![1, 2, 3]]);
    let refused = client.issue_x509("another", request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "another token");
    assert_eq!(reason_of(&refused), Some("BadToken"));

    let request = IssueJwtRequest {
        audience: vec!["a".to_owned(), "b".to_owned()],
        ..IssueJwtRequest::default()
    };
    assert_eq!(
        client.issue_jwt("token", request).await.unwrap().token,
        "a,b"
    );

    let watching = client
        .watch("token", WatchRequest::default())
        .await
        .unwrap();
    let states: Vec<_> = watching.map(|it| it.unwrap().state()).collect().await;
    assert_eq!(states, [State::Active, State::Ended]);
}

#[tokio::test]
async fn a_token_that_no_header_holds_is_refused_before_it_is_sent() {
    let (mut client, _server) = client().await;
    let refused = client.issue_x509("a\nb", IssueX509Request::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(!format!("{refused:?}").contains("a\\nb"));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let (mut client, _server) = client().await;
    let request = IssueX509Request {
        pkcs10: vec![0; 70_000],
        ..IssueX509Request::default()
    };
    let refused = client.issue_x509("token", request).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}
