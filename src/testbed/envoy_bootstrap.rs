//! What Envoy is told at its start, as JSON.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::envoy::{EnvoyClients, EnvoyConfig, EnvoyDecisions, EnvoyRoute};

/// Where an Envoy listens, on loopback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) agents: u16,
    pub(crate) admin: u16,
}

/// Names of the files that the bootstrap refers to, in Envoy's folder.
pub(crate) mod file {
    pub(crate) const CERTIFICATE: &str = "server.crt";
    pub(crate) const KEY: &str = "server.key";
    pub(crate) const CLIENT_ROOTS: &str = "client-roots.crt";
    pub(crate) const DECISIONS_CERTIFICATE: &str = "decisions.crt";
    pub(crate) const DECISIONS_KEY: &str = "decisions.key";
    pub(crate) const DECISIONS_ROOTS: &str = "decisions-roots.crt";
    pub(crate) const ACCESS_LOG: &str = "access.log";
}

/// Method, path, status, and what the decision point said.
const ACCESS_LOG: &str = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% \
    %DYNAMIC_METADATA(envoy.filters.http.ext_authz:reason)% \
    %DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision)%\n";

/// The bootstrap.
pub(crate) fn bootstrap(config: &EnvoyConfig, dir: &Path, ports: Ports) -> Value {
    let mut clusters = vec![cluster("upstream", &[config.upstream])];
    clusters.extend(config.decisions.as_ref().map(|it| decisions(it, dir)));
    clusters.extend(config.sds.as_deref().map(sds_cluster));
    json!({
        "node": { "id": "countersign", "cluster": "countersign" }, // SDS wants one
        "admin": { "address": loopback(ports.admin) },
        "static_resources": {
            "listeners": [{
                "name": "agents",
                "address": loopback(ports.agents),
                "filter_chains": [{
                    "transport_socket": downstream_tls(config, dir),
                    "filters": [connection_manager(config, dir)],
                }],
            }],
            "clusters": clusters,
        },
    })
}

fn downstream_tls(config: &EnvoyConfig, dir: &Path) -> Value {
    let (required, verification) = match config.clients {
        EnvoyClients::Verified => (true, "VERIFY_TRUST_CHAIN"),
        EnvoyClients::Anybody => (false, "ACCEPT_UNTRUSTED"),
    };
    let (own, clients) = if config.sds.is_some() {
        (
            (
                "tls_certificate_sds_secret_configs",
                json!([sds_secret("default")]),
            ),
            (
                "combined_validation_context",
                json!({
                    "default_validation_context": { "trust_chain_verification": verification },
                    "validation_context_sds_secret_config": sds_secret("ROOTCA"),
                }),
            ),
        )
    } else {
        (
            (
                "tls_certificates",
                json!([{
                    "certificate_chain": in_file(dir, file::CERTIFICATE),
                    "private_key": in_file(dir, file::KEY),
                }]),
            ),
            (
                "validation_context",
                json!({
                    "trusted_ca": in_file(dir, file::CLIENT_ROOTS),
                    "trust_chain_verification": verification,
                }),
            ),
        )
    };
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": type_url("extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate": required,
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                own.0: own.1,
                clients.0: clients.1,
            },
        },
    })
}

fn sds_secret(name: &str) -> Value {
    json!({
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "sds" } }],
            },
        },
    })
}

fn sds_cluster(socket: &Path) -> Value {
    let address = json!({ "pipe": { "path": socket.display().to_string() } });
    json!({
        "name": "sds",
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": type_url("extensions.upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
        "load_assignment": {
            "cluster_name": "sds",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

fn connection_manager(config: &EnvoyConfig, dir: &Path) -> Value {
    let routes: Vec<Value> = config.routes.iter().map(route).collect();
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": type_url("extensions.filters.http.router.v3.Router") },
    });
    let filters = config.decisions.as_ref().map(ext_authz).into_iter();
    let filters: Vec<Value> = filters.chain([router]).collect();
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": type_url(
                "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
            ),
            "stat_prefix": "agents",
            "route_config": {
                "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }],
            },
            "http_filters": filters,
            "access_log": [{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": type_url("extensions.access_loggers.file.v3.FileAccessLog"),
                    "path": dir.join(file::ACCESS_LOG).display().to_string(),
                    "log_format": { "text_format_source": { "inline_string": ACCESS_LOG } },
                },
            }],
        },
    })
}

fn route(route: &EnvoyRoute) -> Value {
    let mut whole = json!({
        "match": { "prefix": route.prefix },
        "route": { "cluster": "upstream" },
    });
    if !route.extensions.is_empty() {
        let pairs = route.extensions.iter();
        let extensions: Map<String, Value> = pairs
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let settings = json!({
            "envoy.filters.http.ext_authz": {
                "@type": type_url("extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"),
                "check_settings": { "context_extensions": extensions },
            },
        });
        if let Some(members) = whole.as_object_mut() {
            members.insert("typed_per_filter_config".to_owned(), settings);
        }
    }
    whole
}

fn ext_authz(decisions: &EnvoyDecisions) -> Value {
    let token = decisions.token.iter();
    let metadata: Vec<Value> = token
        .map(|it| json!({ "key": "authorization", "value": format!("Bearer {it}") }))
        .collect();
    json!({
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": type_url("extensions.filters.http.ext_authz.v3.ExtAuthz"),
            "transport_api_version": "V3",
            "grpc_service": {
                "envoy_grpc": { "cluster_name": "decisions" },
                "timeout": seconds(decisions.timeout),
                "initial_metadata": metadata,
            },
            "failure_mode_allow": false,
            "status_on_error": { "code": "ServiceUnavailable" },
            "include_peer_certificate": true,
            "validate_mutations": true,
        },
    })
}

fn decisions(decisions: &EnvoyDecisions, dir: &Path) -> Value {
    let mut whole = cluster("decisions", &decisions.addresses);
    let http2 = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": type_url("extensions.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": { "http2_protocol_options": {} },
        },
    });
    let tls = decisions.tls.as_ref().map(|tls| {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": type_url("extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_certificates": [{
                        "certificate_chain": in_file(dir, file::DECISIONS_CERTIFICATE),
                        "private_key": in_file(dir, file::DECISIONS_KEY),
                    }],
                    "validation_context": {
                        "trusted_ca": in_file(dir, file::DECISIONS_ROOTS),
                        "match_typed_subject_alt_names": [{
                            "san_type": tls.peer.0.as_str(),
                            "matcher": { "exact": tls.peer.1 },
                        }],
                    },
                },
            },
        })
    });
    if let Some(members) = whole.as_object_mut() {
        members.insert("typed_extension_protocol_options".to_owned(), http2);
        members.extend(tls.map(|it| ("transport_socket".to_owned(), it)));
    }
    whole
}

fn cluster(name: &str, addresses: &[SocketAddr]) -> Value {
    let endpoint = |it: &SocketAddr| json!({ "endpoint": { "address": address(*it) } });
    let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": endpoints }],
        },
    })
}

fn loopback(port: u16) -> Value {
    address((std::net::Ipv4Addr::LOCALHOST, port).into())
}

fn address(address: SocketAddr) -> Value {
    let ip = address.ip().to_string();
    json!({ "socket_address": { "address": ip, "port_value": address.port() } })
}

fn in_file(dir: &Path, name: &str) -> Value {
    json!({ "filename": dir.join(name).display().to_string() })
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

fn type_url(name: &str) -> String {
    format!("type.googleapis.com/envoy.{name}")
}
